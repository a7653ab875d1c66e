-- Does what can be heard decide what can be found? Each main metric by informativeness level, with
-- the level's own random floor: a smaller gallery is easier, so read the lift, not the value.
-- column level_order: 1 low, 2 moderate, 3 high.
-- column lift: Value minus floor, points.
SELECT
    benchmark, encoder, variant, grader, protocol, direction, metric, subset,
    CASE subset WHEN 'low' THEN 1 WHEN 'moderate' THEN 2 ELSE 3 END AS level_order,
    value, ci_low, ci_high, floor,
    value - floor AS lift,
    queries, candidates, cluster
FROM score_cells
WHERE
    subset <> 'all'
    AND similarity = 'cosine'
    AND metric IN ('map_published', 'map_binary', 'ndcg', 'accuracy_inter', 'accuracy_intra')
ORDER BY benchmark, encoder, variant, grader, protocol, direction, metric, level_order;
