-- Where every item went: items read = items used + items excluded, for all encoders alike.
-- column item_kind: What kind of item.
-- column items: Items read.
-- column used: Items in use.
-- column excluded: Items left out for every encoder; `excluded_by_reason` says why.
WITH items AS (
    SELECT benchmark, 'media' AS item_kind, video_id AS item_id, usable FROM media
    UNION ALL
    SELECT benchmark, 'clip' AS item_kind, clip_id AS item_id, usable FROM clips
    UNION ALL
    SELECT benchmark, 'question' AS item_kind, question_id AS item_id, usable FROM questions
),

left_out AS (
    SELECT DISTINCT benchmark, item_kind, item_id
    FROM exclusions
    WHERE effect = 'excluded' AND encoder IS NULL
)

SELECT
    i.benchmark,
    i.item_kind,
    count(*) AS items,
    count_if(i.usable)::BIGINT AS used,
    count(x.item_id) AS excluded
FROM items AS i
LEFT JOIN left_out AS x
    ON x.benchmark = i.benchmark AND x.item_kind = i.item_kind AND x.item_id = i.item_id
GROUP BY i.benchmark, i.item_kind
ORDER BY i.benchmark, i.item_kind;
