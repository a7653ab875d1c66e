-- What was left out or altered, counted by reason, with one of them in full.
-- column items: Distinct items.
-- column example: One item's id.
-- column example_detail: That item's reason in full.
SELECT
    benchmark, item_kind, effect, encoder, stage, reason,
    count(DISTINCT item_id) AS items,
    min(item_id) AS example,
    arg_min(detail, item_id) AS example_detail
FROM exclusions
GROUP BY benchmark, item_kind, effect, encoder, stage, reason
ORDER BY benchmark, effect DESC, item_kind, items DESC, reason, encoder;
