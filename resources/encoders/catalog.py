"""From an encoder's settings to the encoder: the one place that knows every kind."""

from __future__ import annotations

from resources.encoders.mel_ridge import MelRidge
from resources.encoders.precomputed import Precomputed
from resources.encoders.protocol import Encoder
from resources.settings import AnyEncoder, MelRidgeSettings


def build_encoder(name: str, settings: AnyEncoder) -> Encoder | Precomputed:
    """Build an encoder; nothing heavy is imported and no weight is read yet.

    Raises:
        EncoderUnavailable: it can't run here. Weights that turn out to be missing or wrong only
            when the first vector is computed raise the same error then.
    """
    if isinstance(settings, MelRidgeSettings):
        return MelRidge(name, settings)
    return Precomputed(name, settings)
