"""Checkpoints: official old ones are read, wrong ones named, and nothing in them is ever run."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.encoder_files import save_like_the_official

from resources.encoders.checkpoints import load_into, load_weights
from resources.encoders.protocol import EncoderUnavailable
from resources.hashing import file_sha256

torch = pytest.importorskip("torch", reason="needs the extra `encoders`")
pytestmark = pytest.mark.encoders

POSITIONS = "text_branch.embeddings.position_ids"


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def load(path: Path, folder: Path, trusted: bool = True) -> dict[str, Any]:
    return load_weights(path, file_sha256(path), trusted, folder)


def assert_same(weights: dict[str, Any], expected: dict[str, Any]) -> None:
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert all(weights[name].dtype == expected[name].dtype for name in expected)


def test_a_plain_checkpoint_needs_no_trust(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "plain.pt"
    torch.save({"model": model.state_dict()}, path)
    assert_same(load(path, tmp_path / "kept", trusted=False), model.state_dict())
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_an_official_checkpoint_is_read_once_and_kept(
    model: Any, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_like_the_official(model.state_dict(), tmp_path / "old.pt", key)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    expected = {**model.state_dict(), POSITIONS: torch.arange(514)[None]}
    assert_same(load(path, tmp_path / "kept"), expected)
    monkeypatch.setattr(torch, "load", None)
    assert_same(load(path, tmp_path / "kept"), expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "int32", "uint8", "bool"])
def test_every_kind_of_tensor_is_read_as_it_was(tmp_path: Path, dtype: str) -> None:
    whole = torch.arange(24).reshape(4, 6).to(getattr(torch, dtype))
    views = {"whole": whole, "turned": whole.T, "part": whole[1:3, 2:], "none": whole[:0]}
    path = save_like_the_official(views, tmp_path / "old.pt", prefix="")
    loaded = load(path, tmp_path / "kept")
    loaded.pop(POSITIONS)
    assert_same(loaded, views)


def test_an_old_pickle_is_not_read_unasked(model: Any, tmp_path: Path) -> None:
    path = save_like_the_official(model.state_dict(), tmp_path / "old.pt")
    with pytest.raises(EncoderUnavailable, match="trust: true") as caught:
        load(path, tmp_path, trusted=False)
    assert caught.value.reason == "checkpoint not trusted"


class Bomb:
    """What an attacker would put into a checkpoint."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.place,)


@pytest.mark.parametrize("trusted", [True, False])
def test_a_pickle_bomb_does_not_go_off(model: Any, tmp_path: Path, trusted: bool) -> None:
    path, trace = tmp_path / "bomb.pt", tmp_path / "went off"
    torch.save({"state_dict": model.state_dict(), "extra": Bomb(trace)}, path, pickle_protocol=4)
    with pytest.raises(EncoderUnavailable, match=r"refused|not trusted"):
        load(path, tmp_path, trusted)
    assert not trace.exists()
    function, arguments = Bomb(trace).__reduce__()
    function(*arguments)
    assert trace.exists(), "the bomb of this test is a dud"


@pytest.mark.parametrize("value", [np.array([{"a": 1}], dtype=object), np.str_("text"), print])
def test_what_is_no_number_is_refused(tmp_path: Path, value: object) -> None:
    path = tmp_path / "odd.pt"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "odd": value}, path, pickle_protocol=4)
    with pytest.raises(EncoderUnavailable, match=r"refused|not a number"):
        load(path, tmp_path)


def _rewritten(path: Path, change: dict[str, bytes]) -> Path:
    """The archive with some members replaced."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, change.get(name.split("/", 1)[1], data))
    return path


@pytest.mark.parametrize("change", [{"data/0": b"\x00" * 3}, {"data.pkl": b"\x80\x04]."}])
def test_an_archive_that_does_not_fit_its_pickle_is_refused(
    model: Any, tmp_path: Path, change: dict[str, bytes]
) -> None:
    path = save_like_the_official(model.state_dict(), tmp_path / "old.pt")
    with pytest.raises(EncoderUnavailable):
        load(_rewritten(path, change), tmp_path)


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"a": torch.ones(4), "n": np.float64(1)}, path, pickle_protocol=4)
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        pickled = archive.read(name).replace(b"K\x04\x85", b"K\x40\x85")
    with pytest.raises(EncoderUnavailable, match=r"is not what torch\.save writes"):
        load(_rewritten(path, {"data.pkl": pickled}), tmp_path)


def test_the_form_before_pytorch_1_6_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    content = {"a": torch.ones(3), "n": np.float64(1)}
    torch.save(content, path, _use_new_zipfile_serialization=False, pickle_protocol=4)
    with pytest.raises(EncoderUnavailable, match=r"before 1\.6.* save its `state_dict` again"):
        load(path, tmp_path)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut"])
def test_what_is_no_checkpoint_is_said_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.pt"
    path.write_bytes(content)
    with pytest.raises(EncoderUnavailable, match=r"page\.pt is no checkpoint"):
        load(path, tmp_path)


def test_a_checkpoint_without_weights_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "empty.pt"
    torch.save({"epoch": 3}, path)
    with pytest.raises(EncoderUnavailable, match="no state dict"):
        load(path, tmp_path)


def test_weights_of_another_model_are_refused_with_what_differs(model: Any, tmp_path: Path) -> None:
    weights = {**model.state_dict(), "0.bias": torch.zeros(9), "2.weight": torch.zeros(1)}
    del weights["1.weight"]
    with pytest.raises(EncoderUnavailable) as caught:
        load_into(model, weights, tmp_path / "other.pt")
    remedy = caught.value.remedy
    assert "lacks 1.weight" in remedy
    assert "has besides 2.weight" in remedy
    assert "0.bias (9,), not (4,)" in remedy


def test_only_named_buffers_may_be_left_over(model: Any, tmp_path: Path) -> None:
    weights = {**model.state_dict(), POSITIONS: torch.arange(514)[None]}
    load_into(model, weights, tmp_path / "old.pt", ignored=[POSITIONS])
    with pytest.raises(EncoderUnavailable, match="position_ids"):
        load_into(model, weights, tmp_path / "old.pt")
