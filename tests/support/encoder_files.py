"""Stand-ins for what encoders download: checkpoints with random weights, small vocabularies.

They have the official files' formats and none of their content.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def roberta_vocabulary(folder: Path, texts: Iterable[str], size: int = 600) -> Path:
    """`vocab.json` and `merges.txt`, trained on the texts."""
    from tokenizers import ByteLevelBPETokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(
        texts, vocab_size=size, special_tokens=ROBERTA_SPECIAL, show_progress=False
    )
    tokenizer.save_model(str(folder))
    return folder


def bert_vocabulary(folder: Path, texts: Iterable[str], size: int = 600) -> Path:
    """`vocab.txt`, trained on the texts."""
    from tokenizers import BertWordPieceTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = BertWordPieceTokenizer(lowercase=True)
    tokenizer.train_from_iterator(
        texts, vocab_size=size, special_tokens=BERT_SPECIAL, show_progress=False
    )
    tokenizer.save_model(str(folder))
    return folder


def save_like_the_official(
    weights: Mapping[str, Any], path: Path, key: str = "state_dict", prefix: str = "module."
) -> Path:
    """Save weights as the checkpoints of 2023 are, which PyTorch's safe loader refuses.

    Pickle protocol 4, optimizer state and numpy scalars beside the model, names prefixed, and a
    buffer that later releases of transformers dropped.
    """
    import torch

    state = OrderedDict((prefix + name, value) for name, value in weights.items())
    state[f"{prefix}text_branch.embeddings.position_ids"] = torch.arange(514)[None]
    moments = {"step": 7, "exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}
    content = {
        "epoch": 45,
        "name": "stand-in",
        key: state,
        "optimizer": {"state": {0: moments}, "param_groups": [{"lr": 1e-4, "params": [0]}]},
        "best": np.float64(0.5),
        "steps": np.int64(1000),
    }
    torch.save(content, path, pickle_protocol=4)
    return path
