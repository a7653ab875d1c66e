-- The traits of `text_styles`, one row a text and trait, with the third of its variant's texts
-- that it falls in. A trait that could not be measured has no row.
-- column trait: Which trait: the column's name in `text_styles`; `vocabulary` counts distinct words.
-- column value: The trait's value.
-- column third: 1 for the third of texts with the lowest values, 3 for the highest; texts of equal
-- value are never parted, so that thirds may be unequal, or missing.
WITH traits AS (
    SELECT
        s.benchmark,
        s.variant,
        s.text_id,
        named.trait,
        CASE named.trait
            WHEN 'words' THEN s.words
            WHEN 'vocabulary' THEN len(s.vocabulary)
            WHEN 'sound_words' THEN s.sound_words
            WHEN 'visual_words' THEN s.visual_words
            WHEN 'audiocaps_similarity' THEN s.audiocaps_similarity
            ELSE s.clotho_similarity
        END AS value
    FROM text_styles AS s
    CROSS JOIN (
        VALUES
            ('words'), ('vocabulary'), ('sound_words'), ('visual_words'),
            ('audiocaps_similarity'), ('clotho_similarity')
    ) AS named (trait)
)

SELECT
    benchmark,
    variant,
    text_id,
    trait,
    value,
    1 + least(2, floor(3 * percent_rank() OVER same_trait))::BIGINT AS third
FROM traits
WHERE value IS NOT NULL
WINDOW same_trait AS (PARTITION BY benchmark, variant, trait ORDER BY value);
