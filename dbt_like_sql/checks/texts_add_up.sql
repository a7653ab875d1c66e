-- Texts asked must be texts answered plus texts excluded: every text to search by has its
-- description by each prompt and its level by each grader, or its reason.
WITH wanted AS (
    SELECT benchmark, text_id FROM captions
    UNION
    SELECT benchmark, text_id FROM questions WHERE usable
),

marks AS (
    SELECT benchmark, variant AS asked, text_id, 1 AS answered, 0 AS excluded FROM descriptions
    UNION ALL
    SELECT benchmark, grader AS asked, text_id, 1 AS answered, 0 AS excluded FROM informativeness
    UNION ALL
    SELECT DISTINCT
        benchmark, split_part(detail, ': ', 1) AS asked, item_id AS text_id,
        0 AS answered, 1 AS excluded
    FROM exclusions
    WHERE item_kind = 'text' AND stage = 'descriptions'
),

sums AS (
    SELECT m.benchmark, m.asked, sum(m.answered) AS answered, sum(m.excluded) AS excluded
    FROM marks AS m
    INNER JOIN wanted AS w ON w.benchmark = m.benchmark AND w.text_id = m.text_id
    GROUP BY m.benchmark, m.asked
),

totals AS (
    SELECT benchmark, count(*) AS texts
    FROM wanted
    GROUP BY benchmark
)

SELECT s.benchmark, s.asked, t.texts, s.answered, s.excluded
FROM sums AS s
INNER JOIN totals AS t ON t.benchmark = s.benchmark
WHERE
    t.texts <> s.answered + s.excluded
    AND s.benchmark IN (SELECT benchmark FROM scores);
