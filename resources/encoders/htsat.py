"""HTS-AT, the audio tower of WavCaps and LAION-CLAP: a Swin transformer over a folded spectrogram.

Written from the architecture's description (HTS-AT, Chen et al. 2022; Swin, Liu et al. 2021), with
the parameter names of the published checkpoints, so that a strict load succeeds. Imports torch:
only encoders that compute import it, when they do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_WINDOW = 8
_PATCH = 4
_IMAGE = 256
_MELS = 64
_FOLD = _IMAGE // _MELS
"""The spectrogram's time axis is cut into so many strips, which are stacked over frequency."""

FRAMES = _IMAGE * _FOLD
_WIDTH = 96
_DEPTHS = (2, 2, 6, 2)
_HEADS = (4, 8, 16, 32)
_CLASSES = 527
EMBEDDING = _WIDTH * 2 ** (len(_DEPTHS) - 1)
_MASKED = -100.0


class _WindowAttention(nn.Module):
    """Self-attention inside windows of 8 x 8 patches, with a learned bias by relative position."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * _WINDOW - 1) ** 2, heads))
        self.register_buffer("relative_position_index", _relative_positions())
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """(batch, windows, patches, width) to the same; `mask` is (windows, patches, patches)."""
        batch, count, patches, width = windows.shape
        queries, keys, values = (
            self.qkv(windows)
            .view(batch * count, patches, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)
        )
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        if mask is not None:
            bias = (bias + mask[:, None]).repeat(batch, 1, 1, 1)
        attended = functional.scaled_dot_product_attention(queries, keys, values, bias)
        merged = attended.transpose(1, 2).reshape(batch, count, patches, width)
        out: Tensor = self.proj(merged)
        return out


class _Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, patches: Tensor) -> Tensor:
        out: Tensor = self.fc2(functional.gelu(self.fc1(patches)))
        return out


class _Block(nn.Module):
    """One Swin block; every second one shifts its windows by half, where there are many."""

    attn_mask: Tensor | None

    def __init__(self, width: int, heads: int, side: int, shifted: bool) -> None:
        super().__init__()
        self.side = side
        self.shift = _WINDOW // 2 if shifted and side > _WINDOW else 0
        self.norm1 = nn.LayerNorm(width)
        self.attn = _WindowAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = _Mlp(width)
        self.register_buffer("attn_mask", _shift_mask(side, self.shift) if self.shift else None)

    def forward(self, patches: Tensor) -> Tensor:
        """(batch, side * side, width) to the same."""
        batch, _, width = patches.shape
        grid = self.norm1(patches).view(batch, self.side, self.side, width)
        if self.shift:
            grid = grid.roll((-self.shift, -self.shift), dims=(1, 2))
        grid = _from_windows(self.attn(_to_windows(grid), self.attn_mask), self.side)
        if self.shift:
            grid = grid.roll((self.shift, self.shift), dims=(1, 2))
        patches = patches + grid.reshape(batch, -1, width)
        out: Tensor = patches + self.mlp(self.norm2(patches))
        return out


class _PatchMerging(nn.Module):
    """Every 2 x 2 patches become one of twice the width."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, patches: Tensor) -> Tensor:
        batch, _, width = patches.shape
        half = self.side // 2
        grid = patches.view(batch, half, 2, half, 2, width)
        # In the order (row, column) = (0, 0), (1, 0), (0, 1), (1, 1).
        merged = grid.permute(0, 1, 3, 4, 2, 5).reshape(batch, half * half, 4 * width)
        out: Tensor = self.reduction(self.norm(merged))
        return out


class _Layer(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        width, side = _WIDTH * 2**number, _IMAGE // _PATCH // 2**number
        self.blocks = nn.ModuleList(
            _Block(width, _HEADS[number], side, shifted=block % 2 == 1)
            for block in range(_DEPTHS[number])
        )
        last = number == len(_DEPTHS) - 1
        self.downsample = None if last else _PatchMerging(width, side)

    def forward(self, patches: Tensor) -> Tensor:
        for block in self.blocks:
            patches = block(patches)
        return patches if self.downsample is None else self.downsample(patches)


class _PatchEmbed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, _WIDTH, kernel_size=_PATCH, stride=_PATCH)
        self.norm = nn.LayerNorm(_WIDTH)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.norm(self.proj(image).flatten(2).transpose(1, 2))
        return out


def swin_layers() -> nn.ModuleList:
    """The tower's four layers: (batch, 4096, 96) to (batch, 64, 768), one after the other."""
    return nn.ModuleList(_Layer(number) for number in range(len(_DEPTHS)))


class HtsAt(nn.Module):
    """The tower. `tscam_conv` and `head` classify AudioSet; they are loaded and never used."""

    def __init__(self, front_end: nn.Module) -> None:
        super().__init__()
        self.audio_feats_extractor = front_end
        self.bn0 = nn.BatchNorm2d(_MELS)
        self.patch_embed = _PatchEmbed()
        self.layers = swin_layers()
        self.norm = nn.LayerNorm(EMBEDDING)
        self.tscam_conv = nn.Conv2d(EMBEDDING, _CLASSES, kernel_size=(2, 3), padding=(0, 1))
        self.head = nn.Linear(_CLASSES, _CLASSES)

    def forward(self, waveforms: Tensor) -> Tensor:
        """(batch, samples) to (batch, 768): the mean over all patches of the last layer."""
        log_mel = self.audio_feats_extractor(waveforms)
        normed = self.bn0(log_mel.transpose(1, 2)[..., None])[..., 0].transpose(1, 2)
        patches = self.patch_embed(fold(normed[:, None]))
        for layer in self.layers:
            patches = layer(patches)
        out: Tensor = self.norm(patches).mean(dim=1)
        return out


def fold(log_mel: Tensor) -> Tensor:
    """(batch, 1, frames, mels), at most 1,024 frames, to a square image (batch, 1, 256, 256).

    Time is stretched to 1,024 frames (bicubic), cut into four strips, and these stacked.
    """
    if log_mel.shape[2] < FRAMES:
        log_mel = functional.interpolate(
            log_mel, (FRAMES, _MELS), mode="bicubic", align_corners=True
        )
    strips = log_mel.view(-1, 1, _FOLD, _IMAGE, _MELS)
    return strips.transpose(3, 4).reshape(-1, 1, _IMAGE, _IMAGE)


def _to_windows(grid: Tensor) -> Tensor:
    """(batch, side, side, width) to (batch, windows, patches of a window, width)."""
    batch, side, _, width = grid.shape
    count = side // _WINDOW
    split = grid.view(batch, count, _WINDOW, count, _WINDOW, width).transpose(2, 3)
    return split.reshape(batch, count * count, _WINDOW * _WINDOW, width)


def _from_windows(windows: Tensor, side: int) -> Tensor:
    """The inverse of `_to_windows`."""
    batch, _, _, width = windows.shape
    count = side // _WINDOW
    split = windows.view(batch, count, count, _WINDOW, _WINDOW, width).transpose(2, 3)
    return split.reshape(batch, side, side, width)


def _relative_positions() -> Tensor:
    """(64, 64): which row of the bias table belongs to a pair of patches of a window."""
    axis = torch.arange(_WINDOW)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    down = rows[:, None] - rows[None] + _WINDOW - 1
    right = columns[:, None] - columns[None] + _WINDOW - 1
    return down * (2 * _WINDOW - 1) + right


def _shift_mask(side: int, shift: int) -> Tensor:
    """(windows, 64, 64): keeps patches apart that only the cyclic shift brought together."""
    region = torch.zeros(side)
    region[side - _WINDOW : side - shift] = 1
    region[side - shift :] = 2
    regions = _to_windows((3 * region[:, None] + region[None])[None, :, :, None])[0, :, :, 0]
    return torch.where(regions[:, None, :] == regions[:, :, None], 0.0, _MASKED)
