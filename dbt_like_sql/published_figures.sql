-- Figures that others have published, in percent, to read ours against. What a source leaves open
-- is null: nobody who has not run that very setting can fill it in.
-- column paper_table: Table of arXiv 2402.19106 that the figure belongs to; null: another work.
-- column benchmark: The benchmark it was measured on.
-- column text_kind: Original text (visual) or a language model's description; null: not stated.
-- column direction: What was the query; null: not stated.
-- column subset: Informativeness level, or all.
-- column metric: The metric, under our name for it.
-- column value: The figure, percent.
-- column what: The model and text in words.
-- column source: Where it was published.
SELECT
    figures.paper_table, figures.benchmark, figures.text_kind, figures.direction, figures.subset,
    figures.metric, figures.value, figures.what, figures.source
FROM (
    VALUES
        (1, 'epic_mir', 'visual', NULL, 'all', 'map_published', 10.9,
            'WavCaps-FT-Clotho, visual text (direction not stated)', 'arXiv 2402.19106'),
        (1, 'epic_mir', 'description', NULL, 'all', 'map_published', 11.5,
            'WavCaps-FT-Clotho, GPT-3.5 descriptions (direction not stated)', 'arXiv 2402.19106'),
        (4, 'epic_mir', NULL, NULL, 'low', 'map_published', 6.8,
            'low informativeness (model and text not stated)', 'arXiv 2402.19106'),
        (4, 'epic_mir', NULL, NULL, 'high', 'map_published', 13.8,
            'high informativeness (model and text not stated)', 'arXiv 2402.19106'),
        (NULL, 'epic_mir', 'visual', 'audio_to_text', 'all', 'map_published', 19.4,
            'EgoVLP, which sees the video (4 frames, zero-shot)', 'EgoVLP'),
        (NULL, 'epic_mir', 'visual', 'text_to_audio', 'all', 'map_published', 13.9,
            'EgoVLP, which sees the video (4 frames, zero-shot)', 'EgoVLP'),
        (NULL, 'epic_mir', 'visual', 'mean', 'all', 'map_published', 16.6,
            'EgoVLP, which sees the video (4 frames, zero-shot)', 'EgoVLP'),
        (NULL, 'epic_mir', 'visual', 'audio_to_text', 'all', 'ndcg', 24.1,
            'EgoVLP, which sees the video (4 frames, zero-shot)', 'EgoVLP'),
        (NULL, 'epic_mir', 'visual', 'text_to_audio', 'all', 'ndcg', 22.0,
            'EgoVLP, which sees the video (4 frames, zero-shot)', 'EgoVLP'),
        (NULL, 'epic_mir', 'visual', 'mean', 'all', 'ndcg', 23.1,
            'EgoVLP, which sees the video (4 frames, zero-shot)', 'EgoVLP'),
        (NULL, 'ego_mcq', 'visual', NULL, 'all', 'accuracy_inter', 90.6,
            'EgoVLP, which sees the video (90.6 or 90.7); EgoMCQ before silent clips were removed',
            'EgoVLP'),
        (NULL, 'ego_mcq', 'visual', NULL, 'all', 'accuracy_intra', 57.2,
            'EgoVLP, which sees the video; EgoMCQ before silent clips were removed', 'EgoVLP')
) AS figures (
    paper_table, benchmark, text_kind, direction, subset, metric, value, what, source
);
