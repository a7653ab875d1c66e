"""Every table of the project, in the order data flows. Names and columns are a public contract.

Each model says what one row is; `table_model.py` says what a model can do. A column that does not
apply to a row is null. All values of metrics are fractions.
"""

from __future__ import annotations

import hashlib
import unicodedata

from resources.table_model import Column, TableModel, Used

VISUAL = "visual"
"""The variant of the original text: a narration, or a sound class's label."""

OPTIONS = 5
"""Clips that a multiple-choice question offers."""

LEVELS = ("low", "moderate", "high")
SUBSETS = ("all", *LEVELS)
PREFERENCES = ("visual", "same", "description")
PROTOCOLS = ("subset_gallery", "full_gallery")
DIRECTIONS = ("text_to_audio", "audio_to_text", "mean")
RELEVANCE_KINDS = ("caption", "verb", "noun", "class", "pairs", "question")
RECALL_RULES = ("duplicates", "diagonal")
METRICS = (
    "map_published",
    "map_binary",
    "ndcg",
    "recall_at_1",
    "recall_at_5",
    "recall_at_10",
    "recall_at_50",
    "median_rank",
    "mean_rank",
    "accuracy_inter",
    "accuracy_intra",
    "class_accuracy",
)
MAIN_METRICS = ("map_published", "accuracy_inter", "accuracy_intra")
"""What stands for a benchmark where one figure must."""
MAIN_RELEVANCE_KINDS = ("caption", "pairs", "class", "question")
"""What result tables show; `verb` and `noun` are other views of the same queries."""


def normalized(text: str) -> str:
    """A text as its id stands for it: stripped, in Unicode's NFC."""
    return unicodedata.normalize("NFC", text.strip())


def text_id(text: str) -> str:
    """The id of a distinct text, the same in every table: 16 hex digits."""
    return hashlib.sha256(normalized(text).encode()).hexdigest()[:16]


BENCHMARK = Column("benchmark", "label", "The benchmark's name in the config: the partition.")


def _string(name: str, description: str, nullable: bool = False) -> Column:
    return Column(name, "string", description, nullable)


def _label(
    name: str, description: str, allowed: tuple[str, ...] | None = None, nullable: bool = False
) -> Column:
    return Column(name, "label", description, nullable, allowed)


def _int(name: str, description: str, nullable: bool = False, minimum: float | None = 0) -> Column:
    return Column(name, "int", description, nullable, minimum=minimum)


def _float(
    name: str,
    description: str,
    nullable: bool = False,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Column:
    return Column(name, "float", description, nullable, minimum=minimum, maximum=maximum)


def _bool(name: str, description: str) -> Column:
    return Column(name, "bool", description)


TEXT_ID = _string("text_id", "First 16 hex digits of sha256 of the stripped, NFC-normalised text.")
VARIANT = _label(
    "variant", "Which text: `visual`, a prompt's id (`id@model` where it lists several), `paper`."
)
ENCODER = _label("encoder", "The encoder's name in the config.")
KEY = _string("key", "sha256 of everything that decides the value, and of nothing else.")

# ---------------------------------------------------------------------------- benchmarks

MEDIA = TableModel(
    "media",
    "benchmarks",
    "One recording that clips are cut from.",
    (
        BENCHMARK,
        _string("video_id", "The recording's id."),
        _string("path", "Where the file lies; null if none was found.", nullable=True),
        _float("duration_s", "Length of the decoded audio, seconds.", True, minimum=0),
        _int("sample_rate", "Samples a second, as stored.", True),
        _int("channels", "Channels, as stored; audio is used as their mean.", True),
        _string("content_hash", "sha256 of the file.", nullable=True),
        _bool("usable", "Whether its audio decodes to its end and is not all digital silence."),
        _string("reason", "Why not.", nullable=True),
    ),
    key=("benchmark", "video_id"),
    used=Used("usable", filled=("path", "duration_s", "sample_rate", "channels", "content_hash")),
)

CLIPS = TableModel(
    "clips",
    "benchmarks",
    "One audio segment: what text queries are to find.",
    (
        BENCHMARK,
        _string("clip_id", "Unique within the benchmark."),
        _string("video_id", "The recording that it is cut from."),
        _string("participant_id", "Who recorded it, where known.", nullable=True),
        _float("start_s", "Start, seconds from the recording's start.", minimum=0),
        _float(
            "stop_s",
            "End, seconds, after cutting at the recording's end; null where that is asked for, and "
            "the recording can't be used.",
            nullable=True,
            minimum=0,
        ),
        _string("text", "Its own text: narration, or sound class."),
        TEXT_ID,
        _bool("shortened", "Whether it was cut at the end of its recording."),
        _int("verb_class", "Verb class, or sound class.", nullable=True),
        Column("noun_classes", "ints", "Noun classes, as a sorted set.", nullable=True),
        _float("rms", "Root mean square of its samples, full scale 1.", True, 0),
        _float("peak", "Largest absolute sample, full scale 1.", True, 0),
        _float("digital_silence", "Share of samples that are exactly 0.", True, 0, 1),
        _bool("usable", "Whether it is in the gallery."),
        _string("reason", "Why not.", nullable=True),
    ),
    key=("benchmark", "clip_id"),
    used=Used("usable", filled=("stop_s",), after=(("stop_s", "start_s"),)),
)

CAPTIONS = TableModel(
    "captions",
    "benchmarks",
    "One query text of a retrieval benchmark.",
    (
        BENCHMARK,
        _string("caption_id", "Unique within the benchmark."),
        _string("clip_id", "The clip that it was written for, if there is one.", nullable=True),
        _string("text", "The text, taken from the clip's own row."),
        TEXT_ID,
        _int("verb_class", "Verb class, or sound class.", nullable=True),
        Column("noun_classes", "ints", "Noun classes.", nullable=True),
    ),
    key=("benchmark", "caption_id"),
)

RELEVANCE = TableModel(
    "relevance",
    "benchmarks",
    "Pairs that a user's own benchmark brings; official ones are computed from classes, in blocks.",
    (
        BENCHMARK,
        _string("caption_id", "The query text."),
        _string("clip_id", "The clip."),
        _float("relevance", "How relevant: 1 fully, 0 not at all.", minimum=0, maximum=1),
    ),
    key=("benchmark", "caption_id", "clip_id"),
)

QUESTIONS = TableModel(
    "questions",
    "benchmarks",
    "One multiple-choice question: a text and five clips.",
    (
        BENCHMARK,
        _string("question_id", "Its key in the file."),
        _label("kind", "Clips of several videos, or of one.", ("inter", "intra")),
        _string("text", "The query text."),
        TEXT_ID,
        Column("options", "strings", "Clip ids, in order.", length=OPTIONS),
        Column(
            "answer", "int", "Position of the right option, from 0.", minimum=0, maximum=OPTIONS - 1
        ),
        _bool("usable", "Whether it is asked."),
        _string("reason", "Why not.", nullable=True),
    ),
    key=("benchmark", "question_id"),
    used=Used("usable"),
)

_LEFT_OUT = (
    BENCHMARK,
    _label(
        "item_kind",
        "What kind of thing.",
        ("media", "clip", "caption", "question", "text", "encoder"),
    ),
    _string("item_id", "Its id."),
    _label("effect", "Left out, or used in altered form.", ("excluded", "altered")),
    _label("encoder", "For which encoder only; null: for all.", nullable=True),
    _label("stage", "The stage that decided it."),
    _label("reason", "Why, in a few fixed words."),
    _string("detail", "Why, in full.", nullable=True),
)
_LEFT_OUT_KEY = ("benchmark", "stage", "item_kind", "item_id", "encoder", "reason", "detail")

EXCLUSIONS = TableModel(
    "exclusions",
    "retrieval",
    "One thing left out or altered, by any stage: items read = items used + items here.",
    _LEFT_OUT,
    key=_LEFT_OUT_KEY,
)

# -------------------------------------------------------------------------- descriptions

FEW_SHOT_EXAMPLES = TableModel(
    "few_shot_examples",
    "descriptions",
    "One pair of the Kinetics x AudioCaps overlap: the same seconds of video, described by eye "
    "and by ear.",
    (
        _string("youtube_id", "The video."),
        _string("visual_text", "The Kinetics action label."),
        _string("audio_caption", "The AudioCaps caption."),
        _float("overlap_s", "Seconds that both annotations share.", minimum=0),
        _bool("kept", "Whether prompts may use it."),
        _string("reason", "Why not.", nullable=True),
    ),
    key=("youtube_id", "visual_text", "audio_caption"),
    partitioned=False,
    used=Used("kept"),
)

PROMPTS = TableModel(
    "prompts",
    "descriptions",
    "One prompt and model, as it is in its file now.",
    (
        VARIANT,
        _label("purpose", "Rewrite texts, or grade them.", ("describe", "grade")),
        _string("model", "The language model."),
        _string("parameters", "Sampling parameters, as canonical JSON."),
        _string("template", "The messages' template (Jinja2)."),
        _string("template_hash", "sha256 of the template."),
        Column("examples", "strings", "The few-shot examples, each `visual text -> caption`."),
        _string("file", "Its file's name."),
    ),
    key=("variant",),
    partitioned=False,
)

REQUESTS = TableModel(
    "requests",
    "descriptions",
    "One request that was sent to a language model, for texts of this benchmark.",
    (
        BENCHMARK,
        _string("request_id", "Its id in the ledger."),
        VARIANT,
        Column("text_ids", "strings", "The texts that it asked about."),
        _label("model", "The model asked."),
        _label("state", "Where it stands.", ("queued", "sent", "in_batch", "answered", "failed")),
        _int("attempts", "How often it was sent."),
        _int("prompt_tokens", "Tokens in, as the server counted.", nullable=True),
        _int("completion_tokens", "Tokens out.", nullable=True),
        _float("cost_usd", "What it cost; null where the price is unknown.", True, 0),
        _string("raw_answer", "The body that came back.", nullable=True),
    ),
    key=("benchmark", "request_id"),
)

MADE_WITH = _label(
    "made_with",
    "What of the prompt decided the answer, as JSON: model asked, parameters, the answer's fields, "
    "hashes of template and examples. Null for `paper`.",
    nullable=True,
)

DESCRIPTIONS = TableModel(
    "descriptions",
    "descriptions",
    "One distinct text rewritten as an audio description.",
    (
        BENCHMARK,
        TEXT_ID,
        VARIANT,
        _string("text", "The original text."),
        _string("description", "What it would sound like."),
        _label("model", "The model that answered."),
        MADE_WITH,
        KEY,
    ),
    key=("benchmark", "text_id", "variant"),
    version_columns=("text_id", "variant", "text", "description", "model", "key"),
)

TEXT_STYLES = TableModel(
    "text_styles",
    "descriptions",
    "How one distinct text is worded in one variant: what may explain why it is found or not.",
    (
        BENCHMARK,
        TEXT_ID,
        VARIANT,
        _string("text", "The text as it is searched with."),
        _int("words", "Its words."),
        Column("vocabulary", "strings", "Its distinct words, in lower case, sorted."),
        _float("sound_words", "Share of its words on the list `sound_words.txt`.", False, 0, 1),
        _float("visual_words", "Share of its words on the list `visual_words.txt`.", False, 0, 1),
        _float(
            "audiocaps_similarity",
            "TF-IDF cosine with the centroid of the AudioCaps captions under `few_shot:`; null "
            "without any.",
            True,
            0,
            1,
        ),
        _float(
            "clotho_similarity",
            "The same with the Clotho captions under `styles:`; null without any.",
            True,
            0,
            1,
        ),
    ),
    key=("benchmark", "text_id", "variant"),
)

INFORMATIVENESS = TableModel(
    "informativeness",
    "descriptions",
    "One distinct text graded: how well can the action be told from its sound?",
    (
        BENCHMARK,
        TEXT_ID,
        _label("grader", "The grading prompt's id (`id@model` where it lists several), `paper`."),
        _string("text", "The original text."),
        _label("level", "The grade.", LEVELS),
        _string("reason", "The grader's reason, where asked for.", nullable=True),
        _label("model", "The model that answered."),
        MADE_WITH,
        KEY,
    ),
    key=("benchmark", "text_id", "grader"),
    version_columns=("text_id", "grader", "text", "level", "reason", "model", "key"),
)

DESCRIPTION_EXCLUSIONS = TableModel(
    "description_exclusions",
    "descriptions",
    "One text that a prompt has no description of, with the reason; `exclusions` repeats it.",
    _LEFT_OUT,
    key=_LEFT_OUT_KEY,
)

INFORMATIVENESS_EXCLUSIONS = TableModel(
    "informativeness_exclusions",
    "descriptions",
    "One text that a grader gave no level, with the reason; `exclusions` repeats it.",
    _LEFT_OUT,
    key=_LEFT_OUT_KEY,
)

SUBSET_MEMBERS = TableModel(
    "subset_members",
    "descriptions",
    "The informativeness partitions. What has no grade is in no subset, and in `exclusions`.",
    (
        BENCHMARK,
        _label("grader", "Who graded."),
        _label("subset", "The level.", LEVELS),
        _label("item_kind", "What kind of item.", ("clip", "caption", "question")),
        _string("item_id", "Its id."),
    ),
    key=("benchmark", "grader", "subset", "item_kind", "item_id"),
)

# ---------------------------------------------------------------------------- embeddings

AUDIO_EMBEDDINGS = TableModel(
    "audio_embeddings",
    "embeddings",
    "One unit vector a clip, encoder and seed.",
    (
        BENCHMARK,
        _string("clip_id", "The clip."),
        ENCODER,
        _int("seed", "Draws the crop of clips longer than the encoder's input."),
        _label("crop_rule", "How a clip becomes the encoder's input length."),
        KEY,
        Column("vector", "vector", "Unit length, float32."),
    ),
    key=("benchmark", "clip_id", "encoder", "seed"),
    version_columns=("clip_id", "encoder", "seed", "key"),
)

EMBEDDING_EXCLUSIONS = TableModel(
    "embedding_exclusions",
    "embeddings",
    "One clip that an encoder has no vector of, or one encoder that can't run here, with the "
    "reason; `exclusions` repeats it.",
    (
        BENCHMARK,
        _label("item_kind", "What kind of thing.", ("clip", "encoder")),
        _string("item_id", "Its id."),
        ENCODER,
        _label("reason", "Why, in a few fixed words."),
        _string("detail", "Why, in full.", nullable=True),
    ),
    key=("benchmark", "item_kind", "item_id", "encoder"),
)

TEXT_EMBEDDINGS = TableModel(
    "text_embeddings",
    "embeddings",
    "One unit vector a distinct text and encoder, however many rows carry the text.",
    (
        BENCHMARK,
        TEXT_ID,
        ENCODER,
        KEY,
        Column("vector", "vector", "Unit length, float32."),
    ),
    key=("benchmark", "text_id", "encoder"),
    version_columns=("text_id", "encoder", "key"),
)

TEXT_EMBEDDING_EXCLUSIONS = TableModel(
    "text_embedding_exclusions",
    "embeddings",
    "One text that an encoder failed with, or one encoder that can't embed texts here, with the "
    "reason; `exclusions` repeats it.",
    (
        BENCHMARK,
        _label("item_kind", "What kind of thing.", ("text", "encoder")),
        _string("item_id", "Its id."),
        ENCODER,
        _label("reason", "Why, in a few fixed words."),
        _string("detail", "Why, in full.", nullable=True),
    ),
    key=("benchmark", "item_kind", "item_id", "encoder"),
)

# ----------------------------------------------------------------------------- retrieval

_SETTING = (
    _label("grader", "Who graded; null for the subset `all`.", nullable=True),
    _label("subset", "Which informativeness level.", SUBSETS),
    _label(
        "protocol", "Both sides filtered, or queries only; null for questions.", PROTOCOLS, True
    ),
    _label("direction", "What is the query; null for questions.", DIRECTIONS, True),
    _label("relevance_kind", "What counts as relevant.", RELEVANCE_KINDS),
    _label("crop_rule", "How long clips were cut."),
    _label("similarity", "How similarities were made.", ("cosine", "dual_softmax")),
    _label("recall_rule", "What recall counts as right; null elsewhere.", RECALL_RULES, True),
)
_SETTING_KEY = tuple(column.name for column in _SETTING)
_METRIC = _label("metric", "Which metric.", METRICS)

QUERY_SCORES = TableModel(
    "query_scores",
    "retrieval",
    "One query's value of one metric, averaged over seeds.",
    (
        BENCHMARK,
        ENCODER,
        VARIANT,
        *_SETTING,
        _string("query_id", "Caption, clip or question id."),
        _label("video_id", "The query's recording; of a question, that of its answer.", None, True),
        _METRIC,
        _float("value", "A fraction; ranks count from 1."),
        _float("rank", "Rank of the first right candidate, from 1.", True, 1),
    ),
    key=("benchmark", "encoder", "variant", *_SETTING_KEY, "metric", "query_id"),
)

QUERY_HITS = TableModel(
    "query_hits",
    "retrieval",
    "How many right candidates a query of the whole gallery has, and finds early: what precision, "
    "recall and F1 are made of. Averaged over seeds; of tied candidates, what is expected.",
    (
        BENCHMARK,
        ENCODER,
        VARIANT,
        _label("direction", "What is the query.", DIRECTIONS[:2]),
        _label("relevance_kind", "What counts as right.", RELEVANCE_KINDS),
        _string("query_id", "Caption or clip id."),
        _int("right_candidates", "Candidates of relevance 1.", minimum=1),
        *(
            _float(f"hits_at_{k}", f"Of them among the first {k}.", False, 0)
            for k in (1, 5, 10, 50)
        ),
    ),
    key=("benchmark", "encoder", "variant", "direction", "query_id"),
)

_INTERVAL = (
    _float("ci_low", "Lower end of the 95 % interval.", True),
    _float("ci_high", "Upper end of the 95 % interval.", True),
)

SCORES = TableModel(
    "scores",
    "retrieval",
    "One metric over all queries, with its interval, floor and ceiling.",
    (
        BENCHMARK,
        ENCODER,
        VARIANT,
        *_SETTING,
        _METRIC,
        _float("value", "Mean over queries (median for `median_rank`)."),
        *_INTERVAL,
        _float(
            "plain_ci_low",
            "Lower end of the plain 95 % interval, which takes queries for independent.",
            True,
        ),
        _float("plain_ci_high", "Upper end of the plain interval.", True),
        _label(
            "cluster",
            "What the bootstrap behind `ci_low` and `ci_high` resamples; `(approximate)` under 40 "
            "clusters.",
            None,
            True,
        ),
        _int("queries", "Queries scored."),
        _int("candidates", "Candidates of each."),
        _float("random_floor", "What random similarities reach.", True),
        _float("ceiling", "What a perfect model reaches.", True),
        _int("seeds", "Seeds averaged."),
    ),
    key=("benchmark", "encoder", "variant", *_SETTING_KEY, "metric"),
)

COMPARISONS = TableModel(
    "comparisons",
    "retrieval",
    "A paired difference between two variants of the text, `variant` minus `baseline`.",
    (
        BENCHMARK,
        ENCODER,
        _label("baseline", "The variant compared with."),
        VARIANT,
        *_SETTING,
        _METRIC,
        _float("delta", "Difference of the means."),
        *_INTERVAL,
        _float("p_value", "Paired randomisation test, two-sided.", True, 0, 1),
        _float(
            "p_holm",
            "The same, Holm-corrected over the benchmark's comparisons in this metric.",
            True,
            0,
            1,
        ),
        _int("queries", "Queries that both have."),
    ),
    key=("benchmark", "encoder", "baseline", "variant", *_SETTING_KEY, "metric"),
)

# ------------------------------------------------------------------------------- reports

_SHEET = _string("sheet", "The rating sheet's id.")
_RATER = _string("rater", "Who rated, as they named themselves.")

RATERS = TableModel(
    "raters",
    "reports",
    "One rater's file of a rating sheet: accepted, or rejected with the reasons.",
    (
        _SHEET,
        _RATER,
        _bool("accepted", "Whether the ratings count."),
        _string("reason", "Why they do not.", nullable=True),
        _int("items", "Answers in the file."),
        _int("repeats", "Sounds that came twice, unannounced; null where not judged.", True),
        _int("held", "Those of them that were answered alike.", True),
        _int("contradictions", "Items whose preferred text was rated worse.", True),
    ),
    key=("sheet", "rater"),
    partitioned=False,
    used=Used("accepted"),
)

RATINGS = TableModel(
    "ratings",
    "reports",
    "One accepted rater's judgement of one sound and its two texts, given blind.",
    (
        _SHEET,
        _RATER,
        _string("item", "The sound's place on the sheet, as an id."),
        BENCHMARK,
        _string("clip_id", "The clip that was heard."),
        TEXT_ID,
        _string("text", "The visual text."),
        VARIANT,
        _string("description", "The description, as it was when the sheet was drawn."),
        _int("visual_rating", "How well the visual text tells what is heard, 1 to 5.", minimum=1),
        _int("description_rating", "How well the description does, 1 to 5.", minimum=1),
        _label("preference", "Which tells it better.", PREFERENCES),
        _label("informativeness", "How well the rater can tell the action by ear.", LEVELS),
        _label("grader", "The model's grading prompt."),
        _label("level", "How well the action can be told by ear, as that prompt says.", LEVELS),
        _int("plays", "How often the sound was heard to its end.", minimum=1),
        _string(
            "repeat_of",
            "The item that this one repeats; statistics leave repeats out.",
            nullable=True,
        ),
    ),
    key=("sheet", "rater", "item"),
    partitioned=False,
)

RATING_AGREEMENT = TableModel(
    "rating_agreement",
    "reports",
    "How far raters agree with one another, and with the model that graded.",
    (
        _SHEET,
        _label(
            "subject",
            "What they judged.",
            ("visual_rating", "description_rating", "preference", "informativeness"),
        ),
        _label(
            "statistic",
            "Krippendorff's alpha over all raters, or Cohen's kappa with quadratic weights of two.",
            ("alpha_nominal", "alpha_ordinal", "quadratic_kappa"),
        ),
        _string("first", "A rater; `all raters` for all judgements together."),
        _string("second", "Another rater, or the grading prompt; null for alpha.", nullable=True),
        _float(
            "value",
            "1: full agreement, 0: as by chance; null where all said the same, and chance too.",
            True,
            maximum=1,
        ),
        _float("ci_low", "Lower end of the 95 % interval, by bootstrap over items.", True),
        _float("ci_high", "Upper end of the 95 % interval.", True),
        _int("items", "Items that count."),
        _int("raters", "Raters that count."),
    ),
    key=("sheet", "subject", "statistic", "first", "second"),
    partitioned=False,
)

RATING_PREFERENCES = TableModel(
    "rating_preferences",
    "reports",
    "How often the description is preferred over the visual text, and how much better it is rated.",
    (
        _SHEET,
        _label("benchmark", "The benchmark; `all`: all of the sheet's."),
        _label("variant", "Whose descriptions; `all`: all of the sheet's."),
        _label("subset", "The model's level.", SUBSETS),
        _int("for_description", "Judgements that prefer the description."),
        _int("same", "Judgements that find both equally good."),
        _int("for_visual", "Judgements that prefer the visual text."),
        _float("share", "Share for the description, ties counting half.", False, 0, 1),
        _float("ci_low", "Lower end of the share's 95 % interval, over items and raters.", True),
        _float("ci_high", "Upper end of the share's 95 % interval.", True),
        _float("gain", "Mean rating of the description less that of the visual text, in steps."),
        _float("gain_ci_low", "Lower end of the gain's 95 % interval.", True),
        _float("gain_ci_high", "Upper end of the gain's 95 % interval.", True),
        _int("items", "Items that count."),
        _int("raters", "Raters that count."),
    ),
    key=("sheet", "benchmark", "variant", "subset"),
    partitioned=False,
)

TABLES: dict[str, TableModel] = {
    model.name: model
    for model in (
        MEDIA,
        CLIPS,
        CAPTIONS,
        RELEVANCE,
        QUESTIONS,
        FEW_SHOT_EXAMPLES,
        PROMPTS,
        REQUESTS,
        DESCRIPTIONS,
        DESCRIPTION_EXCLUSIONS,
        TEXT_STYLES,
        INFORMATIVENESS,
        INFORMATIVENESS_EXCLUSIONS,
        SUBSET_MEMBERS,
        AUDIO_EMBEDDINGS,
        EMBEDDING_EXCLUSIONS,
        TEXT_EMBEDDINGS,
        TEXT_EMBEDDING_EXCLUSIONS,
        EXCLUSIONS,
        QUERY_SCORES,
        QUERY_HITS,
        SCORES,
        COMPARISONS,
        RATERS,
        RATINGS,
        RATING_AGREEMENT,
        RATING_PREFERENCES,
    )
}
