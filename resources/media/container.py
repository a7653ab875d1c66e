"""MP4, MKV, MOV and whatever else FFmpeg's libraries read."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np

from resources.media.decoding import BLOCK, DAMAGED, NO_AUDIO_STREAM, NO_DECODER, MediaError, mono

_JITTER_S = 0.02
"""Time stamps off by less are rounding (Matroska counts milliseconds), not a gap."""
_LONGEST_GAP_S = 3600.0
_RUN_UP_S = 1.0
"""Decoded before the place of a jump: codecs need some frames to settle."""
_CONTAINER_TICKS = 1e6
"""FFmpeg counts a container's length in microseconds."""
_ONE_DECODES = threading.Lock()
"""Frames come one by one, each for a moment under Python's lock: threads that decode at once hinder
each other so much that taking turns, a block each, is faster."""
_CONTAINER_TOLERANCE_S = 1.0
"""Containers round their length up to whole frames of their slowest stream."""


class ContainerAudio:
    """The first audio stream of a container through FFmpeg's libraries."""

    def __init__(self, path: Path) -> None:
        import av

        try:
            # Only `file`: a playlist in disguise must not make FFmpeg open addresses.
            self._container = av.open(
                str(path), options={"protocol_whitelist": "file"}, metadata_errors="replace"
            )
        except (av.FFmpegError, OSError) as error:
            raise MediaError(DAMAGED, f"it can't be opened: {_words(error)}") from error
        if not self._container.streams.audio:
            self._container.close()
            raise MediaError(NO_AUDIO_STREAM, "the file holds no audio stream")
        self._stream = self._container.streams.audio[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise MediaError(NO_DECODER, "its audio stream is of an unknown codec")
        self._to_float: Any = None
        self.position = 0
        self._frames = self._decode()
        first = self._next_frame()
        if first is None:
            self._container.close()
            raise MediaError(DAMAGED, "its audio stream holds no sample")
        # Only a decoded frame knows the true rate: HE-AAC headers name half of it.
        self.sample_rate: int = first.sample_rate
        self.channels: int = len(first.layout.channels)
        # Multiplied as floats: exact fractions for every frame cost as much as decoding it.
        self._samples_a_tick = float(self._stream.time_base) * self.sample_rate
        self._frames = itertools.chain([first], self._frames)

    def declared_s(self) -> float | None:
        """Seconds by the stream's header, or by Matroska's tag (see `Audio`)."""
        if self._stream.duration is not None:
            return float(self._stream.duration * self._stream.time_base)
        tag = self._stream.metadata.get("DURATION")
        if not tag:
            return None
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)

    def skip_to(self, sample: int) -> None:
        """Nothing: a compressed stream is exact only when decoded from its start."""

    def jump_to(self, sample: int) -> None:
        """Move `position` to shortly before a sample, without decoding what lies between.

        For ears, not for vectors: what follows is placed by its time stamps alone, so it may lie
        some samples beside what decoding from the start gives.

        Raises:
            MediaError: the file is damaged there, or ends before.
        """
        import av

        seconds = max(0.0, sample / self.sample_rate - _RUN_UP_S)
        try:
            self._container.seek(int(seconds / self._stream.time_base), stream=self._stream)
        except (av.FFmpegError, OSError) as error:
            raise MediaError(DAMAGED, f"no jump to {seconds:.3f} s: {_words(error)}") from error
        self._frames = self._container.decode(self._stream)
        first = self._next_frame()
        if first is None:
            raise MediaError(DAMAGED, f"it ends before {seconds:.3f} s")
        if first.pts is not None:
            self.position = max(0, round(first.pts * self._samples_a_tick))
        self._frames = itertools.chain([first], self._frames)

    def read_block(self, wanted: int = BLOCK) -> np.ndarray:
        """The next samples (see `Audio`)."""
        parts: list[np.ndarray] = []
        length = 0
        with _ONE_DECODES:
            while length < min(wanted, BLOCK):
                frame = self._next_frame()
                if frame is None:
                    break
                for part in self._placed(frame):
                    parts.append(part)
                    length += len(part)
                    self.position += len(part)
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _decode(self) -> Iterator[Any]:
        """The stream's frames. Where only the container says how long it is, all of it is read."""
        if self._container.duration is None or self.declared_s() is not None:
            yield from self._container.decode(self._stream)
            return
        declared, end = self._container.duration / _CONTAINER_TICKS, 0.0
        for packet in self._container.demux():
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index == self._stream.index:
                yield from packet.decode()
        if end < declared - _CONTAINER_TOLERANCE_S:
            raise MediaError(DAMAGED, f"it stops at {end:.3f} s of its declared {declared:.3f} s")

    def _next_frame(self) -> Any:
        import av

        try:
            return next(self._frames, None)
        except (av.FFmpegError, OSError) as error:
            seconds = self.position / (self._stream.sample_rate or 1)
            raise MediaError(
                DAMAGED, f"it does not decode at {seconds:.3f} s: {_words(error)}"
            ) from error

    def _placed(self, frame: Any) -> Iterator[np.ndarray]:
        """A frame's samples at the time that its stamp names: gaps are zeros, overlaps are cut."""
        samples = self._samples(frame)
        gap = 0
        if frame.pts is not None:
            gap = round(frame.pts * self._samples_a_tick) - self.position
        if gap > _LONGEST_GAP_S * self.sample_rate:
            raise MediaError(
                DAMAGED, f"its time stamps jump at {self.position / self.sample_rate:.3f} s"
            )
        if gap > _JITTER_S * self.sample_rate:
            yield np.zeros(gap, np.float32)
        elif gap < -_JITTER_S * self.sample_rate:
            samples = samples[-gap:]
        yield samples

    def _samples(self, frame: Any) -> np.ndarray:
        if frame.format.name == "fltp":
            return _mean_of_planes(frame)
        import av

        self._to_float = self._to_float or av.AudioResampler(format="fltp")
        return np.concatenate([_mean_of_planes(part) for part in self._to_float.resample(frame)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()


def _mean_of_planes(frame: Any) -> np.ndarray:
    """The mean of a planar float frame's channels: its planes are read where FFmpeg has them."""
    return mono([np.frombuffer(plane, np.float32, frame.samples) for plane in frame.planes])


def _words(error: BaseException) -> str:
    """FFmpeg's message without the path, which the caller names."""
    return getattr(error, "strerror", None) or str(error)
