-- How far each two graders agree on the texts that both graded: two prompts, two models, or one
-- of them and the authors' own levels (`paper`). Kappa is agreement beyond what the graders' own
-- habits give by chance; the quadratic one counts low against high as four times neighbours. Both
-- are null where nothing is left to chance.
-- column grader_a: The first grader, by name.
-- column grader_b: The second grader, by name.
-- column texts: Texts that both graded.
-- column exact: Share of equal levels.
-- column kappa: Cohen's kappa.
-- column quadratic_kappa: Kappa with quadratic weights.
WITH pairs AS (
    SELECT
        a.benchmark, a.grader AS grader_a, b.grader AS grader_b,
        CASE a.level WHEN 'low' THEN 0 WHEN 'moderate' THEN 1 ELSE 2 END AS x,
        CASE b.level WHEN 'low' THEN 0 WHEN 'moderate' THEN 1 ELSE 2 END AS y
    FROM informativeness AS a
    INNER JOIN informativeness AS b
        ON b.benchmark = a.benchmark AND b.text_id = a.text_id AND b.grader > a.grader
),

counted AS (
    SELECT
        benchmark, grader_a, grader_b,
        count(*) AS texts,
        avg((x = y)::INT) AS exact,
        avg((x = 0)::INT) * avg((y = 0)::INT)
        + avg((x = 1)::INT) * avg((y = 1)::INT)
        + avg((x = 2)::INT) * avg((y = 2)::INT) AS exact_by_chance,
        avg((x - y) * (x - y)) AS apart,
        avg(x * x) + avg(y * y) - 2 * avg(x) * avg(y) AS apart_by_chance
    FROM pairs
    GROUP BY benchmark, grader_a, grader_b
)

SELECT
    benchmark, grader_a, grader_b, texts, exact,
    1 - (1 - exact) / nullif(1 - exact_by_chance, 0) AS kappa,
    1 - apart / nullif(apart_by_chance, 0) AS quadratic_kappa
FROM counted
ORDER BY benchmark, grader_a, grader_b;
