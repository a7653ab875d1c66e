"""WavCaps' HTSAT-BERT: the upstream model's vectors and parameter names, whatever the batch."""

from __future__ import annotations

import csv
import json
import zlib
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from support.encoder_files import bert_vocabulary
from support.engine_runs import vectors_by_engine
from support.real_data import real_data

from resources.encoders import torch_runtime
from resources.encoders.protocol import EncoderUnavailable
from resources.encoders.wavcaps import WavCaps
from resources.settings import WavCapsSettings

torch = pytest.importorskip("torch", reason="needs the extra `encoders`")
pytest.importorskip("transformers", reason="needs the extra `encoders`")
pytestmark = [pytest.mark.encoders, pytest.mark.slow]

RATE = 32_000
FIXED = ("mel_trans", "log_trans", "attn_mask", "relative_position_index")
TEXTS = ["take plate", "a metal lid clangs", "pour water " * 30]


def given_by_rule(name: str, shape: tuple[int, ...]) -> Any:
    """A weight as the golden vectors' rule makes it."""
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape) * 0.02
    if name.endswith("weight") and len(shape) == 1:
        values = values + 1.0
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


@pytest.fixture(scope="module")
def weights() -> dict[str, Any]:
    from resources.encoders.wavcaps_model import HtsatBert

    state = HtsatBert().state_dict()
    for name, value in state.items():
        if name.endswith("running_var"):
            state[name] = torch.ones_like(value)
        elif name.endswith(("running_mean", "num_batches_tracked")):
            state[name] = torch.zeros_like(value)
        elif not any(part in name for part in FIXED):
            state[name] = given_by_rule(name, tuple(value.shape))
    return state


@pytest.fixture(scope="module")
def encoder(weights: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> WavCaps:
    """An encoder with those weights, read as from a published file of an older transformers."""
    folder = tmp_path_factory.mktemp("wavcaps")
    old = {**weights, "text_encoder.text_encoder.embeddings.position_ids": torch.arange(512)[None]}
    made = make(folder)
    with mock.patch.object(torch_runtime, "load_weights", lambda *_: old):
        assert made._model is made._model
    return made


def make(folder: Path, **changed: Any) -> WavCaps:
    checkpoint = folder / "random.pt"
    checkpoint.write_bytes(b"stands in for the weights")
    vocabulary = folder / "vocabulary"
    if not vocabulary.exists():
        bert_vocabulary(vocabulary, TEXTS)
    settings = {"checkpoint": checkpoint, "vocabulary": str(vocabulary), **changed}
    return WavCaps("ours", WavCapsSettings(kind="wavcaps", **settings), folder)


def golden_clips() -> list[np.ndarray]:
    time = np.arange(10 * RATE) / RATE
    return [
        np.where(
            time < stop,
            0.3 * np.sin(2 * np.pi * (200 + 150 * i + 300 * time) * time)
            + 0.1 * np.sin(2 * np.pi * 60 * time),
            0,
        ).astype(np.float32)
        for i, stop in enumerate([10, 2.5, 0.7, 6.1])
    ]


@pytest.mark.real_data
def test_the_upstream_models_vectors(encoder: WavCaps) -> None:
    golden = json.loads(real_data("wavcaps", "golden_seed0.json").read_text())
    vectors = encoder.embed_audio(golden_clips(), [0] * 4)
    np.testing.assert_allclose(vectors, np.array(golden["audio"]), atol=1e-5)
    with mock.patch.object(encoder, "_tokens", lambda _: golden["tokens"]):
        vectors = encoder.embed_texts([str(text) for text in range(4)])
    np.testing.assert_allclose(vectors, np.array(golden["text"]), atol=1e-5)


@pytest.mark.real_data
def test_names_and_shapes_are_the_published_ones(weights: dict[str, Any]) -> None:
    with real_data("wavcaps", "state_dict.csv").open() as file:
        published = {row["name"]: row["shape"] for row in csv.DictReader(file)}
    ours = {name: "x".join(map(str, value.shape)) or "scalar" for name, value in weights.items()}
    assert ours == published


def test_short_clips_are_padded_with_zeros_and_long_ones_cropped(encoder: WavCaps) -> None:
    whole = golden_clips()[1]
    short = whole[: int(2.5 * RATE)]
    vectors = encoder.embed_audio([whole, short], [0, 0])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    noise = np.random.default_rng(0).standard_normal(15 * RATE).astype(np.float32)
    start = int(np.random.default_rng(5).integers(5 * RATE + 1))
    cropped = encoder.embed_audio([noise, noise[start : start + 10 * RATE]], [5, 0])
    np.testing.assert_allclose(cropped[0], cropped[1], atol=1e-6)


def test_a_vector_does_not_depend_on_its_batch(encoder: WavCaps) -> None:
    clips = [*golden_clips(), np.ones(100, np.float32)]
    together = encoder.embed_audio(clips, [0] * 5)
    alone = np.concatenate([encoder.embed_audio([clip], [0]) for clip in reversed(clips)])[::-1]
    np.testing.assert_allclose((together * alone).sum(axis=1), 1, atol=1e-6)
    texts = encoder.embed_texts(TEXTS)
    single = np.concatenate([encoder.embed_texts([text]) for text in TEXTS])
    np.testing.assert_allclose((texts * single).sum(axis=1), 1, atol=1e-6)


def test_workers_batches_and_order_decide_no_vector(encoder: WavCaps) -> None:
    long = np.random.default_rng(0).standard_normal(13 * RATE).astype(np.float32)
    clips = [*golden_clips(), long, long[:100]]
    alone = vectors_by_engine(encoder, clips, batch_size=1, threads=1)
    for batch_size, backwards in ((2, False), (64, True)):
        together = vectors_by_engine(encoder, clips, batch_size, threads=8, backwards=backwards)
        np.testing.assert_allclose((together * alone).sum(axis=1), 1, atol=1e-6)


def test_texts_are_cut_at_thirty_tokens(encoder: WavCaps) -> None:
    assert [len(numbers) for numbers in encoder._tokens(TEXTS)][-1] == 30


def test_another_spectrogram_in_the_checkpoint_is_refused(
    weights: dict[str, Any], tmp_path: Path
) -> None:
    name = "audio_encoder.audio_enc.audio_feats_extractor.log_trans.melW"
    other = {**weights, name: weights[name] * 2}
    with (
        mock.patch.object(torch_runtime, "load_weights", lambda *_: other),
        pytest.raises(EncoderUnavailable, match="melW"),
    ):
        make(tmp_path).embed_audio(golden_clips()[:1], [0])


def test_the_fingerprint_follows_every_option(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"normalize_text": True},
        {"precision": "bfloat16"},
    ]
    assert len({make(tmp_path, **change).fingerprint for change in changes}) == 3
    same = make(tmp_path, batch_size=7, sha256=None)
    assert same.fingerprint == make(tmp_path).fingerprint


def test_a_checkpoint_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="sha256"):
        _ = make(tmp_path, sha256="0" * 64).fingerprint
