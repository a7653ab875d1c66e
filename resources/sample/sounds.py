"""Kitchen-like sounds, synthesised: one function a kind, nothing but seeded noise and tones.

What belongs here is how a kind of sound is made. When it is heard is in `recordings.py`, what is
written about it in `annotations.py`. Pitch, rate, loudness, distance and background differ from one
seed to the next, so that a kind can be learnt from examples, but not without mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

RATE = 24_000
"""Samples a second of everything synthesised."""

Samples = NDArray[np.float64]

# Every sound is made at this length (5.46 s), a power of two for fast transforms, and then cut.
_LENGTH = 1 << 17
_FREQUENCIES = np.fft.rfftfreq(_LENGTH, 1 / RATE)
_TIMES = np.arange(_LENGTH) / RATE
_SECONDS = _LENGTH / RATE


def _pass(low: float, high: float) -> Samples:
    """What a filter lets through between two frequencies (Hz), at `_FREQUENCIES`, gently sloped."""
    with np.errstate(divide="ignore"):
        gain: Samples = 1 / (1 + (low / _FREQUENCIES) ** 4) / (1 + (_FREQUENCIES / high) ** 4)
    return gain


def _filter(samples: Samples, low: float, high: float) -> Samples:
    """What lies between two frequencies (Hz)."""
    return np.fft.irfft(np.fft.rfft(samples) * _pass(low, high), _LENGTH)


def _noise(rng: Generator, low: float, high: float) -> Samples:
    """Noise between two frequencies (Hz), root mean square 1."""
    parts = rng.standard_normal(2 * len(_FREQUENCIES), dtype=np.float32)
    return _level(np.fft.irfft(parts.view(np.complex64) * _pass(low, high), _LENGTH))


def _wander(rng: Generator, rate: float, low: float, high: float) -> Samples:
    """A curve that moves between random values, `rate` of them a second."""
    count = int(_SECONDS * rate) + 2
    return np.interp(_TIMES, np.arange(count) / rate, rng.uniform(low, high, count))


def _onsets(rng: Generator, rate: float, jitter: float) -> Samples:
    """Times (s) of about `rate` events a second; `jitter` is the share of a period they stray."""
    period = 1 / rate
    times = np.arange(rng.uniform(0, period), _SECONDS, period)
    strayed: Samples = times + rng.uniform(-jitter, jitter, len(times)) * period
    return strayed


def _at(rng: Generator, onsets: Samples, response: Samples) -> Samples:
    """A response that starts at each onset, louder and softer."""
    sound = np.zeros(_LENGTH + len(response))
    for onset, strength in zip(onsets, rng.uniform(0.4, 1, len(onsets)), strict=True):
        start = int(onset % _SECONDS * RATE)
        sound[start : start + len(response)] += strength * response
    return sound[:_LENGTH]


def _ring(rng: Generator, partials: Sequence[float], decay: float) -> Samples:
    """A struck body: damped partials (Hz), the higher the shorter, with the blow itself."""
    times = _TIMES[: RATE // 2]
    ring = np.zeros(len(times))
    for order, partial in enumerate(partials):
        strength = rng.uniform(0.5, 1) / (1 + 0.5 * order)
        damping = np.exp(-times / (decay / (1 + 0.6 * order)))
        ring += strength * damping * np.sin(2 * np.pi * partial * rng.uniform(0.98, 1.02) * times)
    return ring + 0.3 * rng.standard_normal(len(times)) * np.exp(-times / 0.002)


def _burst(rng: Generator, low: float, high: float, decay: float) -> Samples:
    """A short burst of noise."""
    times = _TIMES[: RATE // 2]
    return _noise(rng, low, high)[: RATE // 2] * np.exp(-times / decay)


def _tone(frequency: Samples | float, harmonics: Sequence[float]) -> Samples:
    """A steady or gliding tone (Hz) with the given strengths of its harmonics."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(frequency, _LENGTH)) / RATE
    return np.sum([g * np.sin((k + 1) * phase) for k, g in enumerate(harmonics)], axis=0)


def _strokes(rng: Generator, length: float, pause: float) -> Samples:
    """An envelope that swells and ebbs again and again: `length` s of sound, `pause` s without."""
    envelope = np.zeros(_LENGTH)
    start = rng.uniform(0, 0.5)
    while start < _SECONDS:
        this = length * rng.uniform(0.8, 1.2)
        inside = (start < _TIMES) & (start + this > _TIMES)
        envelope[inside] = np.sin(np.pi * (_TIMES[inside] - start) / this) ** 0.5
        start += this + pause * rng.uniform(0.7, 1.3)
    return envelope


def _tap_water(rng: Generator) -> Samples:
    stream = _noise(rng, rng.uniform(300, 700), rng.uniform(4000, 8000))
    splash = _noise(rng, 500, 1500) * _wander(rng, 25, 0, 1.5)
    return stream * _wander(rng, 3, 0.6, 1) + splash


def _pouring(rng: Generator) -> Samples:
    filling = rng.uniform(250, 450) * (1 + _TIMES / _SECONDS * rng.uniform(0.6, 1.4))
    glugs = _wander(rng, rng.uniform(10, 18), 0, 1) ** 2
    bubble = _tone(filling * _wander(rng, 12, 0.85, 1.15), (1, 0.4))
    return bubble * glugs * 2 + 0.5 * _noise(rng, 400, 3500) * _wander(rng, 8, 0.3, 1)


def _chopping(rng: Generator) -> Samples:
    onsets = _onsets(rng, rng.uniform(2, 5), 0.12)
    board = _ring(rng, [rng.uniform(160, 320), rng.uniform(420, 700)], 0.05)
    return _at(rng, onsets, board + 0.7 * _burst(rng, 900, 5000, 0.015))


def _sizzling(rng: Generator) -> Samples:
    crackle = _at(rng, rng.uniform(0, _SECONDS, 250), _burst(rng, 2500, 9000, 0.002)[:400])
    return _noise(rng, rng.uniform(2500, 4500), 11_000) * _wander(rng, 5, 0.5, 1) + 1.5 * crackle


def _glass_clink(rng: Generator) -> Samples:
    pitch = rng.uniform(2200, 3800)
    return _at(
        rng,
        _onsets(rng, rng.uniform(1, 3), 0.4),
        _ring(rng, [pitch, 1.58 * pitch, 2.24 * pitch], rng.uniform(0.12, 0.3)),
    )


def _crockery(rng: Generator) -> Samples:
    pitch = rng.uniform(900, 2000)
    return _at(
        rng,
        _onsets(rng, rng.uniform(1.5, 4), 0.4),
        _ring(rng, [pitch, 1.47 * pitch, 2.09 * pitch, 2.9 * pitch], rng.uniform(0.04, 0.1)),
    )


def _metal_clang(rng: Generator) -> Samples:
    pitch = rng.uniform(350, 900)
    return _at(
        rng,
        _onsets(rng, rng.uniform(0.8, 2.5), 0.4),
        _ring(rng, [pitch * r for r in (1, 1.52, 2.31, 3.42, 4.9)], rng.uniform(0.15, 0.4)),
    )


def _beep(rng: Generator) -> Samples:
    rate, share = rng.uniform(1, 3), rng.uniform(0.2, 0.5)
    on = (_TIMES * rate + rng.uniform()) % 1 < share
    return on * _tone(rng.uniform(900, 2600), (1, 0, rng.uniform(0, 0.5)))


def _fan_hum(rng: Generator) -> Samples:
    hum = _tone(rng.uniform(70, 140) * _wander(rng, 2, 0.99, 1.01), (1, 0.7, 0.3, 0.3, 0.1))
    return hum + _noise(rng, 80, rng.uniform(500, 1200))


def _rustle(rng: Generator) -> Samples:
    crumple = _wander(rng, rng.uniform(20, 40), 0, 1) ** 4 * _wander(rng, 3, 0.1, 1)
    return _noise(rng, rng.uniform(1200, 2500), 9000) * crumple


def _wood_thud(rng: Generator) -> Samples:
    body = _ring(rng, [rng.uniform(80, 180), rng.uniform(200, 350)], rng.uniform(0.05, 0.1))
    return _at(rng, _onsets(rng, rng.uniform(0.6, 1.6), 0.3), body)


def _cupboard_door(rng: Generator) -> Samples:
    stick = _wander(rng, 4, 250, 550)
    creak = _tone(stick, (1, 0.8, 0.6, 0.5, 0.4)) * (_tone(rng.uniform(14, 30), (1,)) > 0)
    shut = _at(
        rng,
        _onsets(rng, rng.uniform(0.5, 0.9), 0.2),
        _ring(rng, [rng.uniform(110, 200), rng.uniform(350, 600), 1800], 0.06),
    )
    return 0.3 * creak * _strokes(rng, 0.7, 0.9) + 1.5 * shut


def _drawer_slide(rng: Generator) -> Samples:
    rumble = _noise(rng, 150, rng.uniform(900, 2000)) * _wander(rng, 30, 0.3, 1)
    stop = _at(
        rng,
        _onsets(rng, rng.uniform(0.5, 0.8), 0.2),
        _ring(rng, [rng.uniform(150, 300), 800], 0.05),
    )
    return 0.6 * rumble * _strokes(rng, rng.uniform(0.5, 1.1), 0.6) + stop


def _whisking(rng: Generator) -> Samples:
    rate = rng.uniform(3.5, 7)
    swish = np.maximum(_tone(rate, (1, 0.3)), 0) * _noise(rng, 1000, rng.uniform(4500, 7000))
    tink = _ring(rng, [rng.uniform(1500, 2600), rng.uniform(3000, 4200)], 0.03)
    return swish + 0.8 * _at(rng, _onsets(rng, rate, 0.1), tink)


def _scrubbing(rng: Generator) -> Samples:
    forth = np.abs(_tone(rng.uniform(1.2, 2.8), (1,))) ** 1.5
    return forth * _noise(rng, rng.uniform(500, 1200), rng.uniform(3000, 6000))


def _footsteps(rng: Generator) -> Samples:
    heel = _ring(rng, [rng.uniform(60, 130)], 0.04) + 0.3 * _burst(rng, 400, 2500, 0.03)
    return _at(rng, _onsets(rng, rng.uniform(1.4, 2.3), 0.05), heel)


def _zip(rng: Generator) -> Samples:
    teeth = _tone(_wander(rng, 2, 70, 200), (1, 1, 1, 1, 1, 1)) ** 3
    ratchet = _filter(teeth * rng.standard_normal(_LENGTH), 2000, 8000)
    return ratchet * _strokes(rng, rng.uniform(0.5, 1.1), rng.uniform(0.4, 0.8))


def _spray(rng: Generator) -> Samples:
    puffs = _strokes(rng, rng.uniform(0.15, 0.35), rng.uniform(0.4, 0.8))
    return puffs * _noise(rng, rng.uniform(2500, 4500), 11_000)


def _grinder(rng: Generator) -> Samples:
    speed = rng.uniform(140, 260) * _wander(rng, 3, 0.92, 1.08)
    motor = _tone(speed, [1 / (k + 1) for k in range(10)])
    return motor + _noise(rng, 600, 6000) * _wander(rng, 20, 0.3, 1)


def _kettle_whistle(rng: Generator) -> Samples:
    pitch = rng.uniform(1700, 2900) * _wander(rng, 6, 0.98, 1.02)
    rise = np.clip(_TIMES / rng.uniform(0.5, 2), 0.1, 1)
    return rise * _tone(pitch, (1, 0.3, 0.1)) + 0.5 * _noise(rng, 300, 3000)


SOUNDS: dict[str, Callable[[Generator], Samples]] = {
    "tap_water": _tap_water,
    "chopping": _chopping,
    "sizzling": _sizzling,
    "glass_clink": _glass_clink,
    "metal_clang": _metal_clang,
    "beep": _beep,
    "fan_hum": _fan_hum,
    "rustle": _rustle,
    "wood_thud": _wood_thud,
    "cupboard_door": _cupboard_door,
    "drawer_slide": _drawer_slide,
    "pouring": _pouring,
    "whisking": _whisking,
    "scrubbing": _scrubbing,
    "footsteps": _footsteps,
    "zip": _zip,
    "spray": _spray,
    "grinder": _grinder,
    "kettle_whistle": _kettle_whistle,
    "crockery": _crockery,
}
"""The kinds of sound, by name."""


def synthesise(kind: str, rng: Generator) -> NDArray[np.float32]:
    """One sound of a kind, 3 to 5 s at `RATE`, full scale 1, as heard from somewhere in a room.

    Args:
        kind: a key of `SOUNDS`.
        rng: decides everything else; the same state gives the same samples.

    Returns:
        Mono samples, shape (n,).
    """
    sound = _level(SOUNDS[kind](rng))
    # Farther away is duller, and now and then something else goes on in the room.
    heard = _filter(sound, 20, rng.uniform(3000, 12_000))
    heard += 10 ** rng.uniform(-1.6, -0.6) * _noise(rng, 40, rng.uniform(300, 3000))
    if rng.uniform() < 0.35:
        heard += rng.uniform(0.1, 0.5) * _level(SOUNDS[str(rng.choice(list(SOUNDS)))](rng))
    loudness = 0.06 * 10 ** rng.uniform(-0.6, 0.2)
    length = int(rng.uniform(3, 5) * RATE)
    fade = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.02 * RATE))
    return np.clip(loudness * heard[:length] * fade, -0.99, 0.99).astype(np.float32)


def _level(samples: Samples) -> Samples:
    """The same sound at root mean square 1."""
    return samples / (np.sqrt(np.mean(samples**2)) + 1e-9)
