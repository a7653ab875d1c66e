"""An encoder's vectors as the engine gets them: from decode threads, in batches, in any order."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

import numpy as np

from assets.embeddings import engine
from assets.embeddings.engine import Segment, embed_segments
from assets.embeddings.work import Work
from resources.encoders.torch_runtime import TorchEncoder


def vectors_by_engine(
    encoder: TorchEncoder,
    clips: Sequence[np.ndarray],
    batch_size: int,
    threads: int,
    backwards: bool = False,
) -> np.ndarray:
    """Each clip's vector, `(len(clips), d)`, whatever the order in which they were embedded.

    Every clip is a recording of its own, so that as many threads as there are hand them over in
    an order that nobody decides.
    """
    segments = [
        Segment(str(number), Path(str(number)), encoder.sample_rate, 0.0, 1.0, draw=number)
        for number in range(len(clips))
    ]
    found: dict[str, np.ndarray] = {}

    def read(path: Path, _: object) -> Iterator[tuple[int, np.ndarray]]:
        yield 0, clips[int(path.name)]

    def save(keys: Sequence[str], vectors: np.ndarray) -> None:
        found.update(zip(keys, vectors, strict=True))

    work = Work(encoder, segments[::-1] if backwards else segments, save)
    with (
        mock.patch.object(engine, "_decode_threads", lambda: threads),
        mock.patch.dict(encoder.__dict__, {"batch_size": batch_size}),
    ):
        embed_segments([work], read)
    assert not work.faults
    assert not work.unavailable
    return np.stack([found[segment.key] for segment in segments])
