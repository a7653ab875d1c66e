-- What moved between two prompts: for describing prompts the texts that they rewrite differently,
-- with both descriptions and the change in score; for grading prompts the texts that they grade
-- differently, with both levels.
-- column purpose: Prompts that describe, or that grade.
-- column prompt_a: The first prompt, by name.
-- column prompt_b: The second prompt, by name.
-- column description_a: What the first made of the text.
-- column description_b: What the second made of the text.
-- column level_a: The first prompt's level.
-- column level_b: The second prompt's level.
-- column value_a: The main metric with the first, percent.
-- column value_b: The main metric with the second, percent.
-- column change: Points gained from the first to the second.
SELECT
    a.benchmark, 'describe' AS purpose, a.variant AS prompt_a, b.variant AS prompt_b,
    a.text_id, a.text, a.description AS description_a, b.description AS description_b,
    NULL AS level_a, NULL AS level_b,
    qa.encoder, qa.direction, qa.metric, qa.query_id,
    100 * qa.value AS value_a,
    100 * qb.value AS value_b,
    100 * (qb.value - qa.value) AS change
FROM descriptions AS a
INNER JOIN descriptions AS b
    ON b.benchmark = a.benchmark AND b.text_id = a.text_id AND b.variant > a.variant
LEFT JOIN main_query_scores AS qa
    ON qa.benchmark = a.benchmark AND qa.text_id = a.text_id AND qa.variant = a.variant
LEFT JOIN main_query_scores AS qb
    ON qb.benchmark = b.benchmark
    AND qb.variant = b.variant
    AND qb.encoder = qa.encoder
    AND qb.direction IS NOT DISTINCT FROM qa.direction
    AND qb.metric = qa.metric
    AND qb.query_id = qa.query_id
WHERE a.description <> b.description
UNION ALL
SELECT
    a.benchmark, 'grade' AS purpose, a.grader AS prompt_a, b.grader AS prompt_b,
    a.text_id, a.text, NULL AS description_a, NULL AS description_b,
    a.level AS level_a, b.level AS level_b,
    NULL AS encoder, NULL AS direction, NULL AS metric, NULL AS query_id,
    NULL AS value_a, NULL AS value_b, NULL AS change
FROM informativeness AS a
INNER JOIN informativeness AS b
    ON b.benchmark = a.benchmark AND b.text_id = a.text_id AND b.grader > a.grader
WHERE a.level <> b.level;
