"""What a failing encoder costs: one item, or itself for now; and never the next run's chance."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.stub_encoders import MANY, RATE, VIDEOS, Sounds, StubEncoder, clip, settings, use

from assets.embeddings import engine, texts, work
from assets.embeddings.assets import audio_embeddings, text_embeddings
from assets.embeddings.audio import embed_clips
from assets.embeddings.results import Embeddings
from assets.embeddings.texts import embed_texts
from assets.embeddings.work import Work
from resources.counts import Counts
from resources.encoders import torch_runtime
from resources.encoders.laion_clap import LaionClap
from resources.encoders.protocol import EncoderUnavailable
from resources.encoders.torch_runtime import in_batches
from resources.lake import Lake, Stamp
from resources.settings import LaionClapSettings
from resources.table_assets.declared import TableAsset
from resources.table_assets.stage import Made, Stage
from resources.tables import CAPTIONS, CLIPS, DESCRIPTIONS, MEDIA, QUESTIONS, text_id

NO_WEIGHTS = EncoderUnavailable("weights missing", "put them there")
TEXTS = [f"text {number:03}" for number in range(300)]

Embed = Callable[..., np.ndarray]


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubEncoder:
    encoder = StubEncoder()
    use(monkeypatch, {"stub": encoder})
    return encoder


def failing(embed: Embed, fails: Callable[[Any], bool], error: Exception | None = None) -> Embed:
    """The method of an encoder that raises where one of the items is such (or gives NaN)."""

    def embed_some(items: Sequence[Any], *more: Any) -> np.ndarray:
        such = [fails(item) for item in items]
        if error and any(such):
            raise error
        vectors = embed(items, *more)
        vectors[such] = np.nan
        return vectors

    return embed_some


def sounds(folder: Path, rows: Sequence[dict[str, Any]] = MANY, previous: Any = None) -> Embeddings:
    clips = CLIPS.frame(rows)
    return embed_clips(settings(folder), "b", clips, VIDEOS, previous, Sounds())


def said(folder: Path, *said: str, encoders: tuple[str, ...] = ("stub",)) -> Embeddings:
    frame = pd.DataFrame({"text": said, "text_id": [text_id(text) for text in said]})
    return embed_texts(settings(folder, *encoders), "b", frame)


def refreshed(table: TableAsset, stage: Stage, new: int = 0) -> dict[str, pd.DataFrame]:
    """The tables that a run makes and stores, with so many new rows; none that it keeps."""
    found = {}
    for model, made, stamp in table.tables(stage):
        if isinstance(made, Made):
            new -= made.counts.get("new", 0)
            stage.lake.write(model, made.frame.copy(), stage.benchmark, stamp)
            found[model.name] = made.frame
    assert not new
    return found


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """Of a benchmark of five clips and captions."""
    given = settings(tmp_path / "cache")
    given.lake_dir, given.engine = tmp_path / "lake", None
    found = Stage(given, "b")
    captions = [
        {"benchmark": "b", "caption_id": row["clip_id"], "text": row["text"]} for row in MANY[:5]
    ]
    for model, rows in {
        MEDIA: VIDEOS,
        CLIPS: MANY[:5],
        CAPTIONS: [{**row, "text_id": text_id(row["text"])} for row in captions],
        QUESTIONS: [],
        DESCRIPTIONS: [],
    }.items():
        frame = model.frame(rows)
        Lake(given.lake_dir).write(model, frame, "b", Stamp(model.version(frame), "made"))
    return found


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sounds come from no file."""
    monkeypatch.setattr("assets.embeddings.audio.read_segments", Sounds())
    monkeypatch.setattr(embed_clips, "__defaults__", (None, Sounds(), None, engine.embed_segments))


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize(
    ("table", "method"), [(audio_embeddings, "embed_audio"), (text_embeddings, "embed_texts")]
)
def test_an_encoder_that_failed_is_tried_again_by_the_next_run(
    stage: Stage, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch, table: TableAsset, method: str
) -> None:
    vectors, exclusions = (model.name for model in table.models)
    with monkeypatch.context() as patch:
        patch.setattr(stub, method, failing(getattr(stub, method), lambda _: True, NO_WEIGHTS))
        first = refreshed(table, stage)
        assert first[exclusions]["detail"].tolist() == ["put them there"]
        assert not table.is_current(stage)
        again = refreshed(table, stage)
        pd.testing.assert_frame_equal(again[exclusions], first[exclusions])
    mended = refreshed(table, stage, new=5)
    assert (len(mended[vectors]), len(mended[exclusions])) == (5, 0)
    assert refreshed(table, stage) == {}


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("table", [audio_embeddings, text_embeddings])
def test_without_torch_tables_are_kept_until_it_is_there(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: TableAsset
) -> None:
    (tmp_path / "my.pt").write_bytes(b"weights")
    given = LaionClapSettings(kind="laion_clap", checkpoint=tmp_path / "my.pt")
    use(monkeypatch, {"stub": LaionClap("stub", given, tmp_path)})
    monkeypatch.setattr(torch_runtime, "has_torch", lambda: False)
    (_, exclusions) = refreshed(table, stage).values()
    assert exclusions["reason"].tolist() == ["extra not installed"]
    assert refreshed(table, stage) == {}
    monkeypatch.setattr(torch_runtime, "has_torch", lambda: True)
    assert not table.is_current(stage)


@pytest.mark.parametrize(
    ("error", "reason"), [(RuntimeError("CUDA error"), "encoder failed"), (None, "vector not")]
)
def test_a_text_that_an_encoder_fails_with_costs_that_text(
    tmp_path: Path,
    stub: StubEncoder,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
    reason: str,
) -> None:
    whole = StubEncoder("whole", "b" * 64)
    use(monkeypatch, {"stub": stub, "whole": whole})
    with monkeypatch.context() as patch:
        odd = lambda text: text == "text 007"  # noqa: E731 - a name for what is odd
        patch.setattr(stub, "embed_texts", failing(stub.embed_texts, odd, error))
        made = said(tmp_path, *TEXTS, encoders=("stub", "whole"))
    assert made.counts == Counts(wanted=600, new=599, failed=1)
    (row,) = made.exclusions.to_dict("records")
    assert (row["item_kind"], row["item_id"], row["encoder"]) == (
        "text",
        text_id("text 007"),
        "stub",
    )
    assert row["reason"].startswith(reason)
    assert "'text 007'" in row["detail"]
    mended = said(tmp_path, *TEXTS, encoders=("stub", "whole"))
    assert mended.counts == Counts(wanted=600, reused=599, new=1)
    assert len(whole.texts) == 300


def test_texts_that_are_known_are_kept_where_the_encoder_can_not_run(
    tmp_path: Path, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    said(tmp_path, "pour", "cut")
    monkeypatch.setattr(stub, "embed_texts", failing(stub.embed_texts, lambda _: True, NO_WEIGHTS))
    made = said(tmp_path, "pour", "cut", "wash")
    assert set(made.embeddings["text_id"]) == {text_id("pour"), text_id("cut")}
    assert made.counts == Counts(wanted=3, reused=2, failed=1)
    assert made.exclusions[["item_kind", "reason", "detail"]].to_numpy().tolist() == [
        ["encoder", "weights missing", "put them there"]
    ]


def test_an_encoder_that_fails_with_every_text_is_named(
    tmp_path: Path, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("CUDA error")
    monkeypatch.setattr(stub, "embed_texts", failing(stub.embed_texts, lambda _: True, error))
    made = said(tmp_path, *TEXTS)
    assert made.exclusions[["item_kind", "reason"]].to_numpy().tolist() == [
        ["encoder", "encoder failed"]
    ]
    assert made.counts == Counts(wanted=300, failed=300)


def test_one_clip_that_does_not_fit_into_memory_costs_that_clip(
    tmp_path: Path, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed_audio, stub.batch_size = stub.embed_audio, 4

    def embed(waveforms: Sequence[np.ndarray], draws: Sequence[int]) -> np.ndarray:
        def run(waves: list[np.ndarray]) -> np.ndarray:
            if max(map(len, waves)) > 100 * RATE:
                raise RuntimeError("CUDA out of memory. Tried to allocate 80 GiB")
            return embed_audio(waves, [0] * len(waves))

        return in_batches(run, waveforms, 4)[0]

    monkeypatch.setattr(stub, "embed_audio", embed)
    made = sounds(tmp_path, [*MANY, clip("hours", 5, 500)])
    assert made.counts == Counts(wanted=41, new=40, failed=1)
    (row,) = made.exclusions.to_dict("records")
    assert (row["item_id"], row["reason"]) == ("hours", "encoder failed")
    assert "not even one item fits" in row["detail"]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_last_batch_of_bad_clips_costs_them_alone(
    tmp_path: Path, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    stub.batch_size = batch_size
    monkeypatch.setattr(engine, "_decode_threads", lambda: 1)
    bad = [clip("bad1", 90, 90.1, "v2"), clip("bad2", 91, 91.1, "v2")]
    is_bad = lambda wave: wave[0] >= 90  # noqa: E731
    error = ZeroDivisionError("x")
    monkeypatch.setattr(stub, "embed_audio", failing(stub.embed_audio, is_bad, error))
    made = sounds(tmp_path, [*MANY[:8], *bad])
    assert made.counts == Counts(wanted=10, new=8, failed=2)
    assert made.exclusions["item_id"].tolist() == ["bad1", "bad2"]


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_an_encoder_with_which_nothing_succeeds_is_named_whatever_its_batch(
    tmp_path: Path, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    stub.batch_size = batch_size
    monkeypatch.setattr(stub, "embed_audio", failing(stub.embed_audio, lambda _: True, OSError()))
    made = sounds(tmp_path)
    assert made.exclusions["item_kind"].tolist() == ["encoder"]
    assert made.counts == Counts(wanted=40, failed=40)


@pytest.mark.parametrize(
    ("items", "lost"), [("-" * 9 + "+", False), ("+" + "-" * 20, False), ("-" * 10 + "+", True)]
)
def test_an_encoder_is_lost_only_if_it_failed_again_and_again_before_anything_succeeded(
    stub: StubEncoder, items: str, lost: bool
) -> None:
    """Of items one after the other, those marked - fail."""
    embed = failing(stub.embed_texts, lambda item: item == "-", RuntimeError("CUDA error"))
    done: Work[None] = Work(stub, None, lambda keys, vectors: None)
    for number, item in enumerate(items):
        done.embed(embed, {str(number): item})
    assert (done.unavailable is not None) == lost
    assert len(done.faults) == items.count("-")


def test_a_batch_that_failed_holds_no_memory_while_its_items_are_tried(stub: StubEncoder) -> None:
    held: list[weakref.ref[np.ndarray]] = []

    def embed(items: Sequence[str]) -> np.ndarray:
        assert all(array() is None for array in held)
        activations = np.zeros((len(items), 9))
        held.append(weakref.ref(activations))
        if len(items) > 1:
            raise MemoryError("out of memory")
        return activations.copy()

    done: Work[None] = Work(stub, None, lambda keys, vectors: None)
    done.embed(embed, {"a": "a", "b": "b"})
    assert not done.faults
    assert len(held) == 3


def test_a_clip_that_can_not_be_resampled_is_a_fault_and_nobody_waits_for_it(
    tmp_path: Path, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resample(samples: np.ndarray, *_: int) -> np.ndarray:
        if samples[0] == 7:
            raise MemoryError("no room")
        return samples

    monkeypatch.setattr(engine, "resample", resample)
    found: list[Embeddings] = []
    thread = threading.Thread(target=lambda: found.append(sounds(tmp_path)), daemon=True)
    thread.start()
    thread.join(30)
    assert found, "it waits for a clip that never comes"
    assert found[0].exclusions[["item_id", "reason"]].to_numpy().tolist() == [
        ["c07", "resampling failed"]
    ]


@pytest.mark.parametrize("method", ["embed_audio", "embed_texts"])
def test_a_killed_process_loses_less_than_a_minute_of_a_slow_encoder(
    tmp_path: Path, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """By a clock that only the encoder moves: 7 texts a second, or 4 clips in 10 seconds."""
    now = [time.monotonic()]
    saved = [now[0]]
    embed, add = getattr(stub, method), texts.VectorStore.add

    def slowly(items: Sequence[Any], *more: Any) -> np.ndarray:
        now[0] += len(items) / 7 if method == "embed_texts" else 10.0
        return embed(items, *more)

    def add_then(self: Any, *vectors: Any) -> None:
        add(self, *vectors)
        saved.append(now[0])

    stub.batch_size = 4
    monkeypatch.setattr(stub, method, slowly)
    monkeypatch.setattr(work.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(texts.VectorStore, "add", add_then)
    if method == "embed_texts":
        said(tmp_path, *(f"{text} {half}" for text in TEXTS for half in range(4)))
    else:
        sounds(tmp_path)
    assert now[0] - saved[0] > 90
    assert max(np.diff([*saved, now[0]])) < 60
