-- One value per query, encoder and variant: the main metric of its benchmark over the whole
-- gallery, with the query's text and the description that was searched with.
-- column value: The main metric, a fraction.
-- column description: What was searched with, for variants other than the visual text.
SELECT
    s.benchmark, s.encoder, s.variant, s.direction, s.metric, s.query_id, t.text_id, t.text,
    d.description, s.value, s.rank
FROM query_scores AS s
LEFT JOIN query_texts AS t
    ON t.benchmark = s.benchmark
    AND t.direction IS NOT DISTINCT FROM s.direction
    AND t.query_id = s.query_id
LEFT JOIN descriptions AS d
    ON d.benchmark = s.benchmark AND d.text_id = t.text_id AND d.variant = s.variant
WHERE
    s.subset = 'all'
    AND s.similarity = 'cosine'
    AND (s.protocol = 'subset_gallery' OR s.protocol IS NULL)
    AND s.relevance_kind IN ('caption', 'pairs', 'class', 'question')
    AND s.metric IN ('map_published', 'accuracy_inter', 'accuracy_intra');
