"""The vector store: what goes in comes out, from any number of processes, and nothing is lost."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from resources.vector_store import VectorStore, VectorStoreError

FINGERPRINT = "f" * 64


def vectors_of(keys: list[str], dimensions: int = 8) -> np.ndarray:
    """A vector that can be told from its key."""
    return np.array(
        [np.random.default_rng(int(key[3:])).standard_normal(dimensions) for key in keys],
        dtype=np.float32,
    )


def numbered(start: int, stop: int) -> list[str]:
    return [f"key{number}" for number in range(start, stop)]


def test_reads_back_exactly_what_was_asked(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, FINGERPRINT)
    keys = numbered(0, 10)
    store.add(keys, vectors_of(keys))
    found = store.read(["key3", "key7", "absent"])
    assert set(found) == {"key3", "key7"}
    np.testing.assert_array_equal(found["key3"], vectors_of(["key3"])[0])
    assert store.known(["key3", "absent"]) == {"key3"}


def test_whoever_may_read_files_made_here_may_read_vectors(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, FINGERPRINT)
    store.add(["key1"], vectors_of(["key1"]))
    (tmp_path / "plain").touch()
    [part] = store.folder.path.glob("part-*.parquet")
    assert part.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_empty_store_knows_nothing(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, FINGERPRINT)
    assert store.known(["key1"]) == set()
    assert store.read(["key1"]) == {}


def test_encoders_do_not_share_vectors(tmp_path: Path) -> None:
    VectorStore(tmp_path, FINGERPRINT).add(["key1"], vectors_of(["key1"]))
    assert VectorStore(tmp_path, "0" * 64).known(["key1"]) == set()


def test_many_small_parts_are_merged_without_loss(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, FINGERPRINT)
    keys = numbered(0, 100)
    for key in keys:
        store.add([key], vectors_of([key]))
    assert len(list(store.folder.path.glob("part-*.parquet"))) < 32
    found = store.read(keys)
    np.testing.assert_array_equal(np.stack([found[key] for key in keys]), vectors_of(keys))


@pytest.mark.parametrize(
    "vectors", [np.full((1, 8), np.nan), np.zeros((2, 8)), np.zeros(8)], ids=["nan", "two", "flat"]
)
def test_refuses_what_is_not_one_finite_vector_a_key(tmp_path: Path, vectors: np.ndarray) -> None:
    store = VectorStore(tmp_path, FINGERPRINT)
    with pytest.raises(VectorStoreError):
        store.add(["key1"], vectors.astype(np.float32))
    assert store.known(["key1"]) == set()


def test_a_damaged_part_is_named_with_the_remedy(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, FINGERPRINT)
    store.add(["key1"], vectors_of(["key1"]))
    part = next(store.folder.path.glob("part-*.parquet"))
    part.write_bytes(part.read_bytes()[:40])
    with pytest.raises(VectorStoreError, match=rf"{part.name}.*Delete it"):
        store.read(["key1"])


def test_a_half_written_part_is_never_seen(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, FINGERPRINT)
    store.add(["key1"], vectors_of(["key1"]))
    (store.folder.path / "tmpabc.tmp").write_bytes(b"PAR1 half")
    assert store.known(["key1"]) == {"key1"}


def _add_all(root: Path, start: int, stop: int) -> None:
    store = VectorStore(root, FINGERPRINT)
    for key in numbered(start, stop):
        store.add([key], vectors_of([key]))
        assert store.known([key]) == {key}


def test_two_processes_add_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    spans = [(0, 80), (40, 120)]
    processes = [context.Process(target=_add_all, args=(tmp_path, *span)) for span in spans]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert VectorStore(tmp_path, FINGERPRINT).known(numbered(0, 120)) == set(numbered(0, 120))
