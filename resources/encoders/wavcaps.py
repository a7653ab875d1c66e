"""`wavcaps`: HTSAT-BERT with its published fine-tuned checkpoints (method section 6.2).

32 kHz, ten seconds, zero padding, [CLS], at most 30 tokens, 1,024 dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resources.encoders import lengths, tokens
from resources.encoders.checkpoints import load_into
from resources.encoders.protocol import EncoderUnavailable, Waveform, Window
from resources.encoders.torch_runtime import TorchEncoder
from resources.encoders.weights import BERT, WAVCAPS
from resources.settings import WavCapsSettings

if TYPE_CHECKING:
    from torch import Tensor

    from resources.encoders.wavcaps_model import HtsatBert

_MAX_TOKENS = 30
_PUNCTUATION = re.compile(r"[\s(),.!?;:|*\"]+")


class WavCaps(TorchEncoder):
    """The encoder (see `protocol.Encoder`)."""

    kind = "wavcaps"
    version = 1
    sample_rate = 32_000
    checkpoints = WAVCAPS
    vocabulary = BERT
    _padding = 0
    _settings: WavCapsSettings

    def __init__(self, name: str, settings: WavCapsSettings, cache_dir: Path) -> None:
        super().__init__(name, settings, cache_dir)
        self.window = Window(10.0, settings.pad, settings.crop)

    def _options(self) -> dict[str, Any]:
        return {"normalize_text": self._settings.normalize_text}

    def _build(self) -> HtsatBert:
        import torch

        from resources.encoders.wavcaps_model import OLD_BUFFERS, HtsatBert

        model = HtsatBert()
        fixed = model.fixed_buffers()
        loaded = self._load_weights()
        load_into(model, loaded, self.checkpoint, OLD_BUFFERS)
        for name, value in fixed.items():
            if not torch.allclose(loaded[name].to(value.dtype), value, atol=1e-4):
                raise EncoderUnavailable(
                    "wrong checkpoint",
                    f"{self.checkpoint}: {name} is not that of 64 mels at 32 kHz. Name a "
                    f"checkpoint of WavCaps' HTSAT-BERT.",
                )
        return model

    def _audio_rows(self, clips: Sequence[tuple[Waveform, int]]) -> Tensor:
        import torch

        fitted = [
            lengths.fit(waveform, self.sample_rate, self.window, draw) for waveform, draw in clips
        ]
        batch = torch.from_numpy(np.stack(fitted)).to(self._device())
        rows: Tensor = self._model.audio(batch)
        return rows

    @cached_property
    def _tokenizer(self) -> Any:
        return tokens.bert_tokenizer(self._vocabulary_folder(), _MAX_TOKENS)

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        if self._settings.normalize_text:
            texts = [normalize(text) for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def _text_rows(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        numbers, mask = (part.to(self._device()) for part in batch)
        rows: Tensor = self._model.text(numbers, mask)
        return rows


def normalize(text: str) -> str:
    """A caption as WavCaps' own training normalised it: lower case, without punctuation."""
    return _PUNCTUATION.sub(" ", text.lower()).strip()
