"""Embedding a benchmark: pay only for what changed, lose nothing, hide nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support.stub_encoders import (
    BROKEN,
    MANY,
    RATE,
    VIDEOS,
    Sounds,
    StubEncoder,
    clip,
    settings,
    use,
)

from assets.embeddings import engine, work
from assets.embeddings.audio import embed_clips, training_clips_embedded
from assets.embeddings.fingerprints import encoder_fingerprints
from assets.embeddings.planning import VectorPlan, plan_vectors
from assets.embeddings.results import Embeddings
from assets.embeddings.texts import embed_texts, wanted_texts
from resources.counts import Counts
from resources.encoders.protocol import EncoderUnavailable
from resources.settings import LateFusionSettings, PrecomputedSettings
from resources.tables import CAPTIONS, CLIPS, QUESTIONS, text_id


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubEncoder:
    encoder = StubEncoder()
    use(monkeypatch, {"stub": encoder})
    return encoder


def test_a_second_run_computes_nothing(tmp_path: Path, stub: StubEncoder) -> None:
    sounds = Sounds()
    clips = CLIPS.frame(MANY)
    first = embed_clips(settings(tmp_path), "b", clips, VIDEOS, read_segments=sounds)
    assert first.counts == Counts(wanted=40, new=40)
    assert sorted(sounds.read) == [
        (Path(f"/sounds/v{i}.wav"), n) for i, n in enumerate([14, 13, 13])
    ]
    second = embed_clips(settings(tmp_path), "b", clips, VIDEOS, first.embeddings, sounds)
    assert second.counts == Counts(wanted=40, reused=40)
    assert stub.clips == 40
    assert len(sounds.read) == 3
    pd.testing.assert_frame_equal(first.embeddings, second.embeddings)


def test_edits_cost_what_they_touch(tmp_path: Path, stub: StubEncoder) -> None:
    first = embed_clips(settings(tmp_path), "b", CLIPS.frame(MANY), VIDEOS, read_segments=Sounds())
    edited = [clip("c00", 0.25, 0.5, "v0"), *MANY[2:], clip("c99", 99, 99.5)]
    second = embed_clips(
        settings(tmp_path), "b", CLIPS.frame(edited), VIDEOS, first.embeddings, Sounds()
    )
    assert second.counts == Counts(wanted=40, reused=38, new=1, stale=1, orphaned=1)
    assert stub.clips == 42


def test_a_plan_tells_how_many_vectors_are_new_and_computes_none(
    tmp_path: Path, stub: StubEncoder
) -> None:
    given, clips, said = settings(tmp_path), CLIPS.frame(MANY), {"a bell", "a  bell ", "a dog"}
    distinct = pd.DataFrame({"text_id": ["1"], "text": ["a bell"]})
    assert plan_vectors(given, said, None, None) == [VectorPlan("stub", None, 3)]
    assert plan_vectors(given, said, clips, VIDEOS) == [VectorPlan("stub", 40, 3)]
    assert (stub.clips, stub.texts) == (0, [])
    made = embed_clips(given, "b", clips, VIDEOS, read_segments=Sounds())
    embed_texts(given, "b", distinct)
    assert made.counts.new == 40
    assert plan_vectors(given, said, clips, VIDEOS) == [VectorPlan("stub", 0, 2)]
    more = CLIPS.frame([*MANY, clip("new", 99, 99.5)])
    assert plan_vectors(given, said, more, VIDEOS) == [VectorPlan("stub", 1, 2)]


def test_a_plan_says_which_encoder_can_t_run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, {"stub": EncoderUnavailable("no weights", "fetch them")})
    (plan,) = plan_vectors(settings(tmp_path), {"a bell"}, None, None)
    assert plan == VectorPlan("stub", 0, 0, "no weights")


def test_the_same_sound_in_another_benchmark_is_known(tmp_path: Path, stub: StubEncoder) -> None:
    embed_clips(settings(tmp_path), "b", CLIPS.frame(MANY), VIDEOS, read_segments=Sounds())
    renamed = CLIPS.frame({**row, "clip_id": f"x{row['clip_id']}"} for row in MANY)
    other = embed_clips(settings(tmp_path), "b2", renamed, VIDEOS, read_segments=Sounds())
    assert other.counts.reused == 40


def test_seeds_matter_to_long_clips_only(tmp_path: Path, stub: StubEncoder) -> None:
    clips = CLIPS.frame([clip("short", 0, 10), clip("long", 20, 31)])
    result = embed_clips(
        settings(tmp_path, seeds=(0, 1)), "b", clips, VIDEOS, read_segments=Sounds()
    )
    keys = result.embeddings.set_index(["clip_id", "seed"])["key"]
    assert keys["short", 0] == keys["short", 1]
    assert keys["long", 0] != keys["long", 1]
    assert stub.clips == 3
    vectors = result.embeddings.set_index(["clip_id", "seed"])["vector"]
    assert not np.allclose(vectors["long", 0], vectors["long", 1])


def test_vectors_do_not_depend_on_order_or_company(tmp_path: Path, stub: StubEncoder) -> None:
    rows = [clip(f"c{i}", 20.0 * i, 20.0 * i + 12) for i in range(5)]
    together = embed_clips(settings(tmp_path / "a"), "b", CLIPS.frame(rows), VIDEOS,
                           read_segments=Sounds()).embeddings  # fmt: skip
    for row in reversed(rows):
        alone = embed_clips(settings(tmp_path / "b"), "b", CLIPS.frame([row]), VIDEOS,
                            read_segments=Sounds()).embeddings  # fmt: skip
        expected = together.set_index("clip_id").loc[row["clip_id"], "vector"]
        np.testing.assert_array_equal(alone["vector"].iloc[0], expected)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (None, "segment unreadable"),
        (float("nan"), "samples not finite"),
        (BROKEN, "encoder failed"),
    ],
)
def test_a_fault_in_one_clip_costs_that_clip(
    tmp_path: Path, stub: StubEncoder, samples: float | None, reason: str
) -> None:
    sounds = Sounds()
    sounds.faulty = {7.0: samples}
    result = embed_clips(settings(tmp_path), "b", CLIPS.frame(MANY), VIDEOS, read_segments=sounds)
    assert result.counts == Counts(wanted=40, new=39, failed=1)
    assert result.exclusions[["item_kind", "item_id", "encoder", "reason"]].to_numpy().tolist() == [
        ["clip", "c07", "stub", reason]
    ]
    mended = embed_clips(
        settings(tmp_path), "b", CLIPS.frame(MANY), VIDEOS, result.embeddings, Sounds()
    )
    assert mended.counts == Counts(wanted=40, reused=39, new=1)


def test_a_vector_that_is_not_finite_is_excluded(
    tmp_path: Path, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_a_nan(waveforms: Sequence[np.ndarray], draws: Sequence[int]) -> np.ndarray:
        vectors = StubEncoder().embed_audio(waveforms, draws)
        vectors[[wave[0] == 3.0 for wave in waveforms]] = np.nan
        return vectors

    monkeypatch.setattr(stub, "embed_audio", with_a_nan)
    result = embed_clips(settings(tmp_path), "b", CLIPS.frame(MANY), VIDEOS, read_segments=Sounds())
    assert result.exclusions[["item_id", "reason"]].to_numpy().tolist() == [
        ["c03", "vector not finite"]
    ]


def test_a_clip_that_fails_under_one_seed_is_left_out_under_all(
    tmp_path: Path, stub: StubEncoder
) -> None:
    first = embed_clips(
        settings(tmp_path), "b", CLIPS.frame([clip("c", 1, 12)]), VIDEOS, read_segments=Sounds()
    )
    assert len(first.embeddings) == 1
    sounds = Sounds()
    sounds.faulty = {1.0: None}
    both = embed_clips(
        settings(tmp_path, seeds=(0, 1)), "b", CLIPS.frame([clip("c", 1, 12)]), VIDEOS,
        read_segments=sounds,
    )  # fmt: skip
    assert both.embeddings.empty
    assert len(both.exclusions) == 1
    assert both.counts.wanted == both.counts.failed == 2


def test_an_encoder_that_can_not_run_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = EncoderUnavailable("weights missing", "put them there")
    use(monkeypatch, {"stub": StubEncoder(), "gone": gone})
    result = embed_clips(
        settings(tmp_path, "gone", "stub"), "b", CLIPS.frame(MANY), VIDEOS, read_segments=Sounds()
    )
    assert list(result.embeddings["encoder"].unique()) == ["stub"]
    assert result.exclusions.drop(columns="benchmark").to_numpy().tolist() == [
        ["encoder", "gone", "gone", "weights missing", "put them there"]
    ]
    made = embed_texts(
        settings(tmp_path, "gone", "stub"), "b", pd.DataFrame({"text_id": ["i"], "text": ["t"]})
    )
    assert made.counts == Counts(wanted=1, new=1)
    assert list(made.embeddings["encoder"]) == ["stub"]
    pd.testing.assert_frame_equal(made.exclusions, result.exclusions)


def test_an_encoder_that_fails_with_every_clip_is_named(
    tmp_path: Path, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sounds = Sounds()
    sounds.faulty = {float(i): BROKEN for i in range(40)}
    result = embed_clips(settings(tmp_path), "b", CLIPS.frame(MANY), VIDEOS, read_segments=sounds)
    assert result.exclusions[["item_kind", "reason"]].to_numpy().tolist() == [
        ["encoder", "encoder failed"]
    ]


def test_what_was_finished_before_a_crash_is_kept(
    tmp_path: Path, stub: StubEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_SAVE_EVERY_S", 0.0)

    def crash(done: int, _: int) -> None:
        if done >= 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_clips(
            settings(tmp_path), "b", CLIPS.frame(MANY), VIDEOS, None, Sounds(), progress=crash
        )
    again = embed_clips(settings(tmp_path), "b", CLIPS.frame(MANY), VIDEOS, read_segments=Sounds())
    assert again.counts == Counts(wanted=40, reused=32, new=8)


def test_training_recordings_are_not_embedded_and_the_check_would_see_it(
    tmp_path: Path, stub: StubEncoder
) -> None:
    clips = CLIPS.frame(MANY)
    everything = embed_clips(settings(tmp_path), "b", clips, VIDEOS, read_segments=Sounds())
    stub.training_recordings = frozenset({"hash of v1"})
    result = embed_clips(settings(tmp_path), "b", clips, VIDEOS, read_segments=Sounds())
    assert set(result.exclusions["reason"]) == {"training split"}
    assert len(result.embeddings) + len(result.exclusions) == 40
    check = training_clips_embedded
    assert check(settings(tmp_path), clips, VIDEOS, result.embeddings).empty
    offending = check(settings(tmp_path), clips, VIDEOS, everything.embeddings)
    assert set(offending["video_id"]) == {"v1"}
    assert len(offending) == len(result.exclusions)


def test_unusable_clips_are_not_asked_for(tmp_path: Path, stub: StubEncoder) -> None:
    clips = CLIPS.frame([clip("good", 1, 2), clip("bad", 3, 4, usable=False, reason="silent")])
    result = embed_clips(settings(tmp_path), "b", clips, VIDEOS, read_segments=Sounds())
    assert list(result.embeddings["clip_id"]) == ["good"]
    assert result.counts.wanted == 1


def test_each_distinct_text_is_embedded_once(tmp_path: Path, stub: StubEncoder) -> None:
    captions = CAPTIONS.frame(
        {"benchmark": "b", "caption_id": str(i), "text": text, "text_id": text_id(text)}
        for i, text in enumerate(["cut bread", "cut bread ", "pour"])
    )
    clips = CLIPS.frame([clip("pour", 0, 1), clip("wash", 1, 2)])
    descriptions = pd.DataFrame({"description": ["a knife", "a knife", "pour"]})
    wanted = wanted_texts(captions, clips, QUESTIONS.frame([]), descriptions)
    assert sorted(wanted["text"]) == ["a knife", "cut bread", "pour", "wash"]
    told = []
    made = embed_texts(
        settings(tmp_path),
        "b",
        wanted,
        progress=lambda what: lambda *done: told.append((what, done)),
    )
    assert made.counts == Counts(wanted=4, new=4)
    assert told == [("texts, stub", (4, 4))]
    assert sorted(stub.texts) == sorted(wanted["text"])
    again = embed_texts(settings(tmp_path), "b", wanted, made.embeddings)
    assert again.counts == Counts(wanted=4, reused=4)
    assert len(stub.texts) == 4
    pd.testing.assert_frame_equal(made.embeddings, again.embeddings)


def test_questions_ask_for_their_texts_only(tmp_path: Path) -> None:
    questions = QUESTIONS.frame(
        {
            "benchmark": "b",
            "question_id": str(i),
            "kind": "inter",
            "text": f"q{i}",
            "text_id": text_id(f"q{i}"),
            "options": ["a", "b", "c", "d", "e"],
            "answer": 0,
            "usable": i > 0,
        }
        for i in range(3)
    )
    no_descriptions = pd.DataFrame({"description": []})
    clips = CLIPS.frame([clip("option", 0, 1)])
    wanted = wanted_texts(CAPTIONS.frame([]), clips, questions, no_descriptions)
    assert sorted(wanted["text"]) == ["q1", "q2"]


def brought(tmp_path: Path, clips: dict[str, list[float]], texts: dict[str, list[float]]) -> Any:
    audio_file, text_file = tmp_path / "audio.parquet", tmp_path / "texts.parquet"
    pd.DataFrame({"clip_id": list(clips), "vector": list(clips.values())}).to_parquet(audio_file)
    pd.DataFrame({"text": list(texts), "vector": list(texts.values())}).to_parquet(text_file)
    own = PrecomputedSettings(kind="precomputed", audio=audio_file, text=text_file)
    return SimpleNamespace(encoders={"own": own}, seeds=(0,), cache_dir=tmp_path)


def test_precomputed_vectors_may_be_npy_beside_csv(tmp_path: Path) -> None:
    for name, ids in (("audio", {"clip_id": ["a", "b"]}), ("text", {"text_id": [text_id("pour")]})):
        pd.DataFrame(ids).to_csv(tmp_path / f"{name}.csv", index=False)
        np.save(tmp_path / f"{name}.npy", np.eye(2)[: len(next(iter(ids.values())))])
    own = PrecomputedSettings(
        kind="precomputed", audio=tmp_path / "audio.npy", text=tmp_path / "text.npy"
    )
    given = SimpleNamespace(encoders={"own": own}, seeds=(0,), cache_dir=tmp_path)
    clips = CLIPS.frame([clip("a", 0, 1), clip("b", 1, 2)])
    result = embed_clips(given, "b", clips, VIDEOS)
    np.testing.assert_array_equal(np.stack(list(result.embeddings["vector"])), np.eye(2))
    before = encoder_fingerprints(given)["own"]
    pd.DataFrame({"clip_id": ["b", "a"]}).to_csv(tmp_path / "audio.csv", index=False)
    assert encoder_fingerprints(given)["own"] != before
    np.save(tmp_path / "audio.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    result = embed_clips(given, "b", clips, VIDEOS)
    assert result.exclusions["item_kind"].tolist() == ["encoder"]


def test_precomputed_vectors_are_looked_up_and_gaps_are_named(tmp_path: Path) -> None:
    given = brought(tmp_path, {"a": [3.0, 4.0], "z": [1.0, 0.0]}, {"pour": [0.0, 2.0]})
    clips = CLIPS.frame([clip("a", 0, 1), clip("b", 1, 2)])
    result = embed_clips(given, "b", clips, VIDEOS)
    np.testing.assert_allclose(result.embeddings["vector"].iloc[0], [0.6, 0.8])
    assert result.exclusions[["item_id", "reason"]].to_numpy().tolist() == [["b", "no vector"]]
    assert result.counts == Counts(wanted=1, reused=1)
    asked = pd.DataFrame({"text": ["pour", "cut"]})
    made = embed_texts(given, "b", asked.assign(text_id=asked["text"].map(text_id)))
    assert list(made.embeddings["text_id"]) == [text_id("pour")]
    assert made.counts == Counts(wanted=1, reused=1)


def test_fused_encoders_average_similarities(tmp_path: Path) -> None:
    """The weighted mean of two encoders' cosines, for every clip that both have."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, clips in (
        (first, {"a": [3.0, 4.0], "b": [1.0, 1.0]}),
        (second, {"a": [1.0, 0, 2]}),
    ):
        folder.mkdir()
        brought(folder, clips, {"pour": [1.0] * (2 if folder == first else 3)})
    encoders = {
        folder.name: PrecomputedSettings(
            kind="precomputed", audio=folder / "audio.parquet", text=folder / "texts.parquet"
        )
        for folder in (first, second)
    }
    both = LateFusionSettings(kind="late_fusion", weights={"first": 1, "second": 3})
    given = SimpleNamespace(encoders={**encoders, "both": both}, seeds=(0,), cache_dir=tmp_path)
    result = embed_clips(given, "b", CLIPS.frame([clip("a", 0, 1), clip("b", 1, 2)]), VIDEOS)
    made = embed_texts(given, "b", pd.DataFrame({"text": ["pour"], "text_id": ["t"]})
                                .assign(text_id=text_id("pour")))  # fmt: skip
    clips = result.embeddings[result.embeddings["clip_id"] == "a"].set_index("encoder")["vector"]
    text = made.embeddings.set_index("encoder")["vector"]
    cosine = {name: float(clips[name] @ text[name]) for name in ("first", "second", "both")}
    assert cosine["both"] == pytest.approx((cosine["first"] + 3 * cosine["second"]) / 4)
    assert np.linalg.norm(clips["both"]) == pytest.approx(1)
    assert made.counts == Counts(wanted=3, reused=3)
    excluded = result.exclusions[["item_id", "encoder"]].to_numpy().tolist()
    assert sorted(excluded) == [["b", "both"], ["b", "second"]]


def test_a_recording_is_decoded_once_for_all_encoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slower = StubEncoder("slower", "b" * 64)
    slower.sample_rate = RATE // 2
    use(monkeypatch, {"stub": StubEncoder(), "slower": slower})
    sounds = Sounds()
    result = embed_clips(
        settings(tmp_path, "stub", "slower"), "b", CLIPS.frame(MANY), VIDEOS, None, sounds
    )
    assert result.counts == Counts(wanted=80, new=80)
    assert len(sounds.read) == 3


@pytest.mark.parametrize(
    ("clips", "says"),
    [
        ({"a": [1.0, float("nan")]}, "row 0"),
        ({"a": [0.0, 0.0]}, "row 0"),
        ({"a": [1.0], "b": [1.0, 2.0]}, "1 to 2 dimensions"),
        ({"a": [1.0, 2.0, 3.0]}, "bring both of one space"),
    ],
)
def test_precomputed_vectors_that_make_no_sense_exclude_the_encoder(
    tmp_path: Path, clips: dict[str, list[float]], says: str
) -> None:
    given = brought(tmp_path, clips, {"pour": [0.0, 2.0]})
    result = embed_clips(given, "b", CLIPS.frame([clip("a", 0, 1)]), VIDEOS)
    assert result.exclusions["item_kind"].tolist() == ["encoder"]
    assert says in result.exclusions["detail"].iloc[0]


EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(0, 7), st.integers(0, 20)),
        st.tuples(st.just("stretch"), st.integers(0, 7), st.integers(1, 15)),
        st.tuples(st.just("delete"), st.integers(0, 7), st.just(0)),
        st.tuples(st.just("revert"), st.integers(0, 7), st.just(0)),
        st.tuples(st.just("encoder"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("crash"), st.integers(0, 8), st.just(0)),
    ),
    max_size=8,
)


@given(EDITS)
@hypothesis_settings(max_examples=25, deadline=None)
def test_anything_incremental_equals_anything_from_scratch(
    edits: list[tuple[str, int, int]],
) -> None:
    original = {i: clip(f"c{i}", float(i), i + 0.5, f"v{i % 3}") for i in range(8)}
    rows = dict(original)
    encoder, crash_at = StubEncoder(), None

    def make(folder: Path, crash_at: int | None = None) -> Embeddings:
        def progress(done: int, _: int) -> None:
            if crash_at is not None and done > crash_at:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            use(patch, {"stub": encoder})
            patch.setattr(work, "_SAVE_EVERY_S", 0.0)
            clips = CLIPS.frame(list(rows.values()))
            return embed_clips(
                settings(folder, seeds=(0, 1)), "b", clips, VIDEOS, None, Sounds(), progress
            )

    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for kind, which, value in [*edits, ("end", 0, 0)]:
            crash_at = which if kind == "crash" else None
            match kind:
                case "move" | "stretch" if which in rows:
                    start = float(value) if kind == "move" else rows[which]["start_s"]
                    stop = start + (value if kind == "stretch" else 0.5)
                    rows[which] = {**rows[which], "start_s": start, "stop_s": stop}
                case "delete" if len(rows) > 1:
                    rows.pop(which, None)
                case "revert":
                    rows[which] = original[which]
                case "encoder":
                    encoder = StubEncoder(fingerprint=str(which) * 64)
            with suppress(KeyboardInterrupt):
                made = make(folder / "incremental", crash_at)
        scratch = make(folder / "scratch")
        columns = ["clip_id", "seed", "key"]
        pd.testing.assert_frame_equal(made.embeddings[columns], scratch.embeddings[columns])
        np.testing.assert_array_equal(
            np.stack(list(made.embeddings["vector"])), np.stack(list(scratch.embeddings["vector"]))
        )


@pytest.mark.parametrize("threads", [1, 8])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_workers_and_batches_decide_no_vector(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stub: StubEncoder,
    threads: int,
    batch_size: int,
) -> None:
    rows = [clip(f"c{i:02}", 0.7 * i, 0.7 * i + 1 + 12 * (i % 2), f"v{i % 3}") for i in range(30)]
    expected = embed_clips(settings(tmp_path / "a"), "b", CLIPS.frame(rows), VIDEOS,
                           read_segments=Sounds()).embeddings  # fmt: skip
    monkeypatch.setattr(engine, "_decode_threads", lambda: threads)
    stub.batch_size = batch_size
    found = embed_clips(settings(tmp_path / "b"), "b", CLIPS.frame(rows[::-1]), VIDEOS,
                        read_segments=Sounds()).embeddings  # fmt: skip
    pd.testing.assert_frame_equal(found, expected)
