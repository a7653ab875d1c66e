"""Where one recording's samples lie: a file, a data set of an HDF5 file, or a row of chunks.

An address is a path. `audio.hdf5::P01_01` is the data set P01_01 of a file, as EPIC-SOUNDS ships
its audio (see `hdf5`); `<uid>/{chunk}.flac` are the files `0.flac`, `1.flac` ... of 600 seconds
each, as Ego4D's audio is often kept. Any other path is a file.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import re
from pathlib import Path

from resources.hashing import file_sha256
from resources.parallel import NodeLacksError

MEMBER = "::"
CHUNK = "{chunk}"


def member_of(address: Path) -> tuple[Path, str] | None:
    """The file and the data set of an HDF5 address; None for any other."""
    file, separator, member = str(address).partition(MEMBER)
    return (Path(file), member) if separator else None


def chunks_of(address: Path) -> dict[int, Path] | None:
    """The files of a chunked recording by number, in order; None for any other address."""
    before, separator, after = str(address).partition(CHUNK)
    if not separator:
        return None
    number = re.compile(re.escape(before) + r"(\d+)" + re.escape(after))
    listing = glob.escape(before) + "*" + glob.escape(after)
    names = map(number.fullmatch, glob.iglob(listing))  # noqa: PTH207 (Path.glob wants it relative)
    return dict(sorted((int(name[1]), Path(name[0])) for name in names if name))


def files_of(address: Path) -> list[Path]:
    """Every file that the recording is kept in."""
    chunks = chunks_of(address)
    if chunks is not None:
        return list(chunks.values())
    member = member_of(address)
    return [member[0]] if member else [address]


def stat_of(address: Path) -> tuple[int, int]:
    """Size in bytes of all its files, and the last modification of any (ns).

    Raises:
        OSError: it is not there, or can't be looked at.
    """
    stats = [file.stat() for file in files_of(address)]
    if not stats:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(address))
    return sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)


def check_copy(address: Path, size: int) -> None:
    """See that this machine has a recording as the process that drives found it.

    Copies have times of their own, so sizes are compared.

    Args:
        address: the recording's.
        size: in bytes, as `stat_of` tells it there.

    Raises:
        NodeLacksError: it is not there, can't be looked at, or is another.
    """
    try:
        found = stat_of(address)[0]
    except FileNotFoundError as error:
        raise NodeLacksError(f"{address} is not there") from error
    except OSError as error:
        raise NodeLacksError(f"{address}: {error.strerror or error}") from error
    if found != size:
        raise NodeLacksError(
            f"{address} has {found:,} bytes there and {size:,} where the graph runs: it is another "
            "recording, or half a copy"
        )


def content_hash(address: Path) -> str:
    """sha256 of the file; of the data set's samples and rate; or of the hashes of the chunks.

    Raises:
        OSError: it can't be read.
        MediaError: the data set is none of a recording.
    """
    member = member_of(address)
    if member:
        return _hash_of_member(*member)
    files = files_of(address)
    hashes = [file_sha256(file) for file in files]
    return hashes[0] if files == [address] else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _hash_of_member(path: Path, member: str) -> str:
    import h5py

    from resources.media.hdf5 import own_rate, recording_in

    digest = hashlib.sha256()
    with h5py.File(path, "r") as file:
        samples = recording_in(file, member)
        digest.update(f"{samples.dtype.str}{samples.shape}".encode())
        if rate := own_rate(samples):
            digest.update(f"at {rate} Hz".encode())
        for start in range(0, len(samples), 1 << 22):
            digest.update(samples[start : start + (1 << 22)].tobytes())
    return digest.hexdigest()
