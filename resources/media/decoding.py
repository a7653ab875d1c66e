"""One recording as a stream of mono float32 blocks, whatever its container.

WAV, FLAC and OGG go through libsndfile, which can jump to a sample; everything else (MP4, MKV, MOV
...) through FFmpeg's libraries, decoded from the start, because a jump there lands on a frame, not
on a sample. Positions count samples from the recording's time zero.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import soundfile as sf

BLOCK = 1 << 16
"""Samples decoded at a time: small enough to stay in cache, large enough for few calls."""

SOUNDFILE_SUFFIXES = {".wav", ".flac", ".ogg", ".oga"}
NO_AUDIO_STREAM = "no audio stream"
DAMAGED = "damaged"

_JITTER_S = 0.02
"""Time stamps off by less are rounding (Matroska counts milliseconds), not a gap."""
_LONGEST_GAP_S = 3600.0
_CONTAINER_TOLERANCE_S = 1.0
"""Containers round their length up to whole frames of their slowest stream."""
_UNKNOWN_LENGTH = 1 << 62
"""libsndfile's length of a file whose header leaves it open is near 2**63."""


class MediaError(ValueError):
    """A recording can't be used: `reason` in a few fixed words, `detail` in full."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Audio(Protocol):
    """An open recording."""

    sample_rate: int
    channels: int
    position: int
    """The sample that the next block starts at."""

    def declared_s(self) -> float | None:
        """Seconds of audio that the file says it holds, if it says so."""

    def skip_to(self, sample: int) -> None:
        """Move `position` forward, not past `sample`, where that is cheaper than decoding."""

    def read_block(self) -> np.ndarray:
        """The next samples, mono float32; empty at the end.

        Raises:
            MediaError: the file is damaged here.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_audio(path: Path) -> Audio:
    """Open a recording for reading from its start.

    Raises:
        MediaError: it has no audio stream, or is no media file that can be read.
    """
    if path.suffix.lower() in SOUNDFILE_SUFFIXES:
        return SoundFileAudio(path)
    return ContainerAudio(path)


def mono(samples: np.ndarray, axis: int) -> np.ndarray:
    """The mean of the channels, float32."""
    if samples.shape[axis] == 1:
        return np.ascontiguousarray(samples.squeeze(axis), dtype=np.float32)
    return samples.mean(axis=axis, dtype=np.float32)


class SoundFileAudio:
    """WAV, FLAC and OGG through libsndfile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = sf.SoundFile(path)
        except sf.LibsndfileError as error:
            raise MediaError(DAMAGED, f"it can't be opened: {error.error_string}") from error
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.position = 0

    def declared_s(self) -> float | None:
        """Seconds by the header (see `Audio`); libsndfile hides it where a WAV is shorter."""
        if self._file.format == "WAV":
            return _declared_by_wav(self._path)
        frames = self._file.frames
        return frames / self.sample_rate if frames < _UNKNOWN_LENGTH else None

    def skip_to(self, sample: int) -> None:
        """Seek, where more than a block would be decoded in vain."""
        if sample - self.position > BLOCK:
            self.position = self._file.seek(sample)

    def read_block(self) -> np.ndarray:
        """The next block (see `Audio`)."""
        try:
            samples = self._file.read(BLOCK, dtype="float32", always_2d=True)
        except sf.LibsndfileError as error:
            raise MediaError(
                DAMAGED,
                f"it does not decode beyond {self.position / self.sample_rate:.3f} s: "
                f"{error.error_string}",
            ) from error
        self.position += len(samples)
        if not len(samples) and self._file.format == "OGG" and not _ends_as_ogg(self._path):
            raise MediaError(DAMAGED, "it stops before the last page of its stream")
        return mono(samples, axis=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _declared_by_wav(path: Path) -> float | None:
    """The length that a WAV file's `data` chunk claims; None where a stream's writer left it open.

    Raises:
        MediaError: the chunks make no sense.
    """
    with path.open("rb") as file:
        file.seek(12)
        bytes_per_second = 0
        while len(header := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", header)
            if name == b"data":
                is_open = size in {0, 0xFFFFFFFF} or not bytes_per_second
                return None if is_open else size / bytes_per_second
            if name == b"fmt ":
                bytes_per_second = struct.unpack_from("<8xI", file.read(size))[0]
                size = 0
            file.seek(size + size % 2, os.SEEK_CUR)
    raise MediaError(DAMAGED, "it holds no `data` chunk")


def _ends_as_ogg(path: Path) -> bool:
    """Whether the last Ogg page is there in full, marked as the stream's last."""
    longest_page = 27 + 255 + 255 * 255
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - longest_page))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 0x04:
        return False
    lacing = page[27 : 27 + page[26]]
    return len(page) >= 27 + len(lacing) + sum(lacing)


class ContainerAudio:
    """The first audio stream of a container through FFmpeg's libraries."""

    def __init__(self, path: Path) -> None:
        import av

        try:
            # Only `file`: a playlist in disguise must not make FFmpeg open addresses.
            self._container = av.open(str(path), options={"protocol_whitelist": "file"})
        except (av.FFmpegError, OSError) as error:
            raise MediaError(DAMAGED, f"it can't be opened: {_words(error)}") from error
        if not self._container.streams.audio:
            self._container.close()
            raise MediaError(NO_AUDIO_STREAM, "the file holds no audio stream")
        self._stream = self._container.streams.audio[0]
        self._to_float: Any = None
        self.position = 0
        self._frames = self._decode()
        first = self._next_frame()
        # Only a decoded frame knows the true rate: HE-AAC headers name half of it.
        self.sample_rate: int = first.sample_rate if first else self._stream.sample_rate
        self.channels: int = len(first.layout.channels) if first else self._stream.channels
        if first:
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

    def read_block(self) -> np.ndarray:
        """The next block (see `Audio`)."""
        parts: list[np.ndarray] = []
        length = 0
        while length < BLOCK:
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
        declared, end = self._container.duration, 0.0
        by_container = self.declared_s() is None and declared is not None
        streams = self._container.streams if by_container else [self._stream]
        for packet in self._container.demux(*streams):
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index == self._stream.index:
                yield from packet.decode()
        if by_container and end < declared / 1e6 - _CONTAINER_TOLERANCE_S:
            raise MediaError(
                DAMAGED, f"it stops at {end:.3f} s of the {declared / 1e6:.3f} s that it declares"
            )

    def _next_frame(self) -> Any:
        import av

        try:
            return next(self._frames, None)
        except (av.FFmpegError, OSError) as error:
            seconds = self.position / (self._stream.sample_rate or 1)
            raise MediaError(
                DAMAGED, f"it does not decode beyond {seconds:.3f} s: {_words(error)}"
            ) from error

    def _placed(self, frame: Any) -> Iterator[np.ndarray]:
        """A frame's samples at the time that its stamp names: gaps are zeros, overlaps are cut."""
        samples = self._samples(frame)
        gap = 0
        if frame.pts is not None:
            stamp = round(float(frame.pts * frame.time_base) * self.sample_rate)
            gap = stamp - self.position
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
        if frame.format.name != "fltp":
            import av

            self._to_float = self._to_float or av.AudioResampler(format="fltp")
            return np.concatenate(
                [mono(part.to_ndarray(), axis=0) for part in self._to_float.resample(frame)]
            )
        return mono(frame.to_ndarray(), axis=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()


def _words(error: BaseException) -> str:
    """FFmpeg's message without the path, which the caller names."""
    return getattr(error, "strerror", None) or str(error)
