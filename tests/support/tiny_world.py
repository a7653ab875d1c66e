"""A benchmark of a handful of sounds as its user's files, every kind of edit to it, and what each
edit may cost.

Files are real (config, annotations, recordings, prompts, few-shot pool, checkpoint); the language
model and the encoder are fakes that count what they are asked and answer from nothing else. What
they should be asked is said a second time in `World.wanted`, in the words of the user's files and
without the project's keys, so that a key that leaves something out is found.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import yaml
from support.fake_sender import FakeSender

from assets.descriptions import assets as description_assets
from assets.embeddings import audio, fingerprints, texts, work
from assets.reports.assets import CHAIN
from resources.config_file import load_settings
from resources.encoders.protocol import Window, unit_rows
from resources.hashing import canonical_hash
from resources.language_model.asking import LedgerModel
from resources.language_model.ledger import Ledger
from resources.language_model.question import Question
from resources.settings import Settings
from resources.table_assets.declared import TableAsset
from resources.table_assets.stage import Made, Stage
from resources.tables import LEVELS

BENCHMARK = "own"
RATE = 2000
RECORDING_S = 3.0
WINDOW_S = 0.5
"""Longer clips are cropped."""

_SOUNDS_APART = 10_000

MUTE = "stand still"
"""A text that the language model has no usable answer to."""
ANSWERS_LOOKED_AT = 2
"""How many bad answers to a question are paid for before it is given up."""

WORDS = ("cut onion", "open door", "wash pan", "stir soup", MUTE)
TEMPLATES = {
    "heard": "Heard: {text}",
    "listened": "Listened to: {text}",
    "example": "After {example}: {text}",
}


HISTORY = f"requests/{BENCHMARK}.parquet"
"""What was sent is history: the one table that a fresh start makes otherwise."""

Sent = tuple[str, str, float, str]
"""What a question sends: message, model, temperature; and what for."""


class Crash(KeyboardInterrupt):
    """The process dies here."""


@dataclass(frozen=True)
class Clip:
    """A row of the annotations."""

    recording: str = "a"
    start_s: float = 0.0
    stop_s: float = 0.4
    text: str = WORDS[0]
    sound_class: str = "tap"


@dataclass(frozen=True)
class Prompt:
    """What a prompt's file says."""

    purpose: str = "describe"
    template: str = "heard"
    model: str = "model-a"
    temperature: float = 0.0
    texts_per_request: int = 1


@dataclass(frozen=True)
class World:
    """Everything that a user may edit; immutable, so that going back is taking an older one."""

    clips: Mapping[str, Clip] = field(
        default_factory=lambda: {
            "c0": Clip("a", 0.0, 0.4, WORDS[0], "tap"),
            "c1": Clip("a", 1.0, 2.0, WORDS[1], "door"),
            "c2": Clip("b", 0.5, 1.5, WORDS[0], "tap"),
            "c3": Clip("b", 2.0, 2.3, WORDS[2], "door"),
        }
    )
    sounds: Mapping[str, int] = field(default_factory=lambda: {"a": 0, "b": 1})
    """By recording, which of several contents it has."""
    prompts: Mapping[str, Prompt] = field(
        default_factory=lambda: {"describe": Prompt(), "grade": Prompt("grade")}
    )
    example: str = "water runs"
    """The one few-shot example."""
    checkpoint: str = "weights 0"
    precision: str = "float32"
    crop: str = "crop_random"
    seeds: tuple[int, ...] = (0, 1)
    bootstrap: int = 0
    release: str = "1"
    """Of this project's own code: every table is made again, from what is stored."""

    def wanted(self) -> dict[str, set[Any]]:
        """What a run from nothing would ask of the model and the encoder, each thing once."""
        described = {(p, c.text) for p in self.prompts.values() for c in self.clips.values()}
        answers = {self._question(prompt, text) for prompt, text in described}
        rewritten = {
            answer_to(question)
            for question in answers
            if question[-1] == "describe" and MUTE not in question[0]
        }
        encoder = self.checkpoint, self.precision
        own = {clip.text for clip in self.clips.values()}
        return {
            "answers": answers,
            "texts": {(text, *encoder) for text in own | rewritten},
            "sounds": {item for clip in self.clips.values() for item in self._sounds(clip)},
        }

    def _question(self, prompt: Prompt, text: str) -> Sent:
        message = TEMPLATES[prompt.template].format(text=text, example=self.example)
        return message, prompt.model, prompt.temperature, prompt.purpose

    def _sounds(self, clip: Clip) -> Iterator[tuple[Any, ...]]:
        """The crops of a clip; it ends with its recording, and there may be nothing of it."""
        if clip.start_s >= RECORDING_S:
            return
        sound, stop = self.sounds[clip.recording], min(clip.stop_s, RECORDING_S)
        cut = (sound, clip.start_s, stop, self.checkpoint, self.precision)
        if stop - clip.start_s <= WINDOW_S:
            yield (*cut, "whole", None)
        elif self.crop == "crop_centre":
            yield (*cut, self.crop, None)
        else:
            content = hashlib.sha256(_sound_file(sound)).hexdigest()
            segment = {"recording": content, "start_s": clip.start_s, "stop_s": stop}
            for seed in self.seeds:
                yield (*cut, self.crop, _draw({**segment, "seed": seed}))


def _as_sent(question: Question) -> Sent:
    purpose = "grade" if "level" in question.answer_schema["properties"] else "describe"
    temperature = float(question.parameters["temperature"])
    return question.messages[-1]["content"], question.model, temperature, purpose


def _fields(question: Sent) -> dict[str, str]:
    answer = "" if MUTE in question[0] else answer_to(question)
    if question[-1] == "describe":
        return {"description": answer}
    return {"level": LEVELS[ord(answer[-1]) % 3] if answer else "unheard of"}


def _draw(segment: Mapping[str, Any]) -> int:
    """The number that places a random crop, made from the segment and the seed."""
    return int(canonical_hash(segment)[:16], 16)


@cache
def _sound_file(content: int) -> bytes:
    """A WAV file of which each sample says whose it is and where it was."""
    samples = np.arange(1, round(RECORDING_S * RATE) + 1) + content * _SOUNDS_APART
    with BytesIO() as file:
        sf.write(file, samples.astype(np.int16), RATE, format="WAV")
        return file.getvalue()


def answer_to(question: Sent) -> str:
    """What the fake model says to a question: made from all that was sent, and nothing else."""
    return f"Sounds {hashlib.sha256(json.dumps(list(question)).encode()).hexdigest()[:10]}"


class Project:
    """A world's files in a folder, with the fakes that a run of the chain meets there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "world.yaml"
        self.spent: dict[str, list[Any]] = {"answers": [], "texts": [], "sounds": []}
        """All that was asked so far, in order."""
        self.crash: tuple[str, int] | None = None
        """Of what, after how many requests or batches, the next run dies."""
        self.world: World | None = None

    def write(self, world: World) -> None:
        """Make the files say what the world is; a file that says so already is left alone."""
        self.world = world
        _write_clips(self.folder / "clips.csv", world)
        for name, content in world.sounds.items():
            _write_sound(self.folder / "recordings" / f"{name}.wav", content)
        _write_text(self.folder / "encoder.pt", world.checkpoint)
        _write_pool(self.folder, world.example)
        _write_prompts(self.folder / "prompts", world.prompts)
        _write_text(self.config, yaml.safe_dump(_config(world)))

    def settings(self, fresh: bool = False) -> Settings:
        """The config; its stores and tables in other folders, where a start is to be fresh."""
        if not fresh:
            return load_settings(self.config)
        folder = self.folder / "fresh"
        return load_settings(self.config, output=str(folder), cache_dir=str(folder / "cache"))

    def refresh(self, fresh: bool = False) -> dict[str, dict[str, int]]:
        """Run all stage functions, as a run of `refresh` does; returns the counts of what was made.

        Raises:
            Crash: this was a run that dies.
        """
        settings, counts = self.settings(fresh), {}
        with self.fakes(settings):
            for table in self.chain():
                stage = Stage(settings, BENCHMARK if table.models[0].partitioned else "")
                for model, made, stamp in table.tables(stage):
                    if isinstance(made, Made):
                        stage.lake.write(model, made.frame, stage.benchmark, stamp)
                        counts[model.name] = dict(made.counts)
        return counts

    def differences_to_a_fresh_start(self) -> list[str]:
        """The tables whose bytes are not those that a run from nothing writes."""
        self.crash = None
        self.refresh(fresh=True)
        incremental, fresh = self.tables(), self.tables(fresh=True)
        assert incremental.keys() == fresh.keys()
        return [name for name in fresh if name != HISTORY and incremental[name] != fresh[name]]

    def chain(self) -> list[TableAsset]:
        """The chain's declarations, of the release that the world has."""
        assert self.world
        return [replace(table, code_version=self.world.release) for table in CHAIN]

    def tables(self, fresh: bool = False) -> dict[str, bytes]:
        """Every Parquet file's bytes."""
        lake = self.settings(fresh).lake_dir
        return {str(p.relative_to(lake)): p.read_bytes() for p in sorted(lake.rglob("*.parquet"))}

    @contextmanager
    def fakes(self, settings: Settings) -> Iterator[None]:
        """With the fake model and encoder, and files that need not outlive a power cut."""
        with pytest.MonkeyPatch.context() as patch:
            for module in (audio, texts, fingerprints):
                patch.setattr(module, "build_encoder", self._encoder)
            patch.setattr(work, "_SAVE_EVERY_S", 0.0)
            patch.setattr(texts, "BATCH", 2)
            patch.setattr("os.fsync", lambda descriptor: None)
            with Ledger.in_folder(settings.cache_dir) as ledger:
                model = LedgerModel(ledger, FakeSender(ledger, self._answer), ANSWERS_LOOKED_AT)
                opens = {"open_language_model": model, "open_ledger": ledger}
                for name, opened in opens.items():
                    patch.setattr(description_assets, name, _opening(opened))
                yield

    def count(self, kind: str, items: Sequence[Any]) -> None:
        """Note what is asked; a run that is to die dies before it is answered."""
        if self.crash and self.crash[0] == kind:
            self.crash = (kind, self.crash[1] - 1)
            if self.crash[1] < 0:
                raise Crash
        self.spent[kind] += items

    def _answer(self, questions: Sequence[Question]) -> list[dict[str, str]]:
        asked = [_as_sent(question) for question in questions]
        self.count("answers", asked)
        return [_fields(question) for question in asked]

    def _encoder(self, name: str, settings: Any, *_: Any) -> _Encoder:
        return _Encoder(name, settings, self.count)


def _opening(opened: Any) -> Callable[..., AbstractContextManager[Any]]:
    """Stands in for a function that opens a thing: it is open already, and stays so."""
    return lambda *_, **__: nullcontext(opened)


class _Encoder:
    """Vectors made from the weights, the precision, the crop and the text, and nothing else."""

    sample_rate = RATE
    batch_size = 2
    training_recordings: frozenset[str] = frozenset()

    def __init__(self, name: str, settings: Any, count: Callable[[str, Sequence[Any]], None]):
        self.name = name
        self.weights = (Path(settings.checkpoint).read_text(), settings.precision)
        self.fingerprint = hashlib.sha256(repr(self.weights).encode()).hexdigest()
        self.window = Window(WINDOW_S, "zero_pad", settings.crop)
        self.count = count

    def embed_audio(self, waveforms: Sequence[np.ndarray], draws: Sequence[int]) -> np.ndarray:
        self.count("sounds", list(map(self._as_heard, waveforms, draws)))
        crops = [self._crop(wave, draw) for wave, draw in zip(waveforms, draws, strict=True)]
        return self._vectors([crop.tobytes() for crop in crops])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.count("texts", [(text, *self.weights) for text in texts])
        return self._vectors([text.encode() for text in texts])

    def _as_heard(self, wave: np.ndarray, draw: int) -> tuple[Any, ...]:
        sound, first = divmod(round(float(wave[0]) * 2**15) - 1, _SOUNDS_APART)
        cut = (sound, first / RATE, (first + len(wave)) / RATE, *self.weights)
        if len(wave) <= WINDOW_S * RATE:
            return (*cut, "whole", None)
        random = self.window.crop == "crop_random"
        return (*cut, self.window.crop, draw if random else None)

    def _crop(self, wave: np.ndarray, draw: int) -> np.ndarray:
        room = len(wave) - round(WINDOW_S * RATE)
        if room <= 0:
            return wave
        start = room // 2 if self.window.crop == "crop_centre" else draw % room
        return wave[start : start + round(WINDOW_S * RATE)]

    def _vectors(self, contents: Sequence[bytes]) -> np.ndarray:
        seeds = [hashlib.sha256(repr(self.weights).encode() + c).digest() for c in contents]
        return unit_rows(
            np.array([np.frombuffer(seed, np.uint8).astype(float) - 128 for seed in seeds])
        )


# ----------------------------------------------------------------------------------- files


def _config(world: World) -> dict[str, Any]:
    return {
        "media": ["recordings/{video_id}.wav"],
        "benchmarks": {BENCHMARK: {"adapter": "table", "clips": "clips.csv"}},
        "few_shot": {"audiocaps": ["audiocaps.csv"], "kinetics": ["kinetics.csv"]},
        "language_model": {"provider": "openai", "max_answers": ANSWERS_LOOKED_AT},
        "encoders": {
            "fake": {
                "kind": "laion_clap",
                "checkpoint": "encoder.pt",
                "precision": world.precision,
                "crop": world.crop,
            }
        },
        "seeds": list(world.seeds),
        "metrics": {
            "protocols": ["subset_gallery"],
            "resamples": 100,
            "randomisations": 100,
            "seed": world.bootstrap,
        },
    }


def _write_clips(file: Path, world: World) -> None:
    header = ["clip_id", "media", "start_s", "stop_s", "text", "class"]
    rows = [
        [name, clip.recording, clip.start_s, clip.stop_s, clip.text, clip.sound_class]
        for name, clip in sorted(world.clips.items())
    ]
    _write_csv(file, header, rows)


def _write_sound(file: Path, content: int) -> None:
    file.parent.mkdir(exist_ok=True)
    if not file.exists() or file.read_bytes() != _sound_file(content):
        file.write_bytes(_sound_file(content))


def _write_pool(folder: Path, example: str) -> None:
    pair = [["label", "youtube_id", "time_start", "time_end"], ["cooking", "aa", 0, 10]]
    _write_csv(folder / "kinetics.csv", pair[0], [pair[1]])
    header = ["audiocap_id", "youtube_id", "start_time", "caption"]
    _write_csv(folder / "audiocaps.csv", header, [[1, "aa", 0, example]])


def _write_prompts(folder: Path, prompts: Mapping[str, Prompt]) -> None:
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.yaml"):
        if file.stem not in prompts:
            file.unlink()
    for name, prompt in prompts.items():
        _write_text(folder / f"{name}.yaml", yaml.safe_dump(_prompt(name, prompt)))


def _prompt(name: str, prompt: Prompt) -> dict[str, Any]:
    places = {"text": "{{ text }}", "example": "{{ examples[0].audio_caption }}"}
    answers = {"describe": {"description": "string"}, "grade": {"level": [*LEVELS]}}
    return {
        "id": name,
        "about": "For tests.",
        "purpose": prompt.purpose,
        "model": prompt.model,
        "parameters": {"temperature": prompt.temperature, "max_tokens": 50},
        "messages": [{"role": "user", "content": TEMPLATES[prompt.template].format(**places)}],
        "answer": answers[prompt.purpose],
        "texts_per_request": prompt.texts_per_request,
        **({"examples": {"count": 1}} if prompt.template == "example" else {}),
    }


def _write_csv(file: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    with (file.with_suffix(".new")).open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([header, *rows])
    _write_text(file, file.with_suffix(".new").read_text(encoding="utf-8"))


def _write_text(file: Path, text: str) -> None:
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")
