-- Items read must be items used plus items excluded: nothing is dropped without its reason.
SELECT benchmark, item_kind, items, used, excluded
FROM item_counts
WHERE
    items <> used + excluded
    AND benchmark IN (SELECT benchmark FROM scores);
