"""What decides the vectors of each encoder of a config, as far as it can be told here."""

from __future__ import annotations

from contextlib import suppress

from resources.encoders.catalog import build_encoder, fused_encoders, single_encoders
from resources.encoders.late_fusion import fused_key
from resources.encoders.precomputed import Precomputed
from resources.encoders.protocol import EncoderUnavailable
from resources.encoders.torch_runtime import lacks_torch
from resources.settings import Settings


def encoder_fingerprints(settings: Settings) -> dict[str, str]:
    """Each encoder's fingerprint by name; of one that can't run here, the reason why.

    Whether torch is installed is told as well, so that tables are made again once it is.
    """
    found = {}
    for name, encoder_settings in single_encoders(settings).items():
        try:
            encoder = build_encoder(name, encoder_settings, settings.cache_dir)
            found[name] = encoder.fingerprint
            if lacks_torch(encoder):
                found[name] += " without torch"
        except EncoderUnavailable as error:
            found[name] = f"unavailable: {error.reason}"
    for name, fused in fused_encoders(settings).items():
        found[name] = fused_key({part: found[part] for part in fused.weights}, fused)
    return found


def crop_rules(settings: Settings) -> dict[str, str]:
    """How each encoder that computes brings clips to its input's length, by name.

    It decides vectors of clips, and none of texts: no part of a fingerprint.
    """
    rules = {}
    for name, encoder_settings in single_encoders(settings).items():
        with suppress(EncoderUnavailable):
            encoder = build_encoder(name, encoder_settings, settings.cache_dir)
            if not isinstance(encoder, Precomputed):
                rules[name] = encoder.window.rule
    return rules
