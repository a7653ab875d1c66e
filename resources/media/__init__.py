"""Media: recordings found, checked, decoded and cut.

`locating` finds recordings by pattern, `addresses` says what a found one is kept in, `decoding`
turns one into samples, `segments` cuts and resamples, `inventory` says what a recording is and
whether it can be used, `loudness` measures clips, `memory` remembers what was measured, and
`excerpts` and `spectrograms` make clips that a page can play and show. Nothing here knows
benchmarks or tables.
"""
