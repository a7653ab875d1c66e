-- Table 4 of the paper, AudioEpicMIR by informativeness: queries and gallery both filtered to one
-- level, so that each has a random floor of its own. Columns as in `paper_table_1`.
-- column map_published: mAP with graded precision, as the field's code computes it; percent.
-- column map_binary: Textbook mAP over the fully relevant; percent.
-- column ndcg: nDCG cut at each query's own number of relevant items; percent.
-- column queries: Queries that have something right to be found.
-- column candidates: Candidates of each query.
-- column cluster: What the interval of mAP resamples.
-- column note: Says so where the gallery is smaller than the benchmark's.
-- column published_value: What the paper reports for this kind of text; percent.
-- column published_for: Which model, text and direction the published figure is for.
-- column recall_at_*: Queries with a right candidate among the first k, duplicates of a text
-- counted as right; percent.
-- column recall_at_*_diagonal: The same by the published rule, by which only a clip's own text is
-- right; percent.
-- column recall_at_*_ceiling: What a perfect model reaches by that rule, since clips share texts;
-- percent.
-- column median_rank: Median rank of the first right candidate, from 1.
-- column mean_rank: Mean rank of the first right candidate, from 1.
-- column *_ci_low: Lower end of the 95 % interval; percent.
-- column *_ci_high: Upper end of the 95 % interval; percent.
-- column *_floor: What random similarities reach; percent.
-- column *_delta: Gain over the visual text, points; null for the visual text itself.
-- column *_p_holm: p of that gain, by the paired randomisation test, Holm-corrected.
-- column *_mark: *** p < 0.001, ** p < 0.01, * p < 0.05, empty: not significant.
-- column published_metric: Which metric that figure is.
-- column published_source: Where it was published.
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
    max(c.value) FILTER (WHERE c.metric = 'recall_at_1' AND c.recall_rule = 'duplicates') AS recall_at_1,
    max(c.ci_low) FILTER (WHERE c.metric = 'recall_at_1' AND c.recall_rule = 'duplicates') AS recall_at_1_ci_low,
    max(c.ci_high) FILTER (WHERE c.metric = 'recall_at_1' AND c.recall_rule = 'duplicates') AS recall_at_1_ci_high,
    max(c.floor) FILTER (WHERE c.metric = 'recall_at_1' AND c.recall_rule = 'duplicates') AS recall_at_1_floor,
    max(c.value) FILTER (WHERE c.metric = 'recall_at_5' AND c.recall_rule = 'duplicates') AS recall_at_5,
    max(c.ci_low) FILTER (WHERE c.metric = 'recall_at_5' AND c.recall_rule = 'duplicates') AS recall_at_5_ci_low,
    max(c.ci_high) FILTER (WHERE c.metric = 'recall_at_5' AND c.recall_rule = 'duplicates') AS recall_at_5_ci_high,
    max(c.floor) FILTER (WHERE c.metric = 'recall_at_5' AND c.recall_rule = 'duplicates') AS recall_at_5_floor,
    max(c.value) FILTER (WHERE c.metric = 'recall_at_10' AND c.recall_rule = 'duplicates') AS recall_at_10,
    max(c.ci_low) FILTER (WHERE c.metric = 'recall_at_10' AND c.recall_rule = 'duplicates') AS recall_at_10_ci_low,
    max(c.ci_high) FILTER (WHERE c.metric = 'recall_at_10' AND c.recall_rule = 'duplicates') AS recall_at_10_ci_high,
    max(c.floor) FILTER (WHERE c.metric = 'recall_at_10' AND c.recall_rule = 'duplicates') AS recall_at_10_floor,
    max(c.value) FILTER (WHERE c.metric = 'recall_at_50' AND c.recall_rule = 'duplicates') AS recall_at_50,
    max(c.ci_low) FILTER (WHERE c.metric = 'recall_at_50' AND c.recall_rule = 'duplicates') AS recall_at_50_ci_low,
    max(c.ci_high) FILTER (WHERE c.metric = 'recall_at_50' AND c.recall_rule = 'duplicates') AS recall_at_50_ci_high,
    max(c.floor) FILTER (WHERE c.metric = 'recall_at_50' AND c.recall_rule = 'duplicates') AS recall_at_50_floor,
    max(c.value) FILTER (WHERE c.metric = 'recall_at_1' AND c.recall_rule = 'diagonal') AS recall_at_1_diagonal,
    max(c.ceiling) FILTER (WHERE c.metric = 'recall_at_1' AND c.recall_rule = 'diagonal') AS recall_at_1_diagonal_ceiling,
    max(c.value) FILTER (WHERE c.metric = 'recall_at_5' AND c.recall_rule = 'diagonal') AS recall_at_5_diagonal,
    max(c.ceiling) FILTER (WHERE c.metric = 'recall_at_5' AND c.recall_rule = 'diagonal') AS recall_at_5_diagonal_ceiling,
    max(c.value) FILTER (WHERE c.metric = 'recall_at_10' AND c.recall_rule = 'diagonal') AS recall_at_10_diagonal,
    max(c.ceiling) FILTER (WHERE c.metric = 'recall_at_10' AND c.recall_rule = 'diagonal') AS recall_at_10_diagonal_ceiling,
    max(c.value) FILTER (WHERE c.metric = 'recall_at_50' AND c.recall_rule = 'diagonal') AS recall_at_50_diagonal,
    max(c.ceiling) FILTER (WHERE c.metric = 'recall_at_50' AND c.recall_rule = 'diagonal') AS recall_at_50_diagonal_ceiling,
    max(c.value) FILTER (WHERE c.metric = 'median_rank' AND c.recall_rule = 'duplicates') AS median_rank,
    max(c.value) FILTER (WHERE c.metric = 'mean_rank' AND c.recall_rule = 'duplicates') AS mean_rank,
    max(c.queries) FILTER (WHERE c.metric = 'map_published') AS queries,
    max(c.candidates) FILTER (WHERE c.metric = 'map_published') AS candidates,
    max(c.cluster) FILTER (WHERE c.metric = 'map_published') AS cluster,
    max(c.seeds) AS seeds,
    c.crop_rule,
    any_value(c.note) AS note,
    any_value(p.value) AS published_value,
    any_value(p.metric) AS published_metric,
    any_value(p.what) AS published_for,
    any_value(p.source) AS published_source
FROM score_cells AS c
LEFT JOIN published_figures AS p
    ON p.paper_table = 4
    AND p.benchmark = c.benchmark
    AND p.subset = c.subset
    AND (
        p.text_kind IS NULL
        OR p.text_kind = CASE c.variant WHEN 'visual' THEN 'visual' ELSE 'description' END
    )
WHERE c.subset <> 'all' AND c.protocol = 'subset_gallery' AND c.similarity = 'cosine'
    AND c.relevance_kind IN ('caption', 'pairs')
GROUP BY c.benchmark, c.encoder, c.variant, c.direction, c.grader, c.subset, c.crop_rule
ORDER BY c.benchmark, c.direction DESC, c.encoder, c.grader, c.subset,
    c.variant <> 'visual', c.variant;
