"""`precomputed`: files as people have them are read, and what can't be used is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources.encoders import weights
from resources.encoders.precomputed import Precomputed
from resources.encoders.protocol import EncoderUnavailable
from resources.hashing import file_sha256
from resources.settings import PrecomputedSettings
from resources.tables import text_id

ROWS = [[3.0, 4.0], [1.0, 0.0]]
CLIPS = {"clip_id": ["1", "2"], "vector": ROWS}
KEEP_ONE = r"several vectors\. Keep one\.$"
TEXTS = {"text": ["a", "b"], "vector": ROWS}


def brought(folder: Path, clips: dict[str, Any], texts: dict[str, Any]) -> Precomputed:
    for name, columns in (("clips", clips), ("texts", texts)):
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    settings = PrecomputedSettings(
        kind="precomputed", audio=folder / "clips.parquet", text=folder / "texts.parquet"
    )
    return Precomputed("own", settings, folder / "cache")


def found(encoder: Precomputed) -> tuple[list[str], int]:
    """Clips and texts that have a vector; each is the one that was brought."""
    clips = encoder.audio_vectors("b", ["1", "2"])
    texts = encoder.text_vectors([text_id("a"), text_id("b")])
    for vector in (clips["1"], texts[text_id("a")]):
        np.testing.assert_allclose(vector, [0.6, 0.8], atol=1e-6)
    return list(clips), len(texts)


@pytest.mark.parametrize(
    "vectors",
    [
        pa.array(ROWS),
        pa.array(ROWS, pa.large_list(pa.float64())),
        pa.array(ROWS, pa.list_(pa.float32(), 2)),
        pa.array([[np.float16(x) for x in row] for row in ROWS], pa.list_(pa.float16())),
        pa.array([[3, 4], [1, 0]]),
    ],
    ids=lambda array: str(array.type),
)
def test_vectors_may_be_lists_of_any_numbers(tmp_path: Path, vectors: pa.Array) -> None:
    encoder = brought(tmp_path, {**CLIPS, "vector": vectors}, {**TEXTS, "vector": vectors})
    assert found(encoder) == (["1", "2"], 2)


@pytest.mark.parametrize(
    "ids",
    [pa.array([1, 2]), pa.array(["1", "2"]).dictionary_encode(), pa.array([1, 2], pa.uint8())],
)
def test_ids_may_be_numbers_or_categories(tmp_path: Path, ids: pa.Array) -> None:
    assert found(brought(tmp_path, {**CLIPS, "clip_id": ids}, TEXTS)) == (["1", "2"], 2)


def test_a_text_of_several_benchmarks_may_have_its_vector_in_each(tmp_path: Path) -> None:
    """A model gives a text a slightly other vector in another batch."""
    rows = [*ROWS, [3.0, 4.000001]]
    texts = {"text": ["a", "b", "a "], "benchmark": ["b", "b", "c"], "vector": rows}
    assert found(brought(tmp_path, CLIPS, texts)) == (["1", "2"], 2)


@pytest.mark.parametrize(
    ("clips", "says"),
    [
        ({**CLIPS, "clip_id": ["1", "1"]}, r"id 1 has several .* add a column benchmark"),
        ({**CLIPS, "clip_id": ["1", "1"], "benchmark": ["b", "b"]}, KEEP_ONE),
        ({**CLIPS, "clip_id": ["1", None]}, r"row 1 .*clip_id is null"),
        ({**CLIPS, "clip_id": [["1"], ["2"]]}, "cast"),
        ({"clip_id": pa.array([], pa.string()), "vector": pa.array([], pa.list_(pa.float32()))},
         "holds no rows"),
        ({**CLIPS, "vector": ["[3, 4]", "[1, 0]"]}, "Unsupported cast"),
        ({**CLIPS, "vector": [1.0, 2.0]}, "Unsupported cast"),
        ({**CLIPS, "vector": [["x"], ["y"]]}, "Failed to parse"),
        ({**CLIPS, "vector": [[1.0, 2.0], None]}, "0 to 2 dimensions"),
        ({**CLIPS, "vector": [[1.0, 2.0], [None, 1.0]]}, r"row 1 .*not finite"),
        ({"clip_id": ["1"]}, "vector"),
        ({"vector": ROWS}, "add a column clip_id"),
    ],
)  # fmt: skip
def test_clips_that_can_not_be_used_are_named(
    tmp_path: Path, clips: dict[str, Any], says: str
) -> None:
    with pytest.raises(EncoderUnavailable, match=says) as caught:
        found(brought(tmp_path, clips, TEXTS))
    assert "clips.parquet" in caught.value.remedy


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({**TEXTS, "text": ["a", None]}, r"row 1 .*text is null"),
        ({**TEXTS, "text": ["a", "a"], "benchmark": ["b", "c"]}, KEEP_ONE),
    ],
)
def test_texts_that_can_not_be_used_are_named(
    tmp_path: Path, texts: dict[str, Any], says: str
) -> None:
    with pytest.raises(EncoderUnavailable, match=says) as caught:
        found(brought(tmp_path, CLIPS, texts))
    assert "texts.parquet" in caught.value.remedy


def test_texts_may_be_numbers(tmp_path: Path) -> None:
    encoder = brought(tmp_path, CLIPS, {**TEXTS, "text": [3, 4]})
    assert list(encoder.text_vectors([text_id("3")])) == [text_id("3")]


def test_files_are_read_again_only_if_they_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        weights, "file_sha256", lambda path: (read.append(path.name), file_sha256(path))[1]
    )
    first = brought(tmp_path, CLIPS, TEXTS)
    again = Precomputed("own", first._settings, tmp_path / "cache")
    assert first.fingerprint == again.fingerprint
    assert read == ["clips.parquet", "texts.parquet"]
    (tmp_path / "clips.parquet").unlink()
    with pytest.raises(EncoderUnavailable, match=r"clips\.parquet is not there"):
        _ = Precomputed("own", first._settings, tmp_path / "cache").fingerprint
