-- What rewriting gains: each variant against the visual text on the same queries, in points, with
-- the paired test.
-- column visual_value: With the visual text; percent.
-- column value: With this variant; percent.
-- column delta: Gain, points.
-- column ci_low: Lower end of the gain's 95 % interval, points.
-- column ci_high: Upper end of the gain's 95 % interval, points.
SELECT
    benchmark, encoder, variant, grader, subset, protocol, direction, relevance_kind, crop_rule,
    similarity, recall_rule, metric,
    value - delta AS visual_value,
    value,
    delta,
    delta_ci_low AS ci_low,
    delta_ci_high AS ci_high,
    p_holm,
    mark,
    queries
FROM score_cells
WHERE delta IS NOT NULL
ORDER BY benchmark, encoder, metric, direction, subset, variant;
