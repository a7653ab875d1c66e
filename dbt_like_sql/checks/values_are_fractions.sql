-- Every metric but the ranks is a fraction.
SELECT benchmark, encoder, variant, metric, direction, subset, value
FROM scores
WHERE metric NOT IN ('median_rank', 'mean_rank') AND NOT value BETWEEN 0 AND 1;
