-- Every score as the result tables print it: in percent (ranks as they are), with the gain over
-- the visual text and its significance mark, and a note where the whole gallery is smaller than
-- the benchmark's.
-- column value: Percent; ranks count from 1.
-- column ci_low: Lower end of the 95 % interval, percent.
-- column ci_high: Upper end of the 95 % interval, percent.
-- column plain_ci_low: Lower end of the plain interval, percent.
-- column plain_ci_high: Upper end of the plain interval, percent.
-- column floor: What random similarities reach, percent.
-- column ceiling: What a perfect model reaches, percent.
-- column delta: Gain over the visual text, points.
-- column delta_ci_low: Lower end of the gain's 95 % interval, points.
-- column delta_ci_high: Upper end of the gain's 95 % interval, points.
-- column mark: *** p < 0.001, ** p < 0.01, * p < 0.05 (Holm-corrected), empty: not significant.
-- column note: Says so where the gallery of the subset all is smaller than the benchmark's.
WITH scaled AS (
    SELECT
        scores.*,
        CASE WHEN metric IN ('median_rank', 'mean_rank') THEN 1 ELSE 100 END AS factor,
        max(CASE WHEN direction = 'text_to_audio' AND subset = 'all' THEN candidates END) OVER (
            PARTITION BY benchmark, encoder, variant
        ) AS clips
    FROM scores
)

SELECT
    s.benchmark,
    s.encoder,
    s.variant,
    s.grader,
    s.subset,
    s.protocol,
    s.direction,
    s.relevance_kind,
    s.crop_rule,
    s.similarity,
    s.recall_rule,
    s.metric,
    s.value * s.factor AS value,
    s.ci_low * s.factor AS ci_low,
    s.ci_high * s.factor AS ci_high,
    s.plain_ci_low * s.factor AS plain_ci_low,
    s.plain_ci_high * s.factor AS plain_ci_high,
    s.random_floor * s.factor AS floor,
    s.ceiling * s.factor AS ceiling,
    d.delta * s.factor AS delta,
    d.ci_low * s.factor AS delta_ci_low,
    d.ci_high * s.factor AS delta_ci_high,
    d.p_holm,
    CASE
        WHEN d.p_holm < 0.001 THEN '***'
        WHEN d.p_holm < 0.01 THEN '**'
        WHEN d.p_holm < 0.05 THEN '*'
        WHEN d.p_holm IS NOT NULL THEN ''
    END AS mark,
    s.queries,
    s.candidates,
    s.cluster,
    s.seeds,
    CASE
        WHEN s.clips < sizes.clips
            THEN format('{:,} of the benchmark''s {:,} clips', s.clips, sizes.clips)
    END AS note
FROM scaled AS s
LEFT JOIN comparisons AS d
    ON d.baseline = 'visual'
    AND d.benchmark = s.benchmark
    AND d.encoder = s.encoder
    AND d.variant = s.variant
    AND d.grader IS NOT DISTINCT FROM s.grader
    AND d.subset = s.subset
    AND d.protocol IS NOT DISTINCT FROM s.protocol
    AND d.direction IS NOT DISTINCT FROM s.direction
    AND d.relevance_kind = s.relevance_kind
    AND d.crop_rule = s.crop_rule
    AND d.similarity = s.similarity
    AND d.recall_rule IS NOT DISTINCT FROM s.recall_rule
    AND d.metric = s.metric
LEFT JOIN benchmark_sizes AS sizes ON sizes.benchmark = s.benchmark;
