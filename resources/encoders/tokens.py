"""Texts as token numbers, in the two formats that the encoders were trained with.

The vocabularies are files like weights: pinned and cached, or of the user's own folder. A batch is
padded to its own longest text, and texts are batched by length, so that little is computed for
padding (method section 6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.encoders.protocol import EncoderUnavailable

if TYPE_CHECKING:
    import torch

_UNKNOWN = "[UNK]"

TOKENS_A_BATCH = 4096
"""Padding included: as many short texts as fit, or a few long ones."""


def roberta_tokenizer(folder: Path, max_tokens: int) -> Any:
    """Byte-level BPE from `vocab.json` and `merges.txt`, `<s>` and `</s>` around the text.

    Raises:
        EncoderUnavailable: a file is missing or malformed.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    try:
        model = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    except Exception as error:  # tokenizers raises bare exceptions
        raise _unusable(folder, error) from error
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    stop, start = ((name, _number(tokenizer, name, folder)) for name in ("</s>", "<s>"))
    tokenizer.post_processor = processors.RobertaProcessing(stop, start, add_prefix_space=False)
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def bert_tokenizer(folder: Path, max_tokens: int) -> Any:
    """Lower-cased WordPiece from `vocab.txt`, `[CLS]` and `[SEP]` around the text (see above)."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    try:
        model = models.WordPiece.from_file(str(folder / "vocab.txt"), unk_token=_UNKNOWN)
    except Exception as error:
        raise _unusable(folder, error) from error
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    stop, start = ((name, _number(tokenizer, name, folder)) for name in ("[SEP]", "[CLS]"))
    tokenizer.post_processor = processors.BertProcessing(stop, start)
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def batches(lengths: Sequence[int], budget: int = TOKENS_A_BATCH) -> Iterator[list[int]]:
    """Texts in batches of like length, as positions.

    Args:
        lengths: tokens of each text.
        budget: tokens a batch, padding included.
    """
    batch: list[int] = []
    for text in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[text] > budget:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def padded(token_lists: Sequence[Sequence[int]], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch's `(n, longest)` tokens, filled up with `padding`, and the mask of the real ones."""
    import torch

    longest = max(map(len, token_lists))
    tokens = torch.full((len(token_lists), longest), padding)
    mask = torch.zeros_like(tokens)
    for row, numbers in enumerate(token_lists):
        tokens[row, : len(numbers)] = torch.tensor(numbers)
        mask[row, : len(numbers)] = 1
    return tokens, mask


def _number(tokenizer: Any, token: str, folder: Path) -> int:
    number = tokenizer.token_to_id(token)
    if number is None:
        raise _unusable(folder, f"its vocabulary lacks {token}")
    return int(number)


def _unusable(folder: Path, why: object) -> EncoderUnavailable:
    return EncoderUnavailable("tokenizer unusable", f"{folder}: {why}. Fetch its files again.")
