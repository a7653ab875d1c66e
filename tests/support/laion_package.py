"""The `laion-clap` package as its README uses it, for comparison: without network or torchaudio.

Its import and its constructor download tokenizers and weights; here a stand-in tokenizer and a
randomly initialised RoBERTa take their place. Its fused log-mel comes from torchaudio, which does
not import beside a CPU torch: transformers' filters and a plain FFT stand in, written apart from
ours.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np


def clap_module(fusion: bool, vocabulary: Path, device: str = "cpu") -> Any:
    """A `laion_clap.CLAP_Module` with random weights."""
    import transformers

    tokenizer = transformers.RobertaTokenizer.from_pretrained(str(vocabulary))
    config = transformers.RobertaConfig(
        vocab_size=50_265,
        max_position_embeddings=514,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )

    def given(*_: object, **__: object) -> Any:
        return tokenizer

    def random_roberta(*_: object, **__: object) -> Any:
        return transformers.RobertaModel(config)

    # Imported before the stand-ins are seen, since transformers looks for what is installed.
    _ = (transformers.BertModel, transformers.RobertaModel, transformers.BartModel)
    stand_ins = {"torchaudio": _torchaudio()}
    if "torchvision" not in sys.modules:
        stand_ins |= _torchvision()
    with (
        mock.patch.dict(sys.modules, stand_ins),
        mock.patch.object(transformers.BertTokenizer, "from_pretrained", given),
        mock.patch.object(transformers.RobertaTokenizer, "from_pretrained", given),
        mock.patch.object(transformers.BartTokenizer, "from_pretrained", given),
        mock.patch.object(transformers.RobertaModel, "from_pretrained", random_roberta),
    ):
        import laion_clap

        return laion_clap.CLAP_Module(enable_fusion=fusion, device=device).eval()


def _torchaudio() -> types.ModuleType:
    """The two transforms that the package's `get_mel` calls."""
    import torch
    from transformers.audio_utils import mel_filter_bank

    class MelSpectrogram(torch.nn.Module):
        def __init__(self, **options: Any) -> None:
            super().__init__()
            self.options = options
            self.filters = mel_filter_bank(
                num_frequency_bins=options["n_fft"] // 2 + 1,
                num_mel_filters=options["n_mels"],
                min_frequency=options["f_min"],
                max_frequency=options["f_max"],
                sampling_rate=options["sample_rate"],
                norm=None,
                mel_scale="htk",
            )

        def forward(self, samples: Any) -> Any:
            size, hop = self.options["n_fft"], self.options["hop_length"]
            padded = np.pad(samples.numpy().astype(np.float64), size // 2, mode="reflect")
            frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
            window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
            power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
            return torch.from_numpy((power @ self.filters).T.astype(np.float32))

    class AmplitudeToDB(torch.nn.Module):
        def __init__(self, top_db: None) -> None:
            super().__init__()

        def forward(self, power: Any) -> Any:
            return 10 * torch.log10(torch.clamp(power, min=1e-10))

    module = types.ModuleType("torchaudio")
    module.transforms = types.SimpleNamespace(
        MelSpectrogram=MelSpectrogram, AmplitudeToDB=AmplitudeToDB
    )
    return module


def _torchvision() -> dict[str, types.ModuleType]:
    """What the package imports, and the one transform that it uses: a plain bilinear resize."""
    import torch

    class Resize:
        def __init__(self, size: list[int], interpolation: object = None) -> None:
            self.size = size

        def __call__(self, image: Any) -> Any:
            resized = torch.nn.functional.interpolate(image[None], self.size, mode="bilinear")
            return resized[0]

    names = [
        "torchvision",
        "torchvision.datasets",
        "torchvision.ops",
        "torchvision.ops.misc",
        "torchvision.transforms",
        "PIL",
        "PIL.Image",
    ]
    modules = {name: types.ModuleType(name) for name in names}
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    transforms = modules["torchvision.transforms"]
    transforms.Resize = Resize
    for name in ("CenterCrop", "Compose", "Normalize", "RandomResizedCrop", "ToTensor"):
        setattr(transforms, name, object)
    transforms.InterpolationMode = types.SimpleNamespace(BICUBIC="bicubic")
    modules["torchvision.ops.misc"].FrozenBatchNorm2d = torch.nn.BatchNorm2d
    return modules
