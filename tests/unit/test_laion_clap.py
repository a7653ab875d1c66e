"""LAION-CLAP: the vectors of its own package, and of transformers, whatever the batch.

All with random weights and a stand-in tokenizer, since the real ones are downloads.
"""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from support.encoder_files import roberta_vocabulary
from support.engine_runs import vectors_by_engine
from support.laion_package import clap_module

from resources.encoders import torch_runtime
from resources.encoders.laion_clap import LaionClap
from resources.encoders.protocol import EncoderUnavailable
from resources.settings import LaionClapSettings

torch = pytest.importorskip("torch", reason="needs the extra `encoders`")
pytestmark = [
    pytest.mark.encoders,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("laion_clap") is None, reason="needs the extra `encoders`"),
]

RATE = 48_000
TEXTS = [
    "take plate",
    "open drawer",
    "a metal lid clangs on a pan while water runs",
    "x",
    "stir " * 90,
]


def sound(seconds: float, seed: int) -> np.ndarray:
    """A sweep with noise: no two frames alike, and no silence."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(time)) * 0.05
    tone = 0.3 * np.sin(2 * np.pi * (200 + 40 * seed + 100 * time) * time)
    return (tone + noise).astype(np.float32)


SHORT = [sound(1.3, 0), sound(4.2, 1), sound(9.99, 2), sound(0.2, 3)]
EQUAL = [sound(10.0, 4)]
LONG = [sound(10.5, 5), sound(23.0, 6)]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "fusion"])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> SimpleNamespace:
    """The package's module with random weights, and a maker of our encoders with the same."""
    folder = tmp_path_factory.mktemp("clap")
    vocabulary = roberta_vocabulary(folder / "vocabulary", TEXTS)
    torch.manual_seed(0)
    theirs = clap_module(request.param, vocabulary)
    _stir(theirs.model)
    weights = theirs.model.state_dict()
    checkpoint = folder / "random.pt"
    checkpoint.write_bytes(b"stands in for the weights")

    def ours(**settings: Any) -> LaionClap:
        settings = {"fusion": request.param, "vocabulary": str(vocabulary), **settings}
        return LaionClap(
            "ours", LaionClapSettings(kind="laion_clap", checkpoint=checkpoint, **settings), folder
        )

    with mock.patch.object(torch_runtime, "load_weights", lambda *_: weights):
        yield SimpleNamespace(
            theirs=theirs, ours=ours, fusion=request.param, one=ours(fuse_short=False)
        )


def _stir(model: Any) -> None:
    """Random values also where a fresh model has zeros and ones."""
    generator = torch.Generator().manual_seed(1)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif value.is_floating_point() and not any(
            fixed in name for fixed in ("stft", "melW", "attn_mask", "logit_scale")
        ):
            value.add_(torch.randn(value.shape, generator=generator) * 0.02)


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float((1 - (ours.astype(np.float64) * theirs).sum(axis=1)).max())


def reference(module: Any, waveform: np.ndarray, draw: int, **changed: bool) -> np.ndarray:
    """The package's own vector of one clip, its random choices made by our draw."""
    drawn = np.random.default_rng(draw)
    with (
        mock.patch("numpy.random.choice", drawn.choice),
        mock.patch("numpy.random.randint", lambda _, stop: int(drawn.integers(stop))),
        torch.inference_mode(),
    ):
        if not changed:
            given = torch.from_numpy(waveform)[None]
            return module.get_audio_embedding_from_data(given, use_tensor=True).numpy()
        package = type(module).get_audio_embedding_from_data.__globals__
        features = package["get_audio_features"](
            {}, torch.from_numpy(waveform), 480_000, "fusion", "repeatpad",
            module.model_cfg["audio_cfg"],
        )  # fmt: skip
        features["longer"] = torch.tensor([True])
        return module.model.get_audio_embedding([features]).numpy()


def test_clips_have_the_packages_own_vectors(pair: SimpleNamespace) -> None:
    clips = [*SHORT, *EQUAL, *LONG]
    draws = list(range(7, 7 + len(clips)))
    ours = pair.one.embed_audio(clips, draws)
    theirs = [reference(pair.theirs, clip, draw) for clip, draw in zip(clips, draws, strict=True)]
    assert distance(ours, np.concatenate(theirs)) < 1e-5
    assert (ours @ ours.T)[np.triu_indices(len(clips), 1)].max() < 0.9999, "all alike: no test"


def test_short_clips_take_the_fusion_path_as_in_the_authors_runs(pair: SimpleNamespace) -> None:
    if not pair.fusion:
        pytest.skip("a model without fusion has one path")
    ours = pair.ours().embed_audio(SHORT, [0] * len(SHORT))
    theirs = [reference(pair.theirs, clip, 0, longer=True) for clip in SHORT]
    assert distance(ours, np.concatenate(theirs)) < 1e-5
    assert distance(ours, pair.one.embed_audio(SHORT, [0] * len(SHORT))) > 1e-4


def test_texts_have_the_packages_own_vectors(pair: SimpleNamespace) -> None:
    with torch.inference_mode():
        theirs = pair.theirs.get_text_embedding(TEXTS)
    assert distance(pair.one.embed_texts(TEXTS), theirs) < 1e-5


def test_a_vector_does_not_depend_on_its_batch(pair: SimpleNamespace) -> None:
    clips = [SHORT[0], LONG[0], SHORT[1], EQUAL[0], SHORT[3]]
    alone = np.concatenate([pair.one.embed_audio([clip], [3]) for clip in clips])
    for size in (2, 64):
        encoder = pair.ours(fuse_short=False, batch_size=size)
        encoder.__dict__["_model"] = pair.one._model
        together = encoder.embed_audio(clips[::-1], [3] * len(clips))[::-1]
        assert distance(together, alone) < 1e-6
    texts = pair.one.embed_texts(TEXTS)
    single = np.concatenate([pair.one.embed_texts([text]) for text in reversed(TEXTS)])[::-1]
    assert distance(texts, single) < 1e-6


def test_workers_batches_and_order_decide_no_vector(pair: SimpleNamespace) -> None:
    encoder = pair.ours()
    encoder.__dict__["_model"] = pair.one._model
    clips = [*SHORT, *EQUAL, *LONG]
    alone = vectors_by_engine(encoder, clips, batch_size=1, threads=1)
    for batch_size, backwards in ((2, False), (64, True)):
        together = vectors_by_engine(encoder, clips, batch_size, threads=8, backwards=backwards)
        assert distance(together, alone) < 1e-6


def test_texts_that_do_not_fit_into_memory_are_halved(pair: SimpleNamespace) -> None:
    rows = pair.one._text_rows

    def small(batch: Any) -> Any:
        if len(batch[0]) > 2:
            raise RuntimeError("CUDA out of memory")
        return rows(batch)

    whole = pair.one.embed_texts(TEXTS)
    with mock.patch.object(pair.one, "_text_rows", small):
        assert distance(pair.one.embed_texts(TEXTS), whole) < 1e-6


def test_seeds_change_long_clips_only(pair: SimpleNamespace) -> None:
    first, second = (pair.one.embed_audio([SHORT[0], LONG[1]], [seed] * 2) for seed in (1, 2))
    assert distance(first[:1], second[:1]) < 1e-7
    assert distance(first[1:], second[1:]) > 1e-7


def test_half_precision_is_near_and_has_another_fingerprint(pair: SimpleNamespace) -> None:
    half = pair.ours(fuse_short=False, precision="bfloat16")
    half.__dict__["_model"] = pair.one._model
    full = pair.one.embed_audio(SHORT[:2] + LONG[:1], [0] * 3)
    assert 0 < distance(half.embed_audio(SHORT[:2] + LONG[:1], [0] * 3), full) < 0.01
    assert half.fingerprint != pair.one.fingerprint


def test_transformers_agrees(pair: SimpleNamespace) -> None:
    """A second oracle, written by others: `ClapFeatureExtractor` and `ClapModel`."""
    from transformers import ClapFeatureExtractor

    model = _as_transformers(pair.theirs.model, pair.fusion)
    extractor = ClapFeatureExtractor(  # 50 Hz, as the published configuration says
        truncation="fusion" if pair.fusion else "rand_trunc", padding="repeatpad", frequency_min=50
    )
    clips = [SHORT[0], EQUAL[0], *(LONG if pair.fusion else [])]
    draws = [11] * len(clips)
    ours = pair.ours().embed_audio(clips, draws)
    for vector, clip, draw in zip(ours, clips, draws, strict=True):
        drawn = np.random.default_rng(draw)
        with mock.patch("numpy.random.choice", drawn.choice), torch.inference_mode():
            features = extractor(clip, sampling_rate=RATE, return_tensors="pt")
            if pair.fusion:
                features["is_longer"] = torch.tensor([[True]])
            theirs = model.get_audio_features(**features)
        theirs = getattr(theirs, "pooler_output", theirs)
        theirs = torch.nn.functional.normalize(theirs, dim=-1).numpy()
        assert distance(vector[None], theirs) < 1e-5
    tokens = pair.theirs.tokenizer(TEXTS)
    with torch.inference_mode():
        theirs = model.get_text_features(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        )
    theirs = torch.nn.functional.normalize(getattr(theirs, "pooler_output", theirs), dim=-1)
    assert distance(pair.one.embed_texts(TEXTS), theirs.numpy()) < 1e-5


def _as_transformers(model: Any, fusion: bool) -> Any:
    """The same weights in transformers' `ClapModel`, names translated."""
    from transformers import ClapConfig, ClapModel

    config = ClapConfig()
    config.audio_config.enable_fusion = fusion
    if fusion:
        config.audio_config.fusion_type = "aff_2d"
    theirs = ClapModel(config).eval()
    renamed: dict[str, Any] = {}
    for name, value in model.state_dict().items():
        new = _transformers_name(name)
        if ".qkv." in new:
            for part, piece in zip(("query", "key", "value"), value.chunk(3), strict=True):
                renamed[new.replace(".qkv.", f".self.{part}.")] = piece
        else:
            renamed[new] = value
    expected = theirs.state_dict()
    missing = [name for name in expected if name not in renamed and "position_ids" not in name]
    missing = [name for name in missing if "token_type_ids" not in name]
    assert not missing, missing
    theirs.load_state_dict(
        {name: value for name, value in renamed.items() if name in expected}, strict=False
    )
    return theirs


def _transformers_name(name: str) -> str:
    for old, new in {
        "text_branch.": "text_model.",
        "audio_branch.": "audio_model.audio_encoder.",
        ".attn.qkv.": ".attention.qkv.",
        ".attn.proj.": ".attention.output.dense.",
        ".attn.": ".attention.self.",
        ".mlp.fc1.": ".intermediate.dense.",
        ".mlp.fc2.": ".output.dense.",
        ".norm1.": ".layernorm_before.",
        ".norm2.": ".layernorm_after.",
        "audio_encoder.bn0": "audio_encoder.batch_norm",
        "projection.0.": "projection.linear1.",
        "projection.2.": "projection.linear2.",
    }.items():
        name = name.replace(old, new)
    return name


def test_a_checkpoint_of_the_other_kind_is_refused_with_what_differs(
    pair: SimpleNamespace,
) -> None:
    with pytest.raises(EncoderUnavailable, match=r"patch_embed\.") as caught:
        pair.ours(fusion=not pair.fusion).embed_audio(SHORT[:1], [0])
    assert caught.value.reason == "wrong checkpoint"


def test_a_text_is_embedded_once_however_often_it_is_given(pair: SimpleNamespace) -> None:
    with mock.patch.object(pair.one, "_text_rows", wraps=pair.one._text_rows) as rows:
        vectors = pair.one.embed_texts(["take plate", "x", "take plate"])
    assert sum(call.args[0][0].shape[0] for call in rows.call_args_list) == 2
    np.testing.assert_array_equal(vectors[0], vectors[2])
