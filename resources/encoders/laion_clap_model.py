"""LAION-CLAP's own model, taken out of the `laion-clap` package without what surrounds it.

Importing the package downloads three tokenizers, and building its model a fourth set of weights,
which the checkpoint overwrites at once; and it imports `torchvision` for image towers that it never
uses. So three things are done here, and nowhere else:

- its folder goes on the path, and `clap_module` is imported alone, as the package itself does;
- where `torchvision` is absent, empty stand-ins serve for the few names that are looked for;
- the RoBERTa branch is built from its configuration.

The log-mel spectrogram is computed here as well: the package wants `torchaudio` for it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from resources.encoders.htsat import swin_layers
from resources.encoders.protocol import EncoderUnavailable

RATE = 48_000
OLD_BUFFERS = ("text_branch.embeddings.position_ids",)
"""Saved by older releases of transformers; it holds 0, 1, 2 ..."""

_N_FFT = 1024
_HOP = 480
_MELS = 64
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 14_000.0
_LEAST_POWER = 1e-10
_TRANSFORMS = (
    "CenterCrop",
    "Compose",
    "InterpolationMode",
    "Normalize",
    "RandomResizedCrop",
    "Resize",
    "ToTensor",
)


def build(fusion: bool) -> Any:
    """The package's CLAP (HTSAT-tiny and RoBERTa) with random weights.

    Raises:
        EncoderUnavailable: the package is not installed.
    """
    clap_model = _import("clap_module.model")
    factory = _import("clap_module.factory")
    with _roberta_from_config(clap_model):
        model, _ = factory.create_model(
            "HTSAT-tiny",
            "roberta",
            enable_fusion=fusion,
            fusion_type="aff_2d" if fusion else "None",
        )
    return model


def tune(model: Any) -> None:
    """Put equal and faster parts into a model whose weights are loaded.

    The spectrogram by FFT instead of a convolution, the layers with fused attention, and nothing
    computed beside the embedding. The spectrogram and the patches' fusion, which mixes
    precisions, stay in float32 when the rest runs in bfloat16.
    """
    branch = model.audio_branch
    layers = swin_layers()
    layers.load_state_dict(branch.layers.state_dict())
    branch.layers = layers.eval()
    branch.forward_features = types.MethodType(_embedding, branch)
    branch.spectrogram_extractor = _Spectrogram()
    branch.logmel_extractor = _Float32(branch.logmel_extractor)
    branch.patch_embed = _Float32(branch.patch_embed)


def log_mel(waveforms: Tensor) -> Tensor:
    """(batch, samples at 48 kHz) to (batch, frames, mels), in decibels (method section 5)."""
    power = _power(waveforms)
    filters = torch.from_numpy(_htk_filters()).to(power)
    return 10 * (power @ filters).clamp(min=_LEAST_POWER).log10()


def fused_mel(mel: Tensor, frames: int, draw: int) -> Tensor:
    """A long clip's four channels: all of it, shrunk, and a window from each third.

    Args:
        mel: (frames of the clip, mels).
        frames: of a window.
        draw: decides where the windows start.

    Returns:
        (4, frames, mels).
    """
    random = np.random.default_rng(draw)
    thirds = np.array_split(np.arange(len(mel) - frames + 1), 3)
    starts = [int(random.choice(third)) if len(third) else 0 for third in thirds]
    shrunk = functional.interpolate(
        mel[None, None], (frames, mel.shape[1]), mode="bilinear", antialias=False
    )[0, 0]
    return torch.stack([shrunk, *(mel[start : start + frames] for start in starts)])


def audio_rows(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """(batch, 512) of what the package's audio branch takes; not yet of unit length."""
    device = next(iter(inputs.values())).device
    embedding = model.encode_audio(inputs, device=device)["embedding"]
    rows: Tensor = model.audio_projection(embedding)
    return rows


def text_rows(model: Any, tokens: Tensor, mask: Tensor) -> Tensor:
    """(batch, 512) of tokens and their mask; not yet of unit length."""
    inputs = {"input_ids": tokens, "attention_mask": mask}
    rows: Tensor = model.encode_text(inputs, device=tokens.device)
    return rows


def _embedding(branch: Any, image: Tensor, longer_idx: Tensor | None = None) -> dict[str, Tensor]:
    """Stands in for the audio branch's `forward_features`: the mean over all patches."""
    patches = branch.patch_embed(image, longer_idx=longer_idx)
    for layer in branch.layers:
        patches = layer(patches)
    return {"embedding": branch.norm(patches).mean(dim=1)}


class _Spectrogram(nn.Module):
    """Stands in for the package's: (batch, samples) to (batch, 1, frames, bins)."""

    def forward(self, waveforms: Tensor) -> Tensor:
        return _power(waveforms)[:, None]


class _Float32(nn.Module):
    """Runs a module without autocast."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, values: Tensor, **options: Any) -> Any:
        with torch.autocast(values.device.type, enabled=False):
            return self.module(values.float(), **options)


def _power(waveforms: Tensor) -> Tensor:
    """(batch, samples) to (batch, frames, bins)."""
    window = torch.hann_window(_N_FFT, device=waveforms.device)
    with torch.autocast(waveforms.device.type, enabled=False):
        spectrum = torch.stft(waveforms.float(), _N_FFT, _HOP, window=window, return_complex=True)
        return spectrum.abs().square().transpose(1, 2)


def _htk_filters() -> np.ndarray:
    """(bins, mels) triangles of height 1 on the HTK mel scale, float32."""
    low, high = (2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST_HZ, _HIGHEST_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, _MELS + 2) / 2595) - 1)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bins = np.fft.rfftfreq(_N_FFT, 1 / RATE)[:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    filters: np.ndarray = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    return filters


def _import(module: str) -> Any:
    """A module of the package's folder, without running the package's own `__init__`."""
    spec = find_spec("laion_clap")
    if spec is None or not spec.submodule_search_locations:
        raise EncoderUnavailable(
            "extra not installed", "install the extra: pip install -e '.[encoders]'"
        )
    folder = str(Path(spec.submodule_search_locations[0]))
    if folder not in sys.path:
        sys.path.append(folder)
    with _torchvision():
        return importlib.import_module(module)


@contextlib.contextmanager
def _torchvision() -> Iterator[None]:
    """Stand-ins for `torchvision` while the package is imported, where it is not usable."""
    try:
        importlib.import_module("torchvision.transforms")
    except (ImportError, RuntimeError, OSError, AttributeError):
        names: dict[str, Sequence[str]] = {
            "torchvision": (),
            "torchvision.transforms": _TRANSFORMS,
            "torchvision.ops": (),
            "torchvision.ops.misc": ("FrozenBatchNorm2d",),
        }
        stand_ins = {name: types.ModuleType(name) for name in names}
        for name, classes in names.items():
            for class_name in classes:
                stand_in = type(class_name, (nn.Module,), {"BICUBIC": None})
                setattr(stand_ins[name], class_name, stand_in)
        sys.modules.update(stand_ins)
        try:
            yield
        finally:
            for name in names:
                sys.modules.pop(name, None)
    else:
        yield


@contextlib.contextmanager
def _roberta_from_config(clap_model: Any) -> Iterator[None]:
    """While the model is built, RoBERTa comes from its configuration, not from a download."""
    from transformers import RobertaConfig, RobertaModel

    config = RobertaConfig(
        vocab_size=50_265,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    original = clap_model.RobertaModel
    clap_model.RobertaModel = types.SimpleNamespace(from_pretrained=lambda _: RobertaModel(config))
    try:
        yield
    finally:
        clap_model.RobertaModel = original
