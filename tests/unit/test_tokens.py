"""Tokenizers give what transformers' own give, and batches lose no text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.encoder_files import bert_vocabulary, roberta_vocabulary

from resources.encoders.protocol import EncoderUnavailable
from resources.encoders.tokens import batches, bert_tokenizer, padded, roberta_tokenizer
from resources.encoders.wavcaps import normalize

pytest.importorskip("torch", reason="needs the extra `encoders`")
pytestmark = pytest.mark.encoders

TEXTS = [
    "take plate",
    "#C C opens the drawer",
    "Metal clanging, as a plate is set down!",
    "  pour   water ",
    "crème brûlée",
    "stir " * 100,
    "",
]


def test_roberta_tokens_are_those_of_transformers(tmp_path: Path) -> None:
    from transformers import RobertaTokenizer

    folder = roberta_vocabulary(tmp_path, TEXTS)
    ours = roberta_tokenizer(folder, 77)
    theirs = RobertaTokenizer.from_pretrained(str(folder))
    for text in TEXTS:
        expected = theirs(text, truncation=True, max_length=77)["input_ids"]
        assert ours.encode(text).ids == expected


def test_bert_tokens_are_those_of_transformers(tmp_path: Path) -> None:
    from transformers import BertTokenizer

    folder = bert_vocabulary(tmp_path, TEXTS)
    ours = bert_tokenizer(folder, 30)
    theirs = BertTokenizer.from_pretrained(str(folder))
    for text in TEXTS:
        expected = theirs(text, truncation=True, max_length=30)["input_ids"]
        assert ours.encode(text).ids == expected


def test_a_missing_or_wrong_vocabulary_is_named(tmp_path: Path) -> None:
    for tokenizer in (roberta_tokenizer, bert_tokenizer):
        with pytest.raises(EncoderUnavailable, match=str(tmp_path)):
            tokenizer(tmp_path, 77)
    (tmp_path / "vocab.txt").write_text("some\nwords\n")
    with pytest.raises(EncoderUnavailable, match=r"\[SEP\]"):
        bert_tokenizer(tmp_path, 77)


@given(st.lists(st.lists(st.integers(5, 99), min_size=1, max_size=12), min_size=1, max_size=30))
def test_batches_hold_every_text_once_within_the_budget(token_lists: list[list[int]]) -> None:
    seen = {}
    for positions in batches([len(tokens) for tokens in token_lists], budget=24):
        numbers, mask = padded([token_lists[position] for position in positions], padding=1)
        assert numbers.shape == mask.shape
        assert numbers.numel() <= 24
        for row, position in enumerate(positions):
            assert position not in seen
            seen[position] = numbers[row][mask[row].bool()].tolist()
            assert (numbers[row][~mask[row].bool()] == 1).all()
    assert [seen[position] for position in range(len(token_lists))] == token_lists


def test_wavcaps_normalisation_drops_case_and_punctuation() -> None:
    assert normalize('A Dog (barks), loudly; "then" stops.') == "a dog barks loudly then stops"
    assert normalize("put-down / take") == "put-down / take"
