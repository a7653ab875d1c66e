"""Checkpoints: read without running what they might carry.

`torch.load(weights_only=True)` comes first. It refuses the official checkpoints of 2023, which are
pickles of protocol 4 with numpy scalars beside the weights: those are read by a pickle reader that
knows tensors, storages, `OrderedDict` and numpy scalars and nothing else, only for files that are
known or that the user trusts by name, and once: the weights are then kept as safetensors.
"""

from __future__ import annotations

import pickle  # noqa: TID251 - only `_TensorReader` below, which resolves no name freely
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from resources.encoders.protocol import EncoderUnavailable

if TYPE_CHECKING:
    from torch import Tensor, nn

REASON = "checkpoint unusable"
_STATE_KEYS = ("state_dict", "model")
_PREFIX = "module."
_SHOWN = 5
_MALFORMED = (
    KeyError, ValueError, TypeError, AttributeError, EOFError, IndexError, RuntimeError,
)  # fmt: skip
"""What reading a pickle raises that does not fit its archive; the last by PyTorch."""
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04")
"""How a pickle of each protocol begins."""


def load_weights(checkpoint: Path, sha256: str, trusted: bool, folder: Path) -> dict[str, Tensor]:
    """A checkpoint's weights by parameter name, on the CPU.

    Args:
        checkpoint: a `.safetensors` file, or what `torch.save` wrote.
        sha256: its content hash.
        trusted: whether the restricted reader may be used on it.
        folder: where converted checkpoints are kept.

    Raises:
        EncoderUnavailable: it is no checkpoint, damaged, or not to be trusted.
    """
    import safetensors.torch
    from safetensors import SafetensorError

    converted = folder / f"{sha256}.safetensors"
    source = converted if converted.exists() else checkpoint
    if source.suffix == ".safetensors":
        try:
            return safetensors.torch.load_file(source)
        except (SafetensorError, OSError) as error:
            raise EncoderUnavailable(REASON, f"{source}: {error}. Fetch it again.") from error
    content = _read_plain(checkpoint)
    if content is None:
        weights = _weights(checkpoint, _read_restricted(checkpoint, trusted))
        _keep(weights, converted)
        return weights
    return _weights(checkpoint, content)


def load_into(
    model: nn.Module, weights: Mapping[str, Tensor], checkpoint: Path, ignored: Iterable[str] = ()
) -> None:
    """Load weights strictly: the same names, the same shapes.

    Args:
        model: what they are for.
        weights: by name.
        checkpoint: named in the error.
        ignored: names that older releases saved and the model does not have.

    Raises:
        EncoderUnavailable: names or shapes differ; the message says which.
    """
    weights = {name: value for name, value in weights.items() if name not in set(ignored)}
    expected = model.state_dict()
    problems = (
        _listed("lacks", expected.keys() - weights.keys())
        + _listed("has besides", weights.keys() - expected.keys())
        + _listed(
            "has in another shape",
            [
                f"{name} {tuple(weights[name].shape)}, not {tuple(expected[name].shape)}"
                for name in expected.keys() & weights.keys()
                if weights[name].shape != expected[name].shape
            ],
        )
    )
    if problems:
        raise EncoderUnavailable(
            "wrong checkpoint",
            f"{checkpoint} is of another model: it {'; '.join(problems)}. "
            f"Name the checkpoint that belongs to this kind of encoder.",
        )
    model.load_state_dict(weights)


def _listed(what: str, names: Iterable[str]) -> list[str]:
    names = sorted(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{what} {', '.join(names[:_SHOWN])}{more}"] if names else []


def _read_plain(checkpoint: Path) -> Any | None:
    """What PyTorch's own restricted loader reads; None where it refuses the file's pickle."""
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):  # it warns of what it then refuses
            return torch.load(checkpoint, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return None
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise EncoderUnavailable(
            REASON, f"{checkpoint} is no checkpoint, or is damaged: {error}. Fetch it again."
        ) from error


def _read_restricted(checkpoint: Path, trusted: bool) -> Any:
    if not zipfile.is_zipfile(checkpoint):
        raise EncoderUnavailable(REASON, f"{checkpoint} {_what_else(checkpoint)}")
    if not trusted:
        raise EncoderUnavailable(
            "checkpoint not trusted",
            f"{checkpoint} is an old pickle that PyTorch's safe loader refuses, and its sha256 is "
            f"not one that is known here. If you know where it comes from, set `trust: true`; it "
            f"is then read by a reader that runs nothing, and kept as safetensors.",
        )
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            pickled = next(name for name in archive.namelist() if name.endswith("data.pkl"))
            with archive.open(pickled) as file:
                return _TensorReader(file, archive, pickled.removesuffix("data.pkl")).load()
    except (pickle.UnpicklingError, zipfile.BadZipFile, StopIteration) as error:
        raise EncoderUnavailable(REASON, f"{checkpoint}: {error or 'no data.pkl'}") from error
    except _MALFORMED as error:
        raise EncoderUnavailable(
            REASON, f"{checkpoint} is not what torch.save writes: {error!r}"
        ) from error


def _what_else(checkpoint: Path) -> str:
    """What a file is that is no archive, and what to do about it."""
    with checkpoint.open("rb") as file:
        start = file.read(2)
    if start in _PICKLES:
        return (
            "was saved in the form of PyTorch before 1.6, which is not read here. Where you trust "
            "it, load it with PyTorch and save its `state_dict` again with torch.save."
        )
    return "is no checkpoint. Fetch it again."


def _weights(checkpoint: Path, content: Any) -> dict[str, Tensor]:
    """The state dict inside a checkpoint, without the prefix that parallel training leaves."""
    import torch

    for key in _STATE_KEYS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not any(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise EncoderUnavailable(REASON, f"{checkpoint} holds no state dict of tensors.")
    weights = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    if all(name.startswith(_PREFIX) for name in weights):
        return {name.removeprefix(_PREFIX): value for name, value in weights.items()}
    return weights


def _keep(weights: Mapping[str, Tensor], converted: Path) -> None:
    """Save weights as safetensors, whole or not at all."""
    import safetensors.torch

    converted.parent.mkdir(parents=True, exist_ok=True)
    temporary = converted.with_name(f"{converted.name}.{uuid4().hex}.tmp")
    try:
        # Cloned, because tensors that share memory are refused.
        own = {name: value.clone().contiguous() for name, value in weights.items()}
        safetensors.torch.save_file(own, temporary)
        temporary.replace(converted)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class _NumpyType:
    """Stands in for `numpy.dtype` in a pickle: numbers only."""

    def __init__(self, name: str, *_: Any) -> None:
        self.dtype = np.dtype(name)
        if self.dtype.kind not in "biuf":
            raise pickle.UnpicklingError(f"numpy type {name} is not a number")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take over the byte order, all that the state of a number's type says."""
        if state[1] in {"<", ">"}:
            self.dtype = self.dtype.newbyteorder(state[1])


def _numpy_scalar(kind: _NumpyType, data: bytes) -> Any:
    return np.frombuffer(data, kind.dtype, count=1)[0]


def _latin1(text: str, encoding: str) -> bytes:
    """How bytes are written in a pickle of protocol 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in encoding {encoding}")
    return text.encode("latin1")


def _tensor(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Tensor:
    """A view of a storage; PyTorch refuses one that reaches beyond it."""
    return storage.as_strided(size, stride, offset)


def _parameter(data: Tensor, *_: Any) -> Tensor:
    return data


_STORAGES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}

_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("numpy.core.multiarray", "scalar"): _numpy_scalar,
    ("numpy._core.multiarray", "scalar"): _numpy_scalar,
    ("numpy", "dtype"): _NumpyType,
    ("_codecs", "encode"): _latin1,
}


class _TensorReader(pickle.Unpickler):
    """Reads the pickle inside a checkpoint; every name but those of `_KNOWN` is an error."""

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file)
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for (called by `pickle`)."""
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) in _KNOWN:
            return _KNOWN[module, name]
        raise pickle.UnpicklingError(
            f"it wants to use {module}.{name}, which no checkpoint needs: refused"
        )

    def persistent_load(self, reference: Any) -> Tensor:
        """A storage as a flat tensor (called by `pickle`)."""
        import torch

        kind, dtype, key, _, count = reference
        if kind != "storage" or dtype not in _STORAGES.values():
            raise pickle.UnpicklingError(f"it refers to {kind!r}, not to a storage")
        data = bytearray(self._archive.read(f"{self._root}data/{key}"))
        if not data:
            return torch.empty(0, dtype=getattr(torch, dtype))
        return torch.frombuffer(data, dtype=getattr(torch, dtype), count=count)
