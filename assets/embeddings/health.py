"""Which encoders of a config can run here, and how to get what the others lack."""

from __future__ import annotations

from collections.abc import Iterator

from resources.encoders.catalog import build_encoder, single_encoders
from resources.encoders.protocol import EncoderUnavailable
from resources.encoders.torch_runtime import TorchEncoder, has_torch
from resources.encoders.weights import KNOWN_SHA256, remembered_sha256
from resources.health import Finding
from resources.settings import PretrainedSettings, Settings

_AREA = "encoders"


def examine_encoders(settings: Settings) -> Iterator[Finding]:
    """A line for each encoder; one that can't run is left out by a run, with this reason."""
    found = [_examine(settings, name) for name in single_encoders(settings)]
    yield from found
    if all(finding.mark == "note" for finding in found):
        text = "no encoder can run here: there would be nothing to score"
        yield Finding(_AREA, "stops", text, "mend one of them")


def _examine(settings: Settings, name: str) -> Finding:
    given = single_encoders(settings)[name]
    encoder = build_encoder(name, given, settings.cache_dir)
    if isinstance(encoder, TorchEncoder) and not has_torch():
        return _left_out(name, "torch is not installed", "pip install -e '.[encoders]'")
    try:
        if isinstance(encoder, TorchEncoder) and isinstance(given, PretrainedSettings):
            return _weights(settings, name, encoder, given)
        return Finding(_AREA, "ok", f"{name}: {given.kind}, {encoder.fingerprint[:12]}")
    except EncoderUnavailable as error:
        return _left_out(name, error.reason, error.remedy)


def _weights(
    settings: Settings, name: str, encoder: TorchEncoder, given: PretrainedSettings
) -> Finding:
    """Where the checkpoint is, and whether it is one that somebody vouches for.

    Raises:
        EncoderUnavailable: it is not there and can't be fetched, or is another one.
    """
    published = encoder.published
    file = encoder.checkpoint
    if not file.exists() and published and published.sha256:
        return Finding(_AREA, "ok", f"{name}: {file.name} is fetched when it is first needed")
    if not file.exists() and published:
        remedy = f"download {published.url}, put it at {file}, and set `trust: true`"
        return _left_out(name, f"{file.name} is not there", remedy)
    sha256 = remembered_sha256(file, settings.cache_dir)
    expected = given.sha256 or (published.sha256 if published else None)
    if expected not in {None, sha256}:
        return _left_out(name, f"{file.name} has sha256 {sha256[:12]}", "fetch it again")
    known = sha256 in KNOWN_SHA256 or expected == sha256
    vouched = "as it should be" if known else "trusted by the config" if given.trust else "unknown"
    text = f"{name}: {file.name}, {file.stat().st_size / 1e9:.1f} GB, {sha256[:12]}, {vouched}"
    return Finding(_AREA, "ok", text)


def _left_out(name: str, reason: str, remedy: str) -> Finding:
    return Finding(_AREA, "note", f"{name} is left out: {reason}", remedy)
