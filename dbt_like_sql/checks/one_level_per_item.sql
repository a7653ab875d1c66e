-- Nothing may be in two informativeness subsets of one grader.
SELECT benchmark, grader, item_kind, item_id, count(DISTINCT subset) AS subsets
FROM subset_members
GROUP BY benchmark, grader, item_kind, item_id
HAVING count(DISTINCT subset) > 1;
