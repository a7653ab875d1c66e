-- The queries that all encoders find hardest, with each text: mean of the main metric over
-- encoders, hardest first.
-- column mean_value: Mean over encoders, percent.
-- column best_rank: The best rank that any encoder gives a right candidate.
-- column encoders: Encoders averaged.
SELECT
    benchmark, direction, variant, metric, query_id, text_id, text, description,
    100 * avg(value) AS mean_value,
    min(rank) AS best_rank,
    count(DISTINCT encoder) AS encoders
FROM main_query_scores
GROUP BY benchmark, direction, variant, metric, query_id, text_id, text, description
ORDER BY benchmark, direction, variant, mean_value, query_id;
