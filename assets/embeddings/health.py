"""Which encoders of a config can run here, and how to get what the others lack."""

from __future__ import annotations

from collections.abc import Iterator

from resources.encoders.catalog import Single, build_encoder, single_encoders
from resources.encoders.protocol import EncoderUnavailable
from resources.encoders.torch_runtime import TorchEncoder, lacks_torch
from resources.encoders.weights import check
from resources.health import Finding
from resources.settings import Settings
from resources.vector_store import VectorStore

_AREA = "encoders"
_INSTALL = "pip install -e '.[encoders]'"


def examine_encoders(settings: Settings) -> Iterator[Finding]:
    """What there is of each encoder; one that can't run is left out by a run, with this reason."""
    can_run = False
    for name, given in single_encoders(settings).items():
        try:
            yield from _examine(settings, name, given)
            can_run = True
        except EncoderUnavailable as error:
            yield Finding(_AREA, "note", f"{name} is left out: {error.reason}", error.remedy)
    if not can_run:
        text = "no encoder can run here: there would be nothing to score"
        yield Finding(_AREA, "stops", text, "mend one of them")


def _examine(settings: Settings, name: str, given: Single) -> list[Finding]:
    """All that is here of an encoder.

    Raises:
        EncoderUnavailable: something is not, and can't be fetched, or is not what it should be.
    """
    encoder = build_encoder(name, given, settings.cache_dir)
    if lacks_torch(encoder):
        if VectorStore(settings.vectors_dir, encoder.fingerprint).is_empty:
            raise EncoderUnavailable("torch is not installed", _INSTALL)
        text = f"{name}: torch is not installed; vectors that are known already are used"
        return [Finding(_AREA, "note", text, _INSTALL)]
    if not isinstance(encoder, TorchEncoder):
        return [Finding(_AREA, "ok", f"{name}: {given.kind}, {encoder.fingerprint[:12]}")]
    sha256 = encoder.checkpoint_sha256
    encoder.fingerprint  # noqa: B018 (looks for the vocabulary too, where it is the user's own)
    absent = []
    for path, file in encoder.published_files().items():
        if path.exists():
            check(file, path, settings.cache_dir)
        else:
            text = f"{name}: {path} is fetched when it is first needed"
            absent.append(Finding(_AREA, "ok", text))
    if not encoder.checkpoint.exists():
        return absent
    return [_checkpoint(name, encoder, sha256), *absent]


def _checkpoint(name: str, encoder: TorchEncoder, sha256: str) -> Finding:
    file = encoder.checkpoint
    text = f"{name}: {file.name}, {file.stat().st_size / 1e9:.1f} GB, {sha256[:12]}"
    if encoder.is_trusted or file.suffix == ".safetensors":
        return Finding(_AREA, "ok", text)
    remedy = "it is read only if PyTorch's safe loader accepts it; if not, set `trust: true`"
    return Finding(_AREA, "note", f"{text}, which nobody vouches for", remedy)
