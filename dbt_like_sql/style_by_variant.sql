-- How the texts of each variant are worded, on average: the traits of `text_styles`.
-- column texts: Distinct texts that the variant has.
-- column words: Words of a text.
-- column vocabulary: Distinct words in all of its texts together.
-- column sound_words: Share of words that name a sound, percent.
-- column visual_words: Share of words that only eyes can know, percent.
-- column audiocaps_similarity: Likeness to AudioCaps captions, 0 to 1; null without any.
-- column clotho_similarity: Likeness to Clotho captions, 0 to 1; null without any.
WITH used AS (
    SELECT DISTINCT benchmark, variant, unnest(vocabulary) AS word
    FROM text_styles
),

vocabularies AS (
    SELECT benchmark, variant, count(*) AS words
    FROM used
    GROUP BY benchmark, variant
)

SELECT
    s.benchmark,
    s.variant,
    count(*) AS texts,
    avg(s.words) AS words,
    any_value(v.words) AS vocabulary,
    100 * avg(s.sound_words) AS sound_words,
    100 * avg(s.visual_words) AS visual_words,
    avg(s.audiocaps_similarity) AS audiocaps_similarity,
    avg(s.clotho_similarity) AS clotho_similarity
FROM text_styles AS s
LEFT JOIN vocabularies AS v ON v.benchmark = s.benchmark AND v.variant = s.variant
GROUP BY s.benchmark, s.variant
ORDER BY s.benchmark, s.variant <> 'visual', s.variant;
