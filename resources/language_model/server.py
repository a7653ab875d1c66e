"""The server that answers: its address, its key, and clients of the OpenAI SDK for it.

The key is read from the environment when a client is made, and `redact` takes it out of whatever
the server says, since some servers repeat it in their errors.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from resources.language_model.question import LanguageModelError
from resources.settings import OpenAISettings

if TYPE_CHECKING:
    import openai

OPENAI_URL = "https://api.openai.com/v1"


def server_url(settings: OpenAISettings) -> str:
    """Where requests go."""
    return settings.base_url or OPENAI_URL


@asynccontextmanager
async def async_client(settings: OpenAISettings) -> AsyncIterator[openai.AsyncOpenAI]:
    """A client for many requests at a time; retries are ours, so that each is counted."""
    import openai

    async with openai.AsyncOpenAI(
        api_key=_key(settings),
        base_url=server_url(settings),
        timeout=settings.timeout_s,
        max_retries=0,
    ) as client:
        yield client


@contextmanager
def plain_client(settings: OpenAISettings) -> Iterator[openai.OpenAI]:
    """A client for one request at a time."""
    import openai

    with openai.OpenAI(
        api_key=_key(settings),
        base_url=server_url(settings),
        timeout=settings.timeout_s,
        max_retries=settings.max_attempts,
    ) as client:
        yield client


def redact(text: str, settings: OpenAISettings) -> str:
    """A text without the key."""
    key = os.environ.get(settings.api_key_variable)
    return text.replace(key, "[key]") if key else text


def _key(settings: OpenAISettings) -> str:
    key = os.environ.get(settings.api_key_variable)
    if not key and settings.base_url is None:
        raise LanguageModelError(
            f"the environment variable {settings.api_key_variable} is not set: it holds the key "
            "for OpenAI. Set it, or name another server under `language_model.base_url:`."
        )
    return key or "no key"
