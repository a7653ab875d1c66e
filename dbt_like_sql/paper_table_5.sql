-- Table 5 of the paper, AudioEgoMCQ by informativeness of the question's text. Columns as in
-- `paper_table_2`.
-- column accuracy_inter: Right among five clips of five recordings; percent.
-- column accuracy_intra: Right among five clips of one recording; percent.
-- column accuracy_inter_queries: Questions of the inter-video kind.
-- column accuracy_intra_queries: Questions of the intra-video kind.
-- column candidates: Options of each question.
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
    max(c.value) FILTER (WHERE c.metric = 'accuracy_inter') AS accuracy_inter,
    max(c.ci_low) FILTER (WHERE c.metric = 'accuracy_inter') AS accuracy_inter_ci_low,
    max(c.ci_high) FILTER (WHERE c.metric = 'accuracy_inter') AS accuracy_inter_ci_high,
    max(c.floor) FILTER (WHERE c.metric = 'accuracy_inter') AS accuracy_inter_floor,
    max(c.delta) FILTER (WHERE c.metric = 'accuracy_inter') AS accuracy_inter_delta,
    max(c.p_holm) FILTER (WHERE c.metric = 'accuracy_inter') AS accuracy_inter_p_holm,
    max(c.mark) FILTER (WHERE c.metric = 'accuracy_inter') AS accuracy_inter_mark,
    max(c.queries) FILTER (WHERE c.metric = 'accuracy_inter') AS accuracy_inter_queries,
    max(c.value) FILTER (WHERE c.metric = 'accuracy_intra') AS accuracy_intra,
    max(c.ci_low) FILTER (WHERE c.metric = 'accuracy_intra') AS accuracy_intra_ci_low,
    max(c.ci_high) FILTER (WHERE c.metric = 'accuracy_intra') AS accuracy_intra_ci_high,
    max(c.floor) FILTER (WHERE c.metric = 'accuracy_intra') AS accuracy_intra_floor,
    max(c.delta) FILTER (WHERE c.metric = 'accuracy_intra') AS accuracy_intra_delta,
    max(c.p_holm) FILTER (WHERE c.metric = 'accuracy_intra') AS accuracy_intra_p_holm,
    max(c.mark) FILTER (WHERE c.metric = 'accuracy_intra') AS accuracy_intra_mark,
    max(c.queries) FILTER (WHERE c.metric = 'accuracy_intra') AS accuracy_intra_queries,
    5 AS candidates,
    any_value(c.cluster) AS cluster,
    max(c.seeds) AS seeds,
    c.crop_rule,
    any_value(c.note) AS note
FROM score_cells AS c
WHERE c.subset <> 'all' AND c.similarity = 'cosine' AND c.relevance_kind = 'question'
GROUP BY c.benchmark, c.encoder, c.variant, c.direction, c.grader, c.subset, c.crop_rule
ORDER BY c.benchmark, c.direction DESC, c.encoder, c.grader, c.subset,
    c.variant <> 'visual', c.variant;
