-- The text of every query, under the id and direction that `query_scores` uses. For audio queries
-- it is the clip's own text.
-- column direction: What is the query; null for questions.
-- column query_id: Caption, clip or question id.
-- column text: The original text.
SELECT benchmark, 'text_to_audio' AS direction, caption_id AS query_id, text_id, text
FROM captions
UNION ALL
SELECT benchmark, 'audio_to_text' AS direction, clip_id AS query_id, text_id, text
FROM clips
UNION ALL
SELECT benchmark, NULL AS direction, question_id AS query_id, text_id, text
FROM questions;
