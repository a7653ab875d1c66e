"""How fast requests may leave: limits per minute, the server's own word, and backing off.

Limits are kept by spacing, not by bursts: a window of any length holds no more than its share. What
the server says (`Retry-After`, `x-ratelimit-*`) slows everybody down, not only who heard it.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

SAFETY = 0.98
"""Share of a limit that is used: clocks differ and requests bunch up on their way."""

NEARLY_USED = 0.1
"""Below this share of a limit left, requests are spaced as the server refills it."""

LONGEST_BACK_OFF_S = 30.0


class Spacing:
    """Lets amounts through at a steady rate.

    Args:
        per_minute: the limit; None: no limit, until `slow_to` sets one.
        burst_s: how many seconds' worth may go at once after a rest.
    """

    def __init__(self, per_minute: float | None, burst_s: float = 0.5) -> None:
        self._own = per_minute / 60 * SAFETY if per_minute else None
        self._rate = self._own
        self._burst_s = burst_s
        self._free_at = 0.0

    def slow_to(self, per_second: float | None) -> None:
        """Take a lower rate for now; None: back to the limit of one's own."""
        if per_second is None or per_second <= 0:
            self._rate = self._own
        else:
            self._rate = min(per_second, self._own) if self._own else per_second

    def wait_for(self, amount: float, now: float) -> float:
        """Take an amount; seconds to wait until it may go."""
        if self._rate is None:
            return 0.0
        self._free_at = max(self._free_at, now - self._burst_s) + amount / self._rate
        return max(0.0, self._free_at - amount / self._rate - now)

    def correct(self, amount: float) -> None:
        """Give back (or, negative, take more of) what an estimate got wrong."""
        if self._rate is not None:
            self._free_at -= amount / self._rate


class Pace:
    """When the next request may leave."""

    def __init__(
        self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        self.requests = Spacing(requests_per_minute)
        self.tokens = Spacing(tokens_per_minute)
        self._paused_until = 0.0

    async def turn(self, tokens: float) -> None:
        """Wait until a request of about so many tokens may leave."""
        now = time.monotonic()
        delay = max(self.requests.wait_for(1, now), self.tokens.wait_for(tokens, now))
        if delay:
            await asyncio.sleep(delay)
        while (left := self._paused_until - time.monotonic()) > 0:
            await asyncio.sleep(left + random.uniform(0, 0.05 * left))

    def pause(self, seconds: float) -> None:
        """Hold everybody back."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    def heed(self, headers: Mapping[str, str]) -> None:
        """Slow down to the rate at which the server refills a limit that is nearly used up."""
        for spacing, kind in ((self.requests, "requests"), (self.tokens, "tokens")):
            try:
                limit = float(headers[f"x-ratelimit-limit-{kind}"])
                left = float(headers[f"x-ratelimit-remaining-{kind}"])
                reset_s = read_duration(headers[f"x-ratelimit-reset-{kind}"])
            except (KeyError, ValueError):
                continue
            refills = (limit - left) / reset_s * SAFETY if reset_s > 0 else None
            spacing.slow_to(refills if left < NEARLY_USED * limit else None)


def back_off_s(attempt: int, headers: Mapping[str, str]) -> float:
    """Seconds until the next try: what the server asks for, else doubling, with jitter.

    Args:
        attempt: how many tries have failed, from 1.
        headers: of the failed one; may be empty.
    """
    asked = retry_after_s(headers)
    if asked is not None:
        return asked + random.uniform(0, 0.1)
    longest = min(LONGEST_BACK_OFF_S, 0.5 * 2 ** (attempt - 1))
    return random.uniform(longest / 2, longest)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` (or its variant in milliseconds) in seconds from now, if it makes sense."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def read_duration(value: str) -> float:
    """`6m0s`, `1.5s`, `12ms` or plain seconds, in seconds.

    Raises:
        ValueError: it is none of these.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value)
    if not parts or "".join(number + unit for number, unit in parts) != value.strip():
        return float(value)
    scale = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    return sum(float(number) * scale[unit] for number, unit in parts)
