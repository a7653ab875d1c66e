"""How fast requests may leave: spacing, the server's headers, waiting."""

import asyncio
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.language_model.pace import (
    LONGEST_BACK_OFF_S,
    SAFETY,
    Pace,
    Spacing,
    back_off_s,
    read_duration,
    retry_after_s,
)


@given(
    st.integers(30, 6000),
    st.lists(st.floats(0, 0.5), min_size=50, max_size=300),
    st.floats(1, 60),
)
def test_no_window_holds_more_than_its_share(per_minute, gaps, window_s):
    """Whenever requests come, what leaves in any window keeps to the limit, plus the burst."""
    spacing, now, leaving = Spacing(per_minute), 1000.0, []
    for gap in gaps:
        now += gap
        leaving.append(now + spacing.wait_for(1, now))
    for start in leaving:
        inside = sum(start <= at < start + window_s for at in leaving)
        assert inside <= (window_s + 0.5) * per_minute / 60 * SAFETY + 2


def test_a_busy_sender_uses_the_limit():
    spacing = Spacing(600)
    last = max(spacing.wait_for(1, 1000.0) for _ in range(601))
    assert 600 / last * 60 >= 0.95 * 600


def test_without_limit_nothing_waits():
    assert Spacing(None).wait_for(5, 1.0) == 0


def test_an_estimate_is_corrected():
    one, other = Spacing(60), Spacing(60)
    one.wait_for(10, 100.0)
    other.wait_for(4, 100.0)
    one.correct(6)
    assert one.wait_for(1, 100.0) == pytest.approx(other.wait_for(1, 100.0))


def headers(limit, left, reset):
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-reset-requests": reset,
    }


def test_a_limit_nearly_used_up_is_refilled_at_the_server_s_rate():
    pace = Pace()
    pace.heed(headers(600, 300, "30s"))
    assert pace.requests.wait_for(1, 100.0) == pace.requests.wait_for(1, 100.0) == 0
    pace.heed(headers(600, 0, "1m0s"))
    waits = [pace.requests.wait_for(1, 100.0) for _ in range(101)]
    assert (waits[-1] - waits[-51]) / 50 == pytest.approx(0.1 / SAFETY)
    pace.heed(headers(600, 600, "0s"))
    assert pace.requests.wait_for(1, 200.0) == 0
    pace.heed({"x-ratelimit-limit-requests": "many"})
    pace.heed({})


def test_a_limit_of_one_s_own_is_never_left():
    pace = Pace(requests_per_minute=60)
    pace.heed(headers(6000, 100, "1s"))
    waits = [pace.requests.wait_for(1, 100.0) for _ in range(11)]
    assert (waits[-1] - waits[-6]) / 5 == pytest.approx(1 / SAFETY)


def test_a_pause_holds_everybody_back():
    async def go():
        pace = Pace()
        pace.pause(0.15)
        start = time.monotonic()
        await asyncio.gather(*(pace.turn(1) for _ in range(5)))
        return time.monotonic() - start

    assert 0.15 <= asyncio.run(go()) < 1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("6m0s", 360), ("1.5s", 1.5), ("12ms", 0.012), ("1h2m3s", 3723), ("7", 7), ("0s", 0)],
)
def test_durations(value, seconds):
    assert read_duration(value) == pytest.approx(seconds)


def test_no_duration():
    with pytest.raises(ValueError, match="soon"):
        read_duration("soon")


def test_retry_after_in_its_three_forms():
    assert retry_after_s({"retry-after": "2"}) == 2
    assert retry_after_s({"retry-after": "2", "retry-after-ms": "150"}) == 0.15
    in_a_minute = formatdate(time.time() + 60, usegmt=True)
    assert retry_after_s({"retry-after": in_a_minute}) == pytest.approx(60, abs=2)
    assert retry_after_s({"retry-after": "soon"}) is None
    assert retry_after_s({}) is None


@given(st.integers(1, 50))
def test_backing_off_grows_to_its_limit_with_jitter(attempt):
    longest = min(LONGEST_BACK_OFF_S, 0.5 * 2 ** (attempt - 1))
    assert longest / 2 <= back_off_s(attempt, {}) <= longest
    assert 3 <= back_off_s(attempt, {"retry-after": "3"}) <= 3.1
