"""Length rules: every clip at the window's length, and random crops by clip and seed alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from resources.encoders.lengths import fit
from resources.encoders.protocol import Window

RATE = 100
LENGTH = 1000


def ramp(samples: int) -> np.ndarray:
    return np.arange(1, samples + 1, dtype=np.float32)


@given(
    st.integers(1, 3 * LENGTH),
    st.sampled_from(["repeat_pad", "zero_pad"]),
    st.sampled_from(["crop_random", "crop_centre"]),
    st.integers(0, 2**64 - 1),
)
def test_every_clip_fills_the_window_with_its_own_samples(
    samples: int, pad: str, crop: str, draw: int
) -> None:
    fitted = fit(ramp(samples), RATE, Window(10.0, pad, crop), draw)
    assert fitted.shape == (LENGTH,)
    assert fitted.dtype == np.float32
    if samples >= LENGTH:
        np.testing.assert_array_equal(np.diff(fitted), 1)
    else:
        repeats = LENGTH // samples if pad == "repeat_pad" else 1
        np.testing.assert_array_equal(fitted[: repeats * samples], np.tile(ramp(samples), repeats))
        assert not fitted[repeats * samples :].any()


def test_a_random_crop_follows_its_draw_and_a_centre_crop_does_not() -> None:
    clip = ramp(2 * LENGTH)
    at_random, at_centre = (Window(10.0, "zero_pad", c) for c in ("crop_random", "crop_centre"))
    assert fit(clip, RATE, at_random, 1)[0] == fit(clip, RATE, at_random, 1)[0]
    assert len({fit(clip, RATE, at_random, draw)[0] for draw in range(20)}) > 10
    assert {fit(clip, RATE, at_centre, draw)[0] for draw in range(20)} == {LENGTH // 2 + 1}


def test_only_what_decides_a_vector_is_in_its_key() -> None:
    window = Window(10.0, "zero_pad", "crop_random")
    assert window.rule == "zero_pad+crop_random"
    assert (window.applied(9.0), window.applied(10.0)) == ("zero_pad", "zero_pad")
    assert window.applied(10.001) == "crop_random"
    assert not window.depends_on_seed(10.0)
    assert window.depends_on_seed(10.001)
    assert not Window(10.0, "zero_pad", "crop_centre").depends_on_seed(11.0)
    assert Window().rule == Window().applied(1000.0) == "whole"
