-- How large the benchmarks are as published: a smaller gallery is an easier one, so every result
-- table notes it.
-- column benchmark: The benchmark's name.
-- column clips: Clips of the benchmark.
-- column captions: Query texts of the benchmark.
-- column source: Where the count is from.
SELECT sizes.benchmark, sizes.clips, sizes.captions, sizes.source
FROM (
    VALUES
        ('epic_mir', 9668, 3842, 'EPIC_100_retrieval_test.csv and its sentence file'),
        ('epic_sounds', 8035, 44, 'EPIC_Sounds_validation.csv, class labels')
) AS sizes (benchmark, clips, captions, source);
