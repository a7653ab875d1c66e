"""`laion_clap`: the `laion-clap` package's model with the official checkpoints (method 6.1).

48 kHz, ten seconds, repeated and padded, 512 dimensions. A fusion model sees a long clip whole and
in three windows. In the package a clip's vector depends on its batch where fusion is on; here
every clip takes the path that the config names.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resources.encoders import lengths, tokens
from resources.encoders.checkpoints import load_into
from resources.encoders.protocol import Waveform, Window
from resources.encoders.torch_runtime import TorchEncoder
from resources.encoders.weights import LAION_CLAP, ROBERTA
from resources.settings import LaionClapSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_MAX_TOKENS = 77
_SECONDS = 10.0
_FRAMES = 1001


class LaionClap(TorchEncoder):
    """The encoder (see `protocol.Encoder`)."""

    kind = "laion_clap"
    version = 1
    sample_rate = 48_000
    checkpoints = LAION_CLAP
    vocabulary = ROBERTA
    _padding = 1
    _settings: LaionClapSettings

    def __init__(self, name: str, settings: LaionClapSettings, cache_dir: Path) -> None:
        super().__init__(name, settings, cache_dir)
        crop = "fusion" if settings.is_fusion else settings.crop
        self.window = Window(_SECONDS, settings.pad, crop)

    def _options(self) -> dict[str, Any]:
        fusion = self._settings.is_fusion
        return {"fusion": fusion, "fuse_short": fusion and self._settings.fuse_short}

    def _build(self) -> Any:
        from resources.encoders import laion_clap_model

        model = laion_clap_model.build(self._settings.is_fusion)
        loaded = self._load_weights()
        load_into(model, loaded, self.checkpoint, laion_clap_model.OLD_BUFFERS)
        laion_clap_model.tune(model)
        return model

    def _audio_rows(self, clips: Sequence[tuple[Waveform, int]]) -> Tensor:
        from resources.encoders import laion_clap_model

        model = self._model
        inputs = self._fused(clips) if self._settings.is_fusion else self._cropped(clips)
        return laion_clap_model.audio_rows(model, inputs)

    def _cropped(self, clips: Sequence[tuple[Waveform, int]]) -> dict[str, Tensor]:
        """What a model without fusion takes: ten seconds of each clip."""
        return {
            "waveform": self._batch(
                [lengths.fit(wave, self.sample_rate, self.window, draw) for wave, draw in clips]
            )
        }

    def _fused(self, clips: Sequence[tuple[Waveform, int]]) -> dict[str, Tensor]:
        """What a fusion model takes: four channels of log-mels, and who is to be fused."""
        import torch

        from resources.encoders.laion_clap_model import fused_mel, log_mel

        length = round(_SECONDS * self.sample_rate)
        channels: list[Tensor] = [torch.empty(0)] * len(clips)
        is_long = [self.window.is_long(len(wave) / self.sample_rate) for wave, _ in clips]
        short = [index for index, long in enumerate(is_long) if not long]
        if short:
            waves = [lengths.pad(clips[i][0][:length], length, self.window) for i in short]
            for index, mel in zip(short, log_mel(self._batch(waves)), strict=True):
                channels[index] = mel.expand(4, -1, -1)
        for index, (wave, draw) in enumerate(clips):
            if is_long[index]:
                channels[index] = fused_mel(log_mel(self._batch([wave]))[0], _FRAMES, draw)
        fuse = torch.tensor([self._settings.fuse_short or long for long in is_long])
        return {"mel_fusion": torch.stack(channels), "longer": fuse.to(self._device())}

    def _batch(self, waveforms: Sequence[Waveform]) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.stack(waveforms)).to(self._device())

    @cached_property
    def _tokenizer(self) -> Any:
        return tokens.roberta_tokenizer(self._vocabulary_folder(), _MAX_TOKENS)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def _text_rows(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        from resources.encoders import laion_clap_model

        numbers, mask = (part.to(self._device()) for part in batch)
        return laion_clap_model.text_rows(self._model, numbers, mask)
