"""From an encoder's settings to the encoder: the one place that knows every kind."""

from __future__ import annotations

from resources.encoders.mel_ridge import MelRidge
from resources.encoders.precomputed import Precomputed
from resources.encoders.protocol import Encoder, EncoderUnavailable
from resources.settings import AnyEncoder, MelRidgeSettings, Settings


def build_encoder(name: str, settings: AnyEncoder) -> Encoder | Precomputed:
    """Build an encoder; nothing heavy is imported and no weight is read yet.

    Raises:
        EncoderUnavailable: it can't run here. Weights that turn out to be missing or wrong only
            when the first vector is computed raise the same error then.
    """
    if isinstance(settings, MelRidgeSettings):
        return MelRidge(name, settings)
    return Precomputed(name, settings)


def fingerprints(settings: Settings) -> dict[str, str]:
    """What decides each encoder's vectors; of one that can't run here, the reason why."""
    found = {}
    for name, encoder in settings.encoders.items():
        try:
            found[name] = build_encoder(name, encoder).fingerprint
        except EncoderUnavailable as error:
            found[name] = f"unavailable: {error.reason}"
    return found
