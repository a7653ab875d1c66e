-- Is what can be heard easier to find, query by query? The rank correlation (Spearman) between a
-- text's informativeness (low, moderate, high) and its difficulty, over distinct texts: queries that
-- share a text count once, with their mean. Below 0: the more can be heard, the easier. A text with
-- many right candidates is easier for that alone: `informativeness_curve` shows each level's random
-- floor. Interval as in `style_against_gain`.
-- materialized: table
-- column metric: The main metric of the benchmark; difficulty is 1 minus its value.
-- column texts: Distinct texts that are graded and scored.
-- column rho: Spearman's rank correlation, -1 to 1; null where either never differs.
-- column ci_low: Lower end of its 95 % interval.
-- column ci_high: Upper end of its 95 % interval.
WITH graded AS (
    SELECT
        s.benchmark, s.encoder, s.variant, i.grader, s.direction, s.metric, s.text_id,
        CASE any_value(i.level) WHEN 'low' THEN 1 WHEN 'moderate' THEN 2 ELSE 3 END AS level,
        round(1 - avg(s.value), 12) AS difficulty
    FROM main_query_scores AS s
    INNER JOIN informativeness AS i ON i.benchmark = s.benchmark AND i.text_id = s.text_id
    GROUP BY s.benchmark, s.encoder, s.variant, i.grader, s.direction, s.metric, s.text_id
),

-- Ties share their mean rank; rounding keeps equal what differs by its last bits only.
ranked AS (
    SELECT
        *,
        rank() OVER (same ORDER BY level)
        + (count(*) OVER (
            PARTITION BY benchmark, encoder, variant, grader, direction, metric, level
        ) - 1) / 2.0 AS level_rank,
        rank() OVER (same ORDER BY difficulty)
        + (count(*) OVER (
            PARTITION BY benchmark, encoder, variant, grader, direction, metric, difficulty
        ) - 1) / 2.0 AS difficulty_rank
    FROM graded
    WINDOW same AS (PARTITION BY benchmark, encoder, variant, grader, direction, metric)
),

correlated AS (
    SELECT
        benchmark, encoder, variant, grader, direction, metric,
        count(*) AS texts,
        CASE
            WHEN min(level) < max(level) AND min(difficulty) < max(difficulty)
                THEN corr(level_rank, difficulty_rank)
        END AS rho
    FROM ranked
    GROUP BY benchmark, encoder, variant, grader, direction, metric
),

bounded AS (
    SELECT
        *,
        atanh(greatest(least(rho, 1 - 1e-12), 1e-12 - 1)) AS z,
        CASE WHEN texts > 3 THEN 1.959964 * sqrt((1 + rho * rho / 2) / (texts - 3)) END AS half
    FROM correlated
)

SELECT
    benchmark, encoder, variant, grader, direction, metric, texts, rho,
    tanh(z - half) AS ci_low,
    tanh(z + half) AS ci_high
FROM bounded
ORDER BY benchmark, encoder, variant <> 'visual', variant, grader, metric, direction DESC;
