-- How informative sounds are to people, against what the model that graded said of their texts.
-- column model_level: The model's level.
-- column human_level: The level that raters heard.
-- column judgements: How often they did.
-- column share: Of the judgements of this model level, percent.
SELECT
    sheet,
    grader,
    level AS model_level,
    informativeness AS human_level,
    count(*) AS judgements,
    100 * count(*) / sum(count(*)) OVER (PARTITION BY sheet, grader, level) AS share
FROM ratings
WHERE repeat_of IS NULL
GROUP BY sheet, grader, level, informativeness
ORDER BY sheet, grader, model_level, human_level;
