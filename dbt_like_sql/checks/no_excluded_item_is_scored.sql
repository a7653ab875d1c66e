-- What is excluded, for all encoders or for one (a training split), must not be a scored query.
-- A query that has nothing right to be found is left out of some metrics only: nDCG knows grades.
SELECT DISTINCT
    q.benchmark, q.encoder, x.item_kind, x.item_id, x.reason
FROM query_scores AS q
INNER JOIN exclusions AS x
    ON x.benchmark = q.benchmark
    AND x.effect = 'excluded'
    AND (x.encoder IS NULL OR x.encoder = q.encoder)
    AND (x.reason <> 'nothing right to be found' OR q.metric <> 'ndcg')
WHERE
    (x.item_kind = 'clip' AND q.direction = 'audio_to_text' AND x.item_id = q.query_id)
    OR (x.item_kind = 'caption' AND q.direction = 'text_to_audio' AND x.item_id = q.query_id)
    OR (x.item_kind = 'question' AND q.direction IS NULL AND x.item_id = q.query_id)
    OR (
        x.item_kind = 'media'
        AND q.direction IS DISTINCT FROM 'text_to_audio'
        AND x.item_id = q.video_id
    );
