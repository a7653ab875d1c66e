"""From an encoder's settings to the encoder: the one place that knows every kind."""

from __future__ import annotations

from pathlib import Path

from resources.encoders import hashed_words, mel_statistics
from resources.encoders.laion_clap import LaionClap
from resources.encoders.mel_ridge import MelRidge
from resources.encoders.precomputed import Precomputed
from resources.encoders.protocol import Encoder
from resources.encoders.torch_runtime import has_torch
from resources.encoders.wavcaps import WavCaps
from resources.settings import (
    LaionClapSettings,
    LateFusionSettings,
    MelRidgeSettings,
    PrecomputedSettings,
    Settings,
    WavCapsSettings,
)

Single = MelRidgeSettings | PrecomputedSettings | LaionClapSettings | WavCapsSettings


def single_encoders(settings: Settings) -> dict[str, Single]:
    """The config's encoders that are not made of others."""
    return {
        name: encoder
        for name, encoder in settings.encoders.items()
        if not isinstance(encoder, LateFusionSettings)
    }


def fused_encoders(settings: Settings) -> dict[str, LateFusionSettings]:
    """The config's encoders that are made of others."""
    return {
        name: encoder
        for name, encoder in settings.encoders.items()
        if isinstance(encoder, LateFusionSettings)
    }


def code_versions(settings: Single) -> list[int | bool]:
    """What decides an encoder's vectors beside its settings and files: a few numbers, told at once.

    Its own code, whose versions are raised where vectors change meaning; and whether torch is
    installed, without which it has none.
    """
    match settings:
        case MelRidgeSettings():
            return [mel_statistics.VERSION, hashed_words.VERSION]
        case LaionClapSettings():
            return [LaionClap.version, has_torch()]
        case WavCapsSettings():
            return [WavCaps.version, has_torch()]
    return []


def build_encoder(name: str, settings: Single, cache_dir: Path) -> Encoder | Precomputed:
    """Build an encoder; nothing heavy is imported and no weight is read yet.

    Args:
        name: the encoder's name in the config.
        settings: what the config says of it.
        cache_dir: where weights are kept, and what files hold is remembered.
    """
    match settings:
        case MelRidgeSettings():
            return MelRidge(name, settings, cache_dir)
        case LaionClapSettings():
            return LaionClap(name, settings, cache_dir)
        case WavCapsSettings():
            return WavCaps(name, settings, cache_dir)
    return Precomputed(name, settings, cache_dir)
