-- One main figure per benchmark, encoder, text and direction: mAP as published for retrieval,
-- accuracy for questions. What a run prints when it ends.
SELECT
    benchmark, encoder, variant, direction, metric, value, ci_low, ci_high, floor, delta,
    delta_ci_low, delta_ci_high, p_holm, mark, queries, candidates, cluster, note
FROM score_cells
WHERE
    subset = 'all'
    AND similarity = 'cosine'
    AND (protocol = 'subset_gallery' OR protocol IS NULL)
    AND relevance_kind IN ('caption', 'pairs', 'class', 'question')
    AND metric IN ('map_published', 'accuracy_inter', 'accuracy_intra')
ORDER BY benchmark, metric, direction DESC, encoder, variant <> 'visual', variant;
