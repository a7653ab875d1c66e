"""The keys under which what is dear is kept: answers, vectors of clips, vectors of texts.

A key is the sha256 of the canonical JSON of everything that decides a value, and of nothing that
only decides how fast or where it is made. Who changes what goes into a key orphans all that was
ever paid for or embedded under it.

| key | made from | not from |
| --- | --- | --- |
| answer | messages as rendered for the text alone, model, sampling parameters, answer schema | the prompt's name and file, benchmark, texts a request, server, attempts, price |
| vector of a clip | content of the recording, times, crop rule where it applies, seed where it places a crop, the encoder's fingerprint | ids of clip and benchmark, path, other clips, batch, device, threads |
| vector of a text | the text in its normal form, the encoder's fingerprint | ids, benchmark, variant, batch, device |

An encoder's fingerprint is its own business (`encoders/`): checkpoint, vocabulary, precision,
preprocessing. Vectors that were brought are named by their content, fused ones by their parts.
"""  # noqa: E501 - rows of a table

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resources.hashing import canonical_hash


def answer_key(
    messages: Sequence[Mapping[str, str]],
    model: str,
    parameters: Mapping[str, Any],
    answer_schema: Mapping[str, Any],
) -> str:
    """The key of a language model's answer to one question: 64 hex digits."""
    decides = {
        "messages": list(messages),
        "model": model,
        "parameters": parameters,
        "answer_schema": answer_schema,
    }
    return canonical_hash(decides)


@dataclass(frozen=True)
class ClipContent:
    """What is heard of a clip: where in which sound, and the seed if that places the crop."""

    recording: str
    """sha256 of the recording's file."""
    start_s: float
    stop_s: float
    seed: int | None = None

    def key(self, crop_rule: str, fingerprint: str) -> str:
        """The key of its vector.

        Args:
            crop_rule: what is done to a clip of this length (see `Window.applied`).
            fingerprint: the encoder's.
        """
        return canonical_hash({**self._heard(), "crop_rule": crop_rule, "encoder": fingerprint})

    def draw(self) -> int:
        """The number that places a random crop: the same for all encoders, on every machine."""
        return int(canonical_hash(self._heard())[:16], 16)

    def _heard(self) -> dict[str, Any]:
        seed = {} if self.seed is None else {"seed": self.seed}
        times = {"start_s": self.start_s, "stop_s": self.stop_s}
        return {"recording": self.recording, **times, **seed}


def text_key(text: str, fingerprint: str) -> str:
    """The key of a text's vector."""
    return canonical_hash({"text": text, "encoder": fingerprint})
