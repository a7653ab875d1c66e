-- A score must rest on exactly the queries that are stored for it.
WITH counted AS (
    SELECT
        benchmark, encoder, variant, grader, subset, protocol, direction, relevance_kind,
        crop_rule, similarity, recall_rule, metric, count(*) AS stored
    FROM query_scores
    GROUP BY ALL
)

SELECT
    s.benchmark, s.encoder, s.variant, s.grader, s.subset, s.protocol, s.direction, s.metric,
    s.queries, c.stored
FROM scores AS s
LEFT JOIN counted AS c
    ON c.benchmark = s.benchmark
    AND c.encoder = s.encoder
    AND c.variant = s.variant
    AND c.grader IS NOT DISTINCT FROM s.grader
    AND c.subset = s.subset
    AND c.protocol IS NOT DISTINCT FROM s.protocol
    AND c.direction IS NOT DISTINCT FROM s.direction
    AND c.relevance_kind = s.relevance_kind
    AND c.crop_rule = s.crop_rule
    AND c.similarity = s.similarity
    AND c.recall_rule IS NOT DISTINCT FROM s.recall_rule
    AND c.metric = s.metric
WHERE
    s.direction IS DISTINCT FROM 'mean'
    AND s.queries IS DISTINCT FROM c.stored;
