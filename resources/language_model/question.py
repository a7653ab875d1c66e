"""What is asked and what comes back, and the key under which an answer is known forever.

The key is made from everything that decides an answer, and from nothing else: how questions are
grouped into requests, retried or paid is no part of it (design section 4).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Message = Mapping[str, str]
"""One chat message: `role` and `content`."""


def canonical_json(value: Any) -> str:
    """JSON in one spelling: sorted keys, no spaces, whole numbers without a decimal point."""
    return json.dumps(_canonical(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@dataclass(frozen=True)
class Question:
    """One text put to one model by one prompt.

    Attributes:
        text_id: the text's id.
        text: the text itself, for checks and messages to people.
        variant: the prompt's variant; provenance, no part of the key.
        messages: the messages as rendered for this text alone.
        model: the model asked.
        parameters: sampling parameters, as sent.
        answer_schema: JSON schema of the object that must come back.
        texts_per_request: how many questions of this prompt may share a request; no part of the
            key.
    """

    text_id: str
    text: str
    variant: str
    messages: tuple[Message, ...]
    model: str
    parameters: Mapping[str, Any]
    answer_schema: Mapping[str, Any]
    texts_per_request: int = field(default=1)

    @cached_property
    def key(self) -> str:
        """sha256 of the canonical JSON of messages, model, parameters and schema: 64 hex digits."""
        decides = {
            "messages": list(self.messages),
            "model": self.model,
            "parameters": self.parameters,
            "answer_schema": self.answer_schema,
        }
        return hashlib.sha256(canonical_json(decides).encode()).hexdigest()
