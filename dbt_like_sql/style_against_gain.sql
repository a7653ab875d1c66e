-- Does the wording explain the gain? For each trait the rank correlation (Spearman) between what
-- rewriting changed in a text's wording and what it gained over the visual text, over distinct
-- texts: queries that share a text count once, with their mean. The interval is Fisher's with the
-- variance of Bonett and Wright (2000). Many are shown side by side: by chance alone, one in twenty
-- does not hold 0.
-- materialized: table
-- column metric: The main metric of the benchmark.
-- column trait: What was measured of a text: see `style_traits`.
-- column texts: Distinct texts with both variants.
-- column mean_change: Mean change of the trait from the visual text to this variant.
-- column mean_gain: Mean gain of a text in the metric, points.
-- column rho: Spearman's rank correlation, -1 to 1; null where either never differs.
-- column ci_low: Lower end of its 95 % interval.
-- column ci_high: Upper end of its 95 % interval.
WITH gains AS (
    SELECT
        r.benchmark, r.encoder, r.variant, r.direction, r.metric, r.text_id,
        round(avg(r.value - v.value), 12) AS gain
    FROM main_query_scores AS r
    INNER JOIN main_query_scores AS v
        ON v.variant = 'visual'
        AND v.benchmark = r.benchmark
        AND v.encoder = r.encoder
        AND v.direction IS NOT DISTINCT FROM r.direction
        AND v.metric = r.metric
        AND v.query_id = r.query_id
    WHERE r.variant <> 'visual'
    GROUP BY r.benchmark, r.encoder, r.variant, r.direction, r.metric, r.text_id
),

-- Ties share their mean rank; rounding keeps equal what differs by its last bits only.
ranked_gains AS (
    SELECT
        *,
        rank() OVER (same ORDER BY gain)
        + (count(*) OVER (
            PARTITION BY benchmark, encoder, variant, direction, metric, gain
        ) - 1) / 2.0 AS gain_rank
    FROM gains
    WINDOW same AS (PARTITION BY benchmark, encoder, variant, direction, metric)
),

pairs AS (
    SELECT
        g.benchmark, g.encoder, g.variant, g.direction, g.metric, s.trait, g.gain, g.gain_rank,
        round(s.value - v.value, 12) AS change
    FROM ranked_gains AS g
    INNER JOIN style_traits AS s
        ON s.benchmark = g.benchmark AND s.variant = g.variant AND s.text_id = g.text_id
    INNER JOIN style_traits AS v
        ON v.variant = 'visual'
        AND v.benchmark = s.benchmark
        AND v.text_id = s.text_id
        AND v.trait = s.trait
),

ranked AS (
    SELECT
        *,
        rank() OVER (same ORDER BY change)
        + (count(*) OVER (
            PARTITION BY benchmark, encoder, variant, direction, metric, trait, change
        ) - 1) / 2.0 AS change_rank
    FROM pairs
    WINDOW same AS (PARTITION BY benchmark, encoder, variant, direction, metric, trait)
),

correlated AS (
    SELECT
        benchmark, encoder, variant, direction, metric, trait,
        count(*) AS texts,
        avg(change) AS mean_change,
        100 * avg(gain) AS mean_gain,
        CASE
            WHEN min(change) < max(change) AND min(gain) < max(gain)
                THEN corr(change_rank, gain_rank)
        END AS rho
    FROM ranked
    GROUP BY benchmark, encoder, variant, direction, metric, trait
),

bounded AS (
    SELECT
        *,
        atanh(greatest(least(rho, 1 - 1e-12), 1e-12 - 1)) AS z,
        CASE WHEN texts > 3 THEN 1.959964 * sqrt((1 + rho * rho / 2) / (texts - 3)) END AS half
    FROM correlated
)

SELECT
    benchmark, encoder, variant, direction, metric, trait, texts, mean_change, mean_gain, rho,
    tanh(z - half) AS ci_low,
    tanh(z + half) AS ci_high
FROM bounded
ORDER BY benchmark, encoder, variant, metric, direction DESC, trait;
