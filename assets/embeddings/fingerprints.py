"""What decides the vectors of each encoder of a config, as far as it can be told here."""

from __future__ import annotations

from resources.encoders.catalog import build_encoder
from resources.encoders.protocol import EncoderUnavailable
from resources.settings import Settings


def encoder_fingerprints(settings: Settings) -> dict[str, str]:
    """Each encoder's fingerprint by name; of one that can't run here, the reason why."""
    found = {}
    for name, encoder in settings.encoders.items():
        try:
            found[name] = build_encoder(name, encoder, settings.cache_dir).fingerprint
        except EncoderUnavailable as error:
            found[name] = f"unavailable: {error.reason}"
    return found
