"""What a config may say, checked and resolved: the schema that `config_file` reads files into.

Relative paths start at the config's base: the folder that holds it, or, if that folder is named
`configs`, the folder above. Unknown keys are errors.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from resources.remote import SECRET, DatabaseAddress, FolderAddress, with_suffix
from resources.sources import SOURCES_FOLDER

PROJECT_ROOT = Path(__file__).resolve().parent.parent
CONFIG_VARIABLE = "SOUND_APPROACH_CONFIG"
LIMIT_VARIABLE = "SOUND_APPROACH_LIMIT"
"""The limit of the Dagster that `ui --limit` opens; nothing else reads it."""
TAKE_LIMIT = ("run", "ui", "plan", "search", "listen", "explain")
"""Commands with an option `--limit` that leads to a limited run's output."""
DEFAULT_CONFIG = PROJECT_ROOT / "configs" / "sample.yaml"
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]


def _resolve(value: Any, info: ValidationInfo) -> Any:
    """A relative path starts at the config's base folder (validation context `base`)."""
    if isinstance(value, str) and info.context:
        return Path(info.context["base"], Path(value).expanduser())
    return value


def _resolve_pattern(value: Any, info: ValidationInfo) -> Any:
    return str(_resolve(value, info)) if isinstance(value, str) else value


ResolvedPath = Annotated[Path, BeforeValidator(_resolve)]
MediaPattern = Annotated[str, BeforeValidator(_resolve_pattern)]


def _web_address(value: str) -> str:
    if not re.match(r"https?://[^\s/]", value):
        raise ValueError(f"`{value}` is no web address: it starts with http:// or https://")
    return value


def _cron_field(value: str) -> str:
    item = rf"(\*|({value})(-({value}))?)(/[1-9]\d*)?"
    return f"{item}(,{item})*"


_CRON = re.compile(
    r"@(hourly|daily|midnight|weekly|monthly|yearly|annually)|"
    + r"\s+".join(
        map(
            _cron_field,
            (
                "[0-5]?[0-9]",
                "[01]?[0-9]|2[0-3]",
                "0?[1-9]|[12][0-9]|3[01]|l",
                "0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec",
                "[0-7]|sun|mon|tue|wed|thu|fri|sat",
            ),
        )
    ),
    re.IGNORECASE,
)


def _cron(value: str) -> str:
    """Check a cron expression, as Dagster would when it is too late to say where it stands."""
    if not _CRON.fullmatch(value):
        raise ValueError(
            f"`{value}` is no time table: write minute, hour, day, month and weekday, such as "
            '"0 3 * * *" for three at night, or "@daily"'
        )
    return value


class Strict(BaseModel):
    """Base of all settings: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class BenchmarkSettings(Strict):
    """What all benchmarks share: where their recordings lie, and files that the authors published.

    Attributes:
        media: patterns, tried in order: a path with `{video_id}`, and `{participant_id}` or `*`
            where needed; with `{chunk}` for recordings in files of 600 seconds; or a plain path to
            an HDF5 file with a data set a recording. Without any, the config's own are used.
        descriptions_from: the authors' `*_gpt` files.
        levels_from: the authors' subset files.
    """

    media: tuple[MediaPattern, ...] = ()
    descriptions_from: tuple[ResolvedPath, ...] = ()
    levels_from: tuple[ResolvedPath, ...] = ()


class EpicMirSettings(BenchmarkSettings):
    """AudioEpicMIR (method section 2). Files that are not named are the official ones, fetched.

    Attributes:
        adapter: needed only under another name.
        clips: `EPIC_100_retrieval_test.csv`.
        sentences: `EPIC_100_retrieval_test_sentence.csv`.
    """

    adapter: Literal["epic_mir"] = "epic_mir"
    clips: ResolvedPath
    sentences: ResolvedPath


class EgoMcqSettings(BenchmarkSettings):
    """AudioEgoMCQ (method section 3).

    Questions are left out (a) where an option has no audio, always; (b) where the options' texts do
    not differ; (c) where an option is silent.

    Attributes:
        adapter: needed only under another name.
        questions: `egomcq.json`; it can't be fetched (docs/real_datasets.md).
        distinct_texts: whether filter (b) is on.
        silence_rms: what filter (c) takes for silence, full scale 1; 0 leaves digital silence.
        clean_speaker_tags: whether `#C C opens` becomes `opens`, before anything is done with it.
    """

    adapter: Literal["ego_mcq"] = "ego_mcq"
    questions: ResolvedPath
    distinct_texts: bool = True
    silence_rms: float = Field(default=1e-4, ge=0)
    clean_speaker_tags: bool = False


class EpicSoundsSettings(BenchmarkSettings):
    """EpicSoundsRet (method section 4). The file is fetched where it is not named.

    Attributes:
        adapter: needed only under another name.
        segments: `EPIC_Sounds_validation.csv`.
        text: what is searched by: the name of the class, or the annotators' words.
    """

    adapter: Literal["epic_sounds"] = "epic_sounds"
    segments: ResolvedPath
    text: Literal["class", "description"] = "class"


class TableColumns(Strict):
    """How the columns of a user's table are named; those after `media` may be absent unless named.

    Attributes:
        clip_id: unique.
        media: the recording, as the pattern under `media:` has it for `{video_id}`.
        start_s: seconds, or `HH:MM:SS.ss`; without times a clip is its whole recording.
        stop_s: likewise.
        participant_id: who recorded.
        sound_class: clips and captions of one class are relevant to each other.
    """

    clip_id: str = "clip_id"
    media: str = "media"
    start_s: str = "start_s"
    stop_s: str = "stop_s"
    participant_id: str = "participant_id"
    sound_class: str = "class"


class TableSettings(BenchmarkSettings):
    """A benchmark of the user's own: a CSV or Parquet table, one row a clip.

    Attributes:
        adapter: that it is one of your own.
        clips: the table.
        texts: its text columns; each makes captions, and the first is the clip's own text.
        columns: its other columns.
        relevance: a second table of pairs (`caption_id, clip_id, relevance`); without pairs and
            classes each caption's own clip is the right one.
    """

    adapter: Literal["table"]
    clips: ResolvedPath
    texts: tuple[str, ...] = Field(default=("text",), min_length=1)
    columns: TableColumns = TableColumns()
    relevance: ResolvedPath | None = None

    @field_validator("texts")
    @classmethod
    def _texts_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """A column named twice would make each of its captions twice, under one id."""
        if len(set(value)) < len(value):
            raise ValueError("name each text column once")
        return value


AnyBenchmark = Annotated[
    EpicMirSettings | EgoMcqSettings | EpicSoundsSettings | TableSettings,
    Field(discriminator="adapter"),
]
OFFICIAL_BENCHMARKS = ("epic_mir", "ego_mcq", "epic_sounds")
OFFICIAL_FILES = {
    "epic_mir": {
        "clips": "epic_kitchens_100/EPIC_100_retrieval_test.csv",
        "sentences": "epic_kitchens_100/EPIC_100_retrieval_test_sentence.csv",
    },
    "epic_sounds": {"segments": "epic_sounds/EPIC_Sounds_validation.csv"},
    "ego_mcq": {"questions": "ego4d/egomcq.json"},
}
"""By benchmark and key, where the official file lies in the folder of sources."""
OFFICIAL_POOL = {
    "audiocaps": [f"audiocaps/{split}.csv" for split in ("train", "val", "test")],
    "kinetics": [f"kinetics_700_2020/{split}.csv" for split in ("train", "val")],
}
"""The lists of the few-shot pool. Kinetics' test list tells no labels, so it can't teach."""


class FewShotSettings(Strict):
    """The annotation files whose overlap is the pool of few-shot examples (method section 7.1).

    Each list of files may be the word `official` instead: then they are fetched.

    Attributes:
        audiocaps: captions by ear.
        kinetics: labels by eye.
        min_overlap_s: how many seconds of a video both must describe.
    """

    audiocaps: tuple[ResolvedPath, ...] = ()
    kinetics: tuple[ResolvedPath, ...] = ()
    min_overlap_s: float = Field(default=2.0, gt=0)


class StyleSettings(Strict):
    """Captions that texts are likened to, beside AudioCaps' of the few-shot pool.

    Attributes:
        clotho: Clotho's caption files, such as `clotho_captions_development.csv`.
    """

    clotho: tuple[ResolvedPath, ...] = ()


class RecordedSettings(Strict):
    """Answers from a file that somebody recorded: no key, no network, no cost.

    Attributes:
        provider: that answers are recorded.
        answers: the file, which `sound-approach record` writes.
        model: that of `openai`, if it was set when they were recorded.
    """

    provider: Literal["recorded"] = "recorded"
    answers: ResolvedPath
    model: str | None = None


class OpenAISettings(Strict):
    """OpenAI, or any server that speaks its protocol. The key stays in the environment.

    Attributes:
        provider: that a server is asked.
        base_url: the server, up to `/v1`; by default OpenAI's.
        model: who is asked instead of the `model:` that each prompt names; a prompt that lists
            `models:` keeps them.
        api_key_variable: the environment variable that holds the key.
        concurrency: how many requests are under way at once.
        requests_per_minute: no more than these, where the account has a limit.
        tokens_per_minute: likewise.
        response_format: how the server is asked for the answer's form; older ones know less.
        timeout_s: for one try of a request.
        deadline_s: for all tries of a request, waits included.
        max_attempts: how often a request without an answer is sent.
        max_answers: how many bad answers to a question are looked at before it is quarantined.
        budget_usd: what one run may spend.
        prices: the price list; by default the project's `prices.yaml`.
        mode: one request after the other, or in batches: cheaper, and answered within a day.
        batch_size: requests in one batch.
        batch_wait_s: how long a run waits for its batches; a later run collects what is not in.
        batch_poll_s: how often it looks.
    """

    provider: Literal["openai"]
    base_url: Annotated[str, AfterValidator(_web_address)] | None = None
    model: str | None = None
    api_key_variable: str = "OPENAI_API_KEY"
    concurrency: int = Field(default=16, ge=1)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    response_format: Literal["json_schema", "json_object", "text"] = "json_schema"
    timeout_s: float = Field(default=60.0, gt=0)
    deadline_s: float = Field(default=600.0, gt=0)
    max_attempts: int = Field(default=6, ge=1)
    max_answers: int = Field(default=3, ge=1)
    budget_usd: float | None = Field(default=None, ge=0)
    prices: ResolvedPath | None = None
    mode: Literal["online", "batch"] = "online"
    batch_size: int = Field(default=20_000, ge=1, le=50_000)
    batch_wait_s: float = Field(default=86_400.0, ge=0)
    batch_poll_s: float = Field(default=20.0, gt=0)


NOBODY = RecordedSettings(answers=PROJECT_ROOT / "resources" / "language_model" / "none.jsonl")
"""Who answers where there is nothing to ask: no answer is recorded."""

AnyLanguageModel = Annotated[RecordedSettings | OpenAISettings, Field(discriminator="provider")]


class MelRidgeSettings(Strict):
    """The small baseline without weights: ridge regression from log-mel statistics to words.

    Attributes:
        kind: the encoder's.
        train: a CSV with the columns `media,start_s,stop_s,visual_text,sound_caption,class`.
        fit_to: which of its texts; that decides which texts win.
        ridge: the penalty, a feature.
    """

    kind: Literal["mel_ridge"]
    train: ResolvedPath
    fit_to: Literal["visual_text", "sound_caption"] = "sound_caption"
    ridge: float = Field(default=0.3, gt=0)


class PrecomputedSettings(Strict):
    """Vectors that the user brings: Parquet files of ids and vectors.

    Attributes:
        kind: the encoder's.
        audio: `clip_id, vector`, and `benchmark` where ids clash.
        text: `text, vector`, or `text_id, vector`.
    """

    kind: Literal["precomputed"]
    audio: ResolvedPath
    text: ResolvedPath


class PretrainedSettings(Strict):
    """What encoders with downloaded weights share.

    Attributes:
        sha256: what the checkpoint must be; checked where given.
        trust: whether an old pickle that nobody vouches for may be read, by a reader that runs
            nothing.
        vocabulary: a folder with the tokenizer's files, instead of the published ones.
        precision: of the model's arithmetic; `bfloat16` is faster, and other vectors.
        batch_size: clips at once; by default what suits the device.
    """

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    trust: bool = False
    vocabulary: ResolvedPath | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    batch_size: int | None = Field(default=None, ge=1)


class LaionClapSettings(PretrainedSettings):
    """LAION-CLAP (method section 6.1).

    Attributes:
        kind: the encoder's.
        checkpoint: an official one by name, or a file.
        fusion: whether it is a fusion model; by default told by the checkpoint's name.
        fuse_short: whether clips of up to ten seconds take the fusion path too, as in the authors'
            runs, or not, as in the `laion-clap` package.
        pad: what fills short clips.
        crop: what a model without fusion takes of long clips.
    """

    kind: Literal["laion_clap"]
    checkpoint: Annotated[
        Literal["630k-best", "630k-audioset-best", "630k-fusion-best", "630k-audioset-fusion-best"]
        | ResolvedPath,
        Field(union_mode="left_to_right"),
    ] = "630k-audioset-fusion-best"
    fusion: bool | None = None
    fuse_short: bool = True
    pad: Literal["repeat_pad", "zero_pad"] = "repeat_pad"
    crop: Literal["crop_random", "crop_centre"] = "crop_random"

    @property
    def is_fusion(self) -> bool:
        """Whether the checkpoint is of a fusion model."""
        return "fusion" in Path(self.checkpoint).name if self.fusion is None else self.fusion


class WavCapsSettings(PretrainedSettings):
    """WavCaps' HTSAT-BERT (method section 6.2).

    Attributes:
        kind: the encoder's.
        checkpoint: a published one by name, or a file.
        normalize_text: lower case and no punctuation, as in WavCaps' training; the authors' runs
            leave texts as they are.
        pad: what fills short clips.
        crop: what is taken of long ones.
    """

    kind: Literal["wavcaps"]
    checkpoint: Annotated[
        Literal["HTSAT-BERT-FT-AudioCaps", "HTSAT-BERT-FT-Clotho"] | ResolvedPath,
        Field(union_mode="left_to_right"),
    ]
    normalize_text: bool = False
    pad: Literal["repeat_pad", "zero_pad"] = "zero_pad"
    crop: Literal["crop_random", "crop_centre"] = "crop_random"


class LateFusionSettings(Strict):
    """Other encoders of this config, fused by a weighted mean of similarities (method 6.4).

    Attributes:
        kind: the encoder's.
        weights: a share for each encoder that is fused, by its name; only their ratio counts.
    """

    kind: Literal["late_fusion"]
    weights: dict[Name, Annotated[float, Field(gt=0)]] = Field(min_length=2)


AnyEncoder = Annotated[
    MelRidgeSettings
    | PrecomputedSettings
    | LaionClapSettings
    | WavCapsSettings
    | LateFusionSettings,
    Field(discriminator="kind"),
]


class MetricsSettings(Strict):
    """How numbers are made (method section 8).

    Attributes:
        relevance_kinds: what makes a clip right for a caption of AudioEpicMIR: verb and noun
            classes together, or one of them alone.
        protocols: whether a subset's queries are ranked among its own clips, among all, or both.
        dual_softmax: whether numbers are also made of similarities normalised by dual softmax.
        dual_softmax_temperature: what similarities are divided by in its first softmax.
        multiple_choice_ties: a right option that ties with k - 1 others scores 1/k (`shared`), or,
            as published, the `first` of the tied is taken.
        resamples: of the bootstrap behind intervals.
        randomisations: draws of the paired test.
        cluster: what is resampled: recordings, or those who recorded them. Where texts are the
            queries, it is texts.
        seed: of resamples and draws.
    """

    relevance_kinds: tuple[Literal["caption", "verb", "noun"], ...] = ("caption",)
    protocols: tuple[Literal["subset_gallery", "full_gallery"], ...] = (
        "subset_gallery",
        "full_gallery",
    )
    dual_softmax: bool = False
    dual_softmax_temperature: float = Field(default=500.0, gt=0)
    multiple_choice_ties: Literal["shared", "first"] = "shared"
    resamples: int = Field(default=2000, ge=100)
    randomisations: int = Field(default=10_000, ge=100)
    cluster: Literal["video", "participant"] = "video"
    seed: int = 0


class FailureHookSettings(Strict):
    """Who is told that an unattended run has failed: a command, a web address, or both.

    Attributes:
        command: a program and its arguments, run without a shell in the config's base folder; it
            reads the message on its standard input.
        webhook: where the message is posted, http or https. If the address is itself a secret,
            write it as `${NAME}`.
    """

    command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    webhook: Annotated[str, AfterValidator(_web_address)] | None = None

    @model_validator(mode="after")
    def _somebody_is_told(self) -> FailureHookSettings:
        if self.command is None and self.webhook is None:
            raise ValueError("name a `command:` (a list of arguments) or a `webhook:`")
        return self


class RaySettings(Strict):
    """Recordings scanned and measured, and vectors computed, on a Ray cluster.

    Attributes:
        kind: the engine's.
        address: of the cluster, as Ray takes it; by default one of this machine's own is started.
        cpus_per_worker: how many cores an encoder's worker has, where the cluster has no GPUs;
            with GPUs it is one worker a GPU. A scan takes every core alone.
    """

    kind: Literal["ray"] = "ray"
    address: str | None = None
    cpus_per_worker: int = Field(default=1, ge=1)


class AutomationSettings(Strict):
    """What may happen unasked, and who is told when it fails.

    Attributes:
        nightly: when everything is looked at anyway, in UTC: five fields of cron, or `@daily` and
            the like.
        settle_s: how long files must rest before a run takes up their change.
        max_usd_per_change: what a run may spend that nobody asked for.
        on_failure: who is told.
    """

    nightly: Annotated[str, AfterValidator(_cron)] = "0 3 * * *"
    settle_s: float = Field(default=3.0, ge=0)
    max_usd_per_change: float = Field(default=1.0, ge=0)
    on_failure: FailureHookSettings | None = None


class Settings(Strict):
    """One config, resolved: every path absolute, every default filled in.

    Attributes:
        name: of the run; by default the file's.
        config_file: the file itself.
        sample: where the synthesised sample is written, for a config that is made of it.
        output: where tables, report and Dagster's home lie; by default `outputs/<name>`.
        cache_dir: what is dear and shared by all configs; by default `outputs/cache`.
        prompts_folder: by default `prompts` beside `configs`, or the project's own.
        media: patterns of recordings, tried in order, for benchmarks that name none.
        benchmarks: by name, see below; an official one's name says which it is.
        few_shot: the pool that few-shot examples are drawn from.
        styles: captions that texts are likened to.
        prompts: the ids to use; `[]` searches by the texts as they are.
        language_model: who answers the prompts.
        encoders: by a name of your own, see below.
        seeds: draws of the windows of clips over ten seconds; metrics are averaged over them.
        metrics: how numbers are made.
        automation: what may happen unasked.
        lake: where the tables lie, if not under `output`: a path, or the URL of an object store.
        vectors: where vectors are kept by content, if not in `cache_dir`: likewise.
        engine: what reads recordings and computes vectors, if not this process: `ray`, or a
            mapping that says where.
        ledger: a PostgreSQL URL for paid answers, if they are not kept in `cache_dir`.
        dagster_storage: likewise for Dagster's runs and events, if not under `output`.
        limit: only so many texts a benchmark, in an output of its own, for every command; `--limit`
            does the same for one.
    """

    name: Name
    config_file: Path
    sample: ResolvedPath | None = None
    output: ResolvedPath
    cache_dir: ResolvedPath
    prompts_folder: ResolvedPath
    media: tuple[MediaPattern, ...] = ()
    benchmarks: dict[Name, AnyBenchmark] = Field(min_length=1)
    few_shot: FewShotSettings = FewShotSettings()
    styles: StyleSettings = StyleSettings()
    prompts: Literal["all"] | tuple[str, ...] = "all"
    language_model: AnyLanguageModel = NOBODY
    encoders: dict[Name, AnyEncoder] = Field(min_length=1)
    seeds: tuple[int, ...] = (0,)
    metrics: MetricsSettings = MetricsSettings()
    automation: AutomationSettings = AutomationSettings()
    lake: FolderAddress | None = None
    vectors: FolderAddress | None = None
    engine: RaySettings | None = None
    ledger: DatabaseAddress | None = None
    dagster_storage: DatabaseAddress | None = None
    limit: int | None = Field(default=None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _place_official_files(cls, value: Any) -> Any:
        """Official files that are not named lie among the fetched ones, under `cache_dir`."""
        if not isinstance(value, Mapping) or not isinstance(value.get("cache_dir"), str):
            return value
        folder = f"{value['cache_dir']}/{SOURCES_FOLDER}"
        given = dict(value)
        for name, fields in _items(given, "benchmarks"):
            official = OFFICIAL_FILES.get(fields.get("adapter", name), {})
            places = {key: f"{folder}/{path}" for key, path in official.items()}
            given["benchmarks"] = {**given["benchmarks"], name: {**places, **fields}}
        if isinstance(given.get("few_shot"), Mapping):
            given["few_shot"] = {
                key: [f"{folder}/{path}" for path in OFFICIAL_POOL.get(key, ())]
                if files == "official"
                else files
                for key, files in given["few_shot"].items()
            }
        return given

    @field_validator("benchmarks", mode="before")
    @classmethod
    def _name_official_adapters(cls, value: Any) -> Any:
        """An official benchmark's name is its adapter's."""
        if not isinstance(value, Mapping):
            return value
        return {
            name: {"adapter": name, **given}
            if name in OFFICIAL_BENCHMARKS and isinstance(given, Mapping)
            else given
            for name, given in value.items()
        }

    @field_validator("engine", mode="before")
    @classmethod
    def _engine_by_name(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("language_model", mode="before")
    @classmethod
    def _forbid_keys(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and "api_key" in value:
            raise PydanticCustomError(
                SECRET,
                "no key belongs in a file: set the environment variable that "
                "`api_key_variable` names (default OPENAI_API_KEY)",
            )
        return value

    @model_validator(mode="after")
    def _somebody_answers_the_prompts(self) -> Settings:
        if self.language_model == NOBODY and self.prompts:
            raise ValueError(
                "`language_model:` is missing: say who answers the prompts, or write "
                "`prompts: []` to search by the texts as they are"
            )
        return self

    @model_validator(mode="after")
    def _fused_encoders_exist(self) -> Settings:
        """What is fused are other encoders of this config, none of them fused itself."""
        single = {
            name
            for name, encoder in self.encoders.items()
            if not isinstance(encoder, LateFusionSettings)
        }
        for name, encoder in self.encoders.items():
            if isinstance(encoder, LateFusionSettings) and encoder.weights.keys() - single:
                unknown = ", ".join(sorted(encoder.weights.keys() - single))
                raise ValueError(f"encoder {name} fuses {unknown}: name others of `encoders:`")
        return self

    @model_validator(mode="after")
    def _limited_output(self) -> Settings:
        """A limited run never shares an output with the full one."""
        suffix = f"-limit-{self.limit}"
        if self.limit is not None and not self.output.name.endswith(suffix):
            limited = self.output.with_name(self.output.name + suffix)
            lake = with_suffix(self.lake, suffix) if self.lake else None
            return self.model_copy(update={"output": limited, "lake": lake})
        return self

    @property
    def base(self) -> Path:
        """The folder at which relative paths of the config start."""
        return base_of(self.config_file)

    @property
    def lake_dir(self) -> Path | str:
        """Where the Parquet tables lie: a folder's path, or its URL."""
        return self.lake or self.output / "lake"

    @property
    def vectors_dir(self) -> Path | str:
        """Where vectors are kept by content, for all configs that share it: a path, or a URL."""
        return self.vectors or self.cache_dir / "vectors"

    @property
    def duckdb_file(self) -> Path:
        """The published DuckDB file."""
        return self.output / "sound_approach.duckdb"

    @property
    def report_file(self) -> Path:
        """The HTML report."""
        return self.output / "report" / "index.html"

    @property
    def ratings_dir(self) -> Path:
        """Where rating sheets, their keys and raters' answers lie."""
        return self.output / "ratings"

    @property
    def listening_file(self) -> Path:
        """The page to listen to, beside the report."""
        return self.report_file.with_name("listening.html")

    @property
    def dagster_home(self) -> Path:
        """Dagster's own home: runs, events, sensors' state."""
        return self.output / "dagster_home"

    @property
    def cluster_packages(self) -> dict[str, str]:
        """By key of this config what it needs of the extra `cluster`."""
        needed = {"ledger": "psycopg", "dagster_storage": "dagster_postgres", "engine": "ray"}
        return {key: package for key, package in needed.items() if getattr(self, key)}

    def command(self, words: str) -> str:
        """A command of this project on this config, as one types it."""
        limit = self.limit if words.split(maxsplit=1)[0] in TAKE_LIMIT else None
        more = f" --limit {limit}" if limit else ""
        return f"sound-approach {words} --config {shlex.quote(str(self.config_file))}{more}"

    def with_budget(self, usd: float | None) -> Settings:
        """The same config with another budget for one run, where answers are to be paid at all."""
        if usd is None or not isinstance(self.language_model, OpenAISettings):
            return self
        model = self.language_model.model_copy(update={"budget_usd": usd})
        return self.model_copy(update={"language_model": model})

    def bounded(self, usd: float | None) -> Settings:
        """The same config with a budget of at most so much for one run; None: as it is."""
        own = getattr(self.language_model, "budget_usd", None)
        return self.with_budget(usd if own is None or usd is None else min(own, usd))

    def media_patterns(self, benchmark: str) -> tuple[str, ...]:
        """The patterns by which a benchmark's recordings are found."""
        return self.benchmarks[benchmark].media or self.media


def base_of(config_file: Path) -> Path:
    """The folder at which relative paths of a config start."""
    folder = config_file.parent
    return folder.parent if folder.name == "configs" else folder


def _items(given: Mapping[str, Any], key: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The entries of a mapping of mappings, of which a key with nothing below it is an empty one.

    What is no such thing is left to the validation.
    """
    entries = given.get(key)
    if not isinstance(entries, Mapping):
        return []
    return [
        (name, fields or {})
        for name, fields in entries.items()
        if isinstance(fields, Mapping | None)
    ]
