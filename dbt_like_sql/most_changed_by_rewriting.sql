-- The queries that rewriting changes most, for better or worse.
-- column visual_value: The main metric with the visual text, percent.
-- column value: The main metric with the description, percent.
-- column change: Points gained.
-- column visual_rank: Rank of the first right candidate with the visual text.
-- column rank: Rank of the first right candidate with the description.
SELECT
    r.benchmark, r.encoder, r.variant, r.direction, r.metric, r.query_id, r.text_id, r.text,
    r.description,
    100 * v.value AS visual_value,
    100 * r.value AS value,
    100 * (r.value - v.value) AS change,
    v.rank AS visual_rank,
    r.rank
FROM main_query_scores AS r
INNER JOIN main_query_scores AS v
    ON v.variant = 'visual'
    AND v.benchmark = r.benchmark
    AND v.encoder = r.encoder
    AND v.direction IS NOT DISTINCT FROM r.direction
    AND v.metric = r.metric
    AND v.query_id = r.query_id
WHERE r.variant <> 'visual'
ORDER BY abs(r.value - v.value) DESC, r.benchmark, r.encoder, r.variant, r.direction, r.query_id;
