"""The folder of real data, for tests that are marked `real_data`."""

import os
from pathlib import Path

import pytest

VARIABLE = "SOUND_APPROACH_TEST_DATA"


def real_data(*parts: str) -> Path:
    """A path in the folder of real data; skips the test, with the reason, where there is none."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        pytest.skip(f"needs the real data: {VARIABLE} is not set")
    return Path(folder, *parts)
