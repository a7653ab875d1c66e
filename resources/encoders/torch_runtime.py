"""How torch encoders run: device, precision, batches that shrink when memory runs out.

What every encoder with weights has in common; the models themselves are in modules of their own.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resources.encoders import tokens, weights
from resources.encoders.checkpoints import load_weights
from resources.encoders.protocol import (
    EncoderUnavailable,
    Vectors,
    Waveform,
    Window,
    unit_rows,
)
from resources.encoders.weights import PinnedFile
from resources.hashing import canonical_hash
from resources.settings import LaionClapSettings, WavCapsSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_CPU_BATCH, _ACCELERATOR_BATCH = 4, 128
"""On a CPU larger batches only fall out of its cache."""


class TorchEncoder(ABC):
    """An encoder of pretrained weights (see `protocol.Encoder`): loaded when first needed.

    A subclass says what its files are, builds the model, and turns clips and tokens into rows.
    """

    kind: str
    version: int
    """Raised when the preprocessing changes meaning."""

    sample_rate: int
    window: Window
    checkpoints: Mapping[str, PinnedFile]
    vocabulary: tuple[PinnedFile, ...]
    training_recordings: frozenset[str] = frozenset()

    def __init__(
        self, name: str, settings: LaionClapSettings | WavCapsSettings, cache_dir: Path
    ) -> None:
        self.name = name
        self._settings = settings
        self._cache_dir = cache_dir
        self._clips_that_fit: int | None = None
        self._tokens_that_fit = tokens.TOKENS_A_BATCH

    @functools.cached_property
    def fingerprint(self) -> str:
        """Of checkpoint, vocabulary, precision, preprocessing and every option."""
        return canonical_hash(
            {
                "kind": self.kind,
                "version": self.version,
                "checkpoint": self.checkpoint_sha256,
                "vocabulary": self._vocabulary_sha256,
                "precision": self._settings.precision,
                **self._options(),
            }
        )

    @functools.cached_property
    def batch_size(self) -> int:
        """The user's, or what suits the device."""
        if self._settings.batch_size:
            return self._settings.batch_size
        return _CPU_BATCH if self._device().type == "cpu" else _ACCELERATOR_BATCH

    def embed_audio(self, waveforms: Sequence[Waveform], draws: Sequence[int]) -> Vectors:
        """Embed clips (see `Encoder`)."""
        run = functools.partial(self._run, self._audio_rows)
        clips = list(zip(waveforms, draws, strict=True))
        at_once = self._clips_that_fit or self.batch_size
        rows, fitting = in_batches(run, clips, at_once)
        if fitting < at_once:
            self._clips_that_fit = fitting
        return rows

    def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """Embed texts (see `Encoder`), each distinct one once."""
        self._device()  # says so first where the extra is not installed
        distinct = list(dict.fromkeys(texts))
        token_lists = self._tokens(distinct)

        def run(positions: list[int]) -> Vectors:
            batch = tokens.padded([token_lists[text] for text in positions], self._padding)
            return self._run(self._text_rows, batch)

        rows: dict[str, np.ndarray] = {}
        lengths = [len(numbers) for numbers in token_lists]
        for positions in tokens.batches(lengths, self._tokens_that_fit):
            vectors, fitting = in_batches(run, positions, len(positions))
            if fitting < len(positions):
                self._tokens_that_fit = fitting * max(lengths[position] for position in positions)
            rows |= {distinct[p]: vector for p, vector in zip(positions, vectors, strict=True)}
        return np.stack([rows[text] for text in texts])

    def files(self) -> list[Path]:
        """Checkpoint and vocabulary (see `Encoder`)."""
        return [self.checkpoint, *self._vocabulary_files]

    def published_files(self) -> dict[Path, PinnedFile]:
        """Those of its files that are published, by where they lie, or will."""
        files = [self.published] if self.published else []
        if self._settings.vocabulary is None:
            files += self.vocabulary
        return {self._weights_folder / file.path: file for file in files}

    @property
    @abstractmethod
    def _padding(self) -> int:
        """The token number that fills up."""

    @property
    @abstractmethod
    def _tokenizer(self) -> Any:
        """What turns texts into token numbers.

        Raises:
            EncoderUnavailable: its files can't be had, or are malformed.
        """

    @abstractmethod
    def _options(self) -> dict[str, Any]:
        """What else decides a vector: part of the fingerprint."""

    @abstractmethod
    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's token numbers."""

    @abstractmethod
    def _build(self) -> Any:
        """The model with its weights, on the CPU.

        Raises:
            EncoderUnavailable: the weights do not fit.
        """

    @abstractmethod
    def _audio_rows(self, clips: Sequence[tuple[Waveform, int]]) -> Tensor:
        """A batch of clips and draws to `(n, d)`."""

    @abstractmethod
    def _text_rows(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """A batch of tokens and mask to `(n, d)`."""

    @functools.cached_property
    def _model(self) -> Any:
        _ = self._tokenizer  # where texts can't be embedded, clips are embedded in vain
        return self._build().eval().to(self._device())

    def _run(self, rows: Callable[[Any], Tensor], batch: Any) -> Vectors:
        """Run a model's step without gradients, in the precision that was asked for."""
        import torch

        half = self._settings.precision == "bfloat16"
        with (
            torch.inference_mode(),
            torch.autocast(self._device().type, dtype=torch.bfloat16, enabled=half),
        ):
            return unit_rows(rows(batch).float().cpu().numpy())

    def _device(self) -> torch.device:
        if not has_torch():
            raise EncoderUnavailable(
                "extra not installed", "install the extra: pip install -e '.[encoders]'"
            )
        import torch

        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def _load_weights(self) -> dict[str, Tensor]:
        """The checkpoint's weights by name; a published one is fetched if it is not there."""
        published = self.published
        if published:
            weights.ensure(published, self._weights_folder, self._cache_dir)
        return load_weights(
            self.checkpoint, self.checkpoint_sha256, self.is_trusted, self._weights_folder
        )

    @property
    def published(self) -> PinnedFile | None:
        """The checkpoint, if the config names a published one."""
        return self.checkpoints.get(str(self._settings.checkpoint))

    @property
    def checkpoint(self) -> Path:
        """The checkpoint's file."""
        published = self.published
        if published:
            return self._weights_folder / published.path
        return Path(self._settings.checkpoint)

    @property
    def is_trusted(self) -> bool:
        """Whether an old pickle may be read: it is known, or the config says so."""
        return self._settings.trust or self.checkpoint_sha256 in weights.KNOWN_SHA256

    @functools.cached_property
    def checkpoint_sha256(self) -> str:
        """What the checkpoint is, told without fetching it where that is known.

        Raises:
            EncoderUnavailable: it is not there, or not what the config says.
        """
        found = self._found_sha256()
        expected = self._settings.sha256
        if expected and found != expected:
            raise EncoderUnavailable(
                "weights wrong",
                f"{self.checkpoint} has sha256 {found}, the config says {expected}. Fetch it "
                f"again, or mend the config.",
            )
        return found

    def _found_sha256(self) -> str:
        if self.published and self.published.sha256:
            return self.published.sha256
        if not self.checkpoint.is_file():
            raise EncoderUnavailable(
                "weights missing", f"{self.checkpoint} is not there. {self._how_to_get_it}"
            )
        return weights.remembered_sha256(self.checkpoint, self._cache_dir)

    @property
    def _how_to_get_it(self) -> str:
        if self.published:
            return f"Download {self.published.url}, put it there, and set `trust: true`."
        return f"Put it there, or name a published one: {', '.join(self.checkpoints)}."

    @property
    def _weights_folder(self) -> Path:
        return self._cache_dir / "weights"

    @functools.cached_property
    def _vocabulary_sha256(self) -> list[str]:
        """What the tokenizer's files are: as published, or of the user's own folder."""
        if self._settings.vocabulary is None:
            return [str(file.sha256) for file in self.vocabulary]
        absent = [str(file) for file in self._vocabulary_files if not file.is_file()]
        if absent:
            raise EncoderUnavailable(
                "weights missing",
                f"{', '.join(absent)} not there. Put the tokenizer's files there.",
            )
        return [weights.remembered_sha256(file, self._cache_dir) for file in self._vocabulary_files]

    @property
    def _vocabulary_files(self) -> list[Path]:
        folder = self._settings.vocabulary
        return [
            folder / file.name if folder else self._weights_folder / file.path
            for file in self.vocabulary
        ]

    def _vocabulary_folder(self) -> Path:
        """Where the tokenizer's files lie; published ones are fetched if they are not there."""
        if self._settings.vocabulary:
            return self._settings.vocabulary
        files = [
            weights.ensure(file, self._weights_folder, self._cache_dir) for file in self.vocabulary
        ]
        return files[0].parent


def has_torch() -> bool:
    """Whether the extra is installed; nothing is imported."""
    return find_spec("torch") is not None


def lacks_torch(encoder: object) -> bool:
    """Whether an encoder can't compute here because the extra is not installed."""
    return isinstance(encoder, TorchEncoder) and not has_torch()


def in_batches(
    run: Callable[[list[Any]], Vectors], items: Sequence[Any], batch_size: int
) -> tuple[Vectors, int]:
    """Run over items in batches; a batch that does not fit into memory is halved.

    Returns:
        Every item's row, and the largest batch that is known to fit: where to begin next time.

    Raises:
        MemoryError: one item alone does not fit.
    """
    parts: list[Vectors] = []
    start, size = 0, batch_size
    while start < len(items):
        try:
            parts.append(run(list(items[start : start + size])))
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            if size == 1:
                raise MemoryError(
                    "not even one item fits; free memory, or use another device"
                ) from error
            size //= 2
        else:
            start += size
    return np.concatenate(parts), size


def _out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()
