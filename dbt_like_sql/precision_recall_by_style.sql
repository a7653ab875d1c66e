-- Precision, recall and F1 at k by style of text: for each variant over all of its queries, and for
-- each trait (see `style_traits`) over the queries whose text is in the lower, middle and upper
-- third. Means over queries. Right is what has relevance 1; recall here is the share of a query's
-- right candidates that are found, unlike `recall_at_k`, which asks for one of them. For questions k
-- is 1, and all three are the accuracy.
-- materialized: table
-- column direction: What is the query; null for questions.
-- column metric: What is summed up: hits of retrieval, or the accuracy of a kind of question.
-- column trait: Which trait the queries were parted by; null: not parted.
-- column third: Which third, from 1 (lowest values) to 3; null: all queries.
-- column trait_from: The lowest value of the trait in this third.
-- column trait_to: The highest value of the trait in this third.
-- column k: How many candidates are looked at.
-- column queries: Queries averaged.
-- column precision_at_k: Share of the first k that are right, percent.
-- column recall_at_k: Share of the right ones that are among the first k, percent.
-- column f1_at_k: Harmonic mean of a query's precision and recall, averaged; percent.
-- column recall_ceiling: What recall can be at most: the first k hold no more than k, percent.
WITH hits AS (
    SELECT
        h.benchmark, h.encoder, h.variant, h.direction, 'hits' AS metric, t.text_id,
        h.right_candidates AS right_ones,
        cuts.k,
        CASE cuts.k
            WHEN 1 THEN h.hits_at_1
            WHEN 5 THEN h.hits_at_5
            WHEN 10 THEN h.hits_at_10
            ELSE h.hits_at_50
        END AS found
    FROM query_hits AS h
    LEFT JOIN query_texts AS t
        ON t.benchmark = h.benchmark AND t.direction = h.direction AND t.query_id = h.query_id
    CROSS JOIN (VALUES (1), (5), (10), (50)) AS cuts (k)
    UNION ALL
    SELECT
        benchmark, encoder, variant, direction, metric, text_id,
        1 AS right_ones, 1 AS k, value AS found
    FROM main_query_scores
    WHERE direction IS NULL
),

parted AS (
    SELECT hits.*, NULL AS trait, NULL AS third, NULL AS trait_value
    FROM hits
    UNION ALL
    SELECT hits.*, s.trait, s.third, s.value AS trait_value
    FROM hits
    INNER JOIN style_traits AS s
        ON s.benchmark = hits.benchmark
        AND s.variant = hits.variant
        AND s.text_id = hits.text_id
)

SELECT
    benchmark,
    encoder,
    variant,
    direction,
    metric,
    trait,
    third,
    min(trait_value) AS trait_from,
    max(trait_value) AS trait_to,
    k,
    count(*) AS queries,
    100 * avg(found / k) AS precision_at_k,
    100 * avg(found / right_ones) AS recall_at_k,
    100 * avg(2 * found / (k + right_ones)) AS f1_at_k,
    100 * avg(least(k, right_ones) / right_ones) AS recall_ceiling
FROM parted
GROUP BY benchmark, encoder, variant, direction, metric, trait, third, k
ORDER BY benchmark, encoder, variant <> 'visual', variant, metric, direction DESC,
    trait NULLS FIRST, third, k;
