-- The paper tables must hold one row per benchmark, encoder, variant, direction, grader and subset.
WITH cells AS (
    SELECT 1 AS paper_table, benchmark, encoder, variant, direction, grader, subset
    FROM paper_table_1
    UNION ALL
    SELECT 2 AS paper_table, benchmark, encoder, variant, direction, grader, subset
    FROM paper_table_2
    UNION ALL
    SELECT 3 AS paper_table, benchmark, encoder, variant, direction, grader, subset
    FROM paper_table_3
    UNION ALL
    SELECT 4 AS paper_table, benchmark, encoder, variant, direction, grader, subset
    FROM paper_table_4
    UNION ALL
    SELECT 5 AS paper_table, benchmark, encoder, variant, direction, grader, subset
    FROM paper_table_5
)

SELECT paper_table, benchmark, encoder, variant, direction, grader, subset, count(*) AS rows
FROM cells
GROUP BY ALL
HAVING count(*) > 1;
