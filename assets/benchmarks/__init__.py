"""Stage 1, benchmarks: what is searched, with what texts, and what counts as right.

An adapter a benchmark (`epic_mir`, `ego_mcq`, `epic_sounds`, and `own_table` for a user's own)
reads annotation files into `Annotations`; `adapters` picks the right one. The rest is the same for
all: `recordings` makes the table `media`, `clips` makes `clips`, `queries` makes `captions` and
`relevance`, `questions` makes `questions`, and `exclusions` names everything that was left out or
altered. `relevance` serves what counts as relevant in blocks.
"""
