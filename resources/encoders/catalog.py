"""From an encoder's settings to the encoder: the one place that knows every kind."""

from __future__ import annotations

from pathlib import Path

from resources.encoders.laion_clap import LaionClap
from resources.encoders.mel_ridge import MelRidge
from resources.encoders.precomputed import Precomputed
from resources.encoders.protocol import Encoder, EncoderUnavailable
from resources.encoders.torch_runtime import TorchEncoder, has_torch
from resources.encoders.wavcaps import WavCaps
from resources.settings import (
    AnyEncoder,
    LaionClapSettings,
    MelRidgeSettings,
    Settings,
    WavCapsSettings,
)


def build_encoder(name: str, settings: AnyEncoder, cache_dir: Path) -> Encoder | Precomputed:
    """Build an encoder; nothing heavy is imported and no weight is read yet.

    Args:
        name: the encoder's name in the config.
        settings: what the config says of it.
        cache_dir: where weights are kept.
    """
    match settings:
        case MelRidgeSettings():
            return MelRidge(name, settings)
        case LaionClapSettings():
            return LaionClap(name, settings, cache_dir)
        case WavCapsSettings():
            return WavCaps(name, settings, cache_dir)
    return Precomputed(name, settings)


def fingerprints(settings: Settings) -> dict[str, str]:
    """What decides each encoder's vectors, and whether they can be computed here.

    Of one that can't run here it is the reason: so that a table is made again when it can.
    """
    found = {}
    for name, encoder_settings in settings.encoders.items():
        try:
            encoder = build_encoder(name, encoder_settings, settings.cache_dir)
            found[name] = encoder.fingerprint
            if isinstance(encoder, TorchEncoder) and not has_torch():
                found[name] += " without torch"
        except EncoderUnavailable as error:
            found[name] = f"unavailable: {error.reason}"
    return found
