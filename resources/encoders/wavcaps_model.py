"""WavCaps' HTSAT-BERT as a torch module, with the parameter names of the published checkpoints.

Method section 6.2. Imports torch and transformers; `wavcaps.py` imports this when it computes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from resources.encoders.htsat import EMBEDDING, HtsAt

DIMENSIONS = 1024
OLD_BUFFERS = ("text_encoder.text_encoder.embeddings.position_ids",)
"""Saved by older releases of transformers; it holds 0, 1, 2 ..."""

_RATE = 32_000
_N_FFT = 1024
_HOP = 320
_MELS = 64
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 14_000.0
_LEAST_POWER = 1e-10
_FIXED = ("mel_trans", "log_trans", "attn_mask", "relative_position_index")


class HtsatBert(nn.Module):
    """Both towers; `audio` and `text` give rows that are not yet of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.temp = nn.Parameter(torch.tensor(0.07))
        self.audio_encoder = nn.Module()
        self.audio_encoder.audio_enc = HtsAt(_LogMel())
        self.text_encoder = nn.Module()
        self.text_encoder.text_encoder = BertModel(BertConfig(), add_pooling_layer=False)
        self.audio_proj = _projection(EMBEDDING)
        self.text_proj = _projection(BertConfig().hidden_size)

    def audio(self, waveforms: Tensor) -> Tensor:
        """(batch, 320,000 samples at 32 kHz) to (batch, 1024)."""
        out: Tensor = self.audio_proj(self.audio_encoder.audio_enc(waveforms))
        return out

    def text(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(batch, tokens) to (batch, 1024), from the hidden state of [CLS]."""
        states = self.text_encoder.text_encoder(input_ids=tokens, attention_mask=mask)
        out: Tensor = self.text_proj(states.last_hidden_state[:, 0])
        return out

    def fixed_buffers(self) -> dict[str, Tensor]:
        """Copies of what is not learned: transforms, masks, positions."""
        return {
            name: value.clone()
            for name, value in self.state_dict().items()
            if any(part in name for part in _FIXED)
        }


class _LogMel(nn.Module):
    """Log-mel spectrogram. The checkpoints hold it as a convolution; an FFT computes the same."""

    def __init__(self) -> None:
        super().__init__()
        window = torch.hann_window(_N_FFT, dtype=torch.float64)
        angles = (
            2
            * torch.pi
            / _N_FFT
            * torch.outer(
                torch.arange(_N_FFT // 2 + 1, dtype=torch.float64),
                torch.arange(_N_FFT, dtype=torch.float64),
            )
        )
        self.mel_trans = nn.Module()
        self.mel_trans.stft = nn.Module()
        self.mel_trans.stft.conv_real = _fixed_kernel(torch.cos(angles) * window)
        self.mel_trans.stft.conv_imag = _fixed_kernel(-torch.sin(angles) * window)
        self.log_trans = nn.Module()
        self.log_trans.register_buffer("melW", torch.from_numpy(_slaney_filters()).float())
        self.register_buffer("window", window.float(), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) to (batch, frames, mels), in decibels."""
        with torch.autocast(waveforms.device.type, enabled=False):
            spectrum = torch.stft(
                waveforms.float(), _N_FFT, _HOP, window=self.window, return_complex=True
            )
            mel = spectrum.abs().square().transpose(1, 2) @ self.log_trans.melW
            return 10 * mel.clamp(min=_LEAST_POWER).log10()


def _fixed_kernel(kernel: Tensor) -> nn.Module:
    module = nn.Module()
    module.register_buffer("weight", kernel.float()[:, None])
    return module


def _projection(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, DIMENSIONS), nn.ReLU(), nn.Linear(DIMENSIONS, DIMENSIONS))


def _slaney_filters() -> np.ndarray:
    """(bins, mels) triangles of unit area on Slaney's mel scale: linear to 1 kHz, then log."""
    step, knee = 200 / 3, 15.0
    log_step = np.log(6.4) / 27

    def to_mel(hertz: float) -> float:
        return hertz / step if hertz < 1000 else knee + np.log(hertz / 1000) / log_step

    mels = np.linspace(to_mel(_LOWEST_HZ), to_mel(_HIGHEST_HZ), _MELS + 2)
    edges = np.where(mels < knee, mels * step, 1000 * np.exp(log_step * (mels - knee)))
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    bins = np.fft.rfftfreq(_N_FFT, 1 / _RATE)[:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    filters: np.ndarray = np.maximum(0, np.minimum(rising, falling)) * 2 / (right - left)
    return filters
