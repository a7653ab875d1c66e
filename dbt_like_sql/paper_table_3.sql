-- Table 3 of the paper, EpicSoundsRet: sound classes as queries. Columns as in `paper_table_1`;
-- recall means little where dozens of clips share a text, so class accuracy stands in its place.
-- column map_published: mAP with graded precision, as the field's code computes it; percent.
-- column map_binary: Textbook mAP over the fully relevant; percent.
-- column ndcg: nDCG cut at each query's own number of relevant items; percent.
-- column class_accuracy: How often the best candidate is of the right class; percent.
-- column queries: Queries that have something right to be found.
-- column candidates: Candidates of each query.
-- column cluster: What the interval of mAP resamples.
-- column note: Says so where the gallery is smaller than the benchmark's.
-- column *_ci_low: Lower end of the 95 % interval; percent.
-- column *_ci_high: Upper end of the 95 % interval; percent.
-- column *_floor: What random similarities reach; percent.
-- column *_delta: Gain over the visual text, points; null for the visual text itself.
-- column *_p_holm: p of that gain, by the paired randomisation test, Holm-corrected.
-- column *_mark: *** p < 0.001, ** p < 0.01, * p < 0.05, empty: not significant.
SELECT
    c.benchmark,
    c.encoder,
    c.variant,
    c.direction,
    c.grader,
    c.subset,
    max(c.value) FILTER (WHERE c.metric = 'map_published') AS map_published,
    max(c.ci_low) FILTER (WHERE c.metric = 'map_published') AS map_published_ci_low,
    max(c.ci_high) FILTER (WHERE c.metric = 'map_published') AS map_published_ci_high,
    max(c.floor) FILTER (WHERE c.metric = 'map_published') AS map_published_floor,
    max(c.delta) FILTER (WHERE c.metric = 'map_published') AS map_published_delta,
    max(c.p_holm) FILTER (WHERE c.metric = 'map_published') AS map_published_p_holm,
    max(c.mark) FILTER (WHERE c.metric = 'map_published') AS map_published_mark,
    max(c.value) FILTER (WHERE c.metric = 'map_binary') AS map_binary,
    max(c.ci_low) FILTER (WHERE c.metric = 'map_binary') AS map_binary_ci_low,
    max(c.ci_high) FILTER (WHERE c.metric = 'map_binary') AS map_binary_ci_high,
    max(c.floor) FILTER (WHERE c.metric = 'map_binary') AS map_binary_floor,
    max(c.delta) FILTER (WHERE c.metric = 'map_binary') AS map_binary_delta,
    max(c.p_holm) FILTER (WHERE c.metric = 'map_binary') AS map_binary_p_holm,
    max(c.mark) FILTER (WHERE c.metric = 'map_binary') AS map_binary_mark,
    max(c.value) FILTER (WHERE c.metric = 'ndcg') AS ndcg,
    max(c.ci_low) FILTER (WHERE c.metric = 'ndcg') AS ndcg_ci_low,
    max(c.ci_high) FILTER (WHERE c.metric = 'ndcg') AS ndcg_ci_high,
    max(c.floor) FILTER (WHERE c.metric = 'ndcg') AS ndcg_floor,
    max(c.delta) FILTER (WHERE c.metric = 'ndcg') AS ndcg_delta,
    max(c.p_holm) FILTER (WHERE c.metric = 'ndcg') AS ndcg_p_holm,
    max(c.mark) FILTER (WHERE c.metric = 'ndcg') AS ndcg_mark,
    max(c.value) FILTER (WHERE c.metric = 'class_accuracy') AS class_accuracy,
    max(c.ci_low) FILTER (WHERE c.metric = 'class_accuracy') AS class_accuracy_ci_low,
    max(c.ci_high) FILTER (WHERE c.metric = 'class_accuracy') AS class_accuracy_ci_high,
    max(c.floor) FILTER (WHERE c.metric = 'class_accuracy') AS class_accuracy_floor,
    max(c.delta) FILTER (WHERE c.metric = 'class_accuracy') AS class_accuracy_delta,
    max(c.p_holm) FILTER (WHERE c.metric = 'class_accuracy') AS class_accuracy_p_holm,
    max(c.mark) FILTER (WHERE c.metric = 'class_accuracy') AS class_accuracy_mark,
    max(c.queries) FILTER (WHERE c.metric = 'map_published') AS queries,
    max(c.candidates) FILTER (WHERE c.metric = 'map_published') AS candidates,
    max(c.cluster) FILTER (WHERE c.metric = 'map_published') AS cluster,
    max(c.seeds) AS seeds,
    c.crop_rule,
    any_value(c.note) AS note
FROM score_cells AS c
WHERE c.subset = 'all' AND c.protocol = 'subset_gallery' AND c.similarity = 'cosine'
    AND c.relevance_kind = 'class'
GROUP BY c.benchmark, c.encoder, c.variant, c.direction, c.grader, c.subset, c.crop_rule
ORDER BY c.benchmark, c.direction DESC, c.encoder, c.grader, c.subset,
    c.variant <> 'visual', c.variant;
