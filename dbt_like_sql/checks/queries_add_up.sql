-- Every caption and every question that is asked must be scored, or be excluded with its reason,
-- for each encoder and each variant of the texts.
WITH asked AS (
    SELECT benchmark, 'caption' AS item_kind, caption_id AS item_id, text_id FROM captions
    UNION ALL
    SELECT benchmark, 'question' AS item_kind, question_id AS item_id, text_id
    FROM questions
    WHERE usable
),

cells AS (
    SELECT DISTINCT benchmark, encoder, variant, relevance_kind
    FROM query_scores
    WHERE subset = 'all' AND similarity = 'cosine'
),

scored AS (
    SELECT DISTINCT benchmark, encoder, variant, relevance_kind, query_id
    FROM query_scores
    WHERE
        subset = 'all'
        AND similarity = 'cosine'
        AND direction IS DISTINCT FROM 'audio_to_text'
        AND metric IN ('map_binary', 'accuracy_inter', 'accuracy_intra')
),

left_out AS (
    SELECT DISTINCT benchmark, item_kind, item_id, encoder, detail
    FROM exclusions
    WHERE effect = 'excluded' AND stage = 'retrieval'
)

SELECT c.benchmark, c.encoder, c.variant, c.relevance_kind, a.item_kind, a.item_id
FROM cells AS c
INNER JOIN asked AS a
    ON a.benchmark = c.benchmark
    AND (a.item_kind = 'question') = (c.relevance_kind = 'question')
ANTI JOIN scored AS s
    ON s.benchmark = c.benchmark
    AND s.encoder = c.encoder
    AND s.variant = c.variant
    AND s.relevance_kind IS NOT DISTINCT FROM c.relevance_kind
    AND s.query_id = a.item_id
ANTI JOIN left_out AS x
    ON x.benchmark = c.benchmark
    AND x.item_kind = a.item_kind
    AND x.item_id = a.item_id
    AND x.encoder = c.encoder
ANTI JOIN left_out AS t
    ON t.benchmark = c.benchmark
    AND t.item_kind = 'text'
    AND t.item_id = a.text_id
    AND t.detail = 'variant ' || c.variant;
