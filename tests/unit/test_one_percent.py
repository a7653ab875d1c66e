"""A prompt edit that touches 1 % of 4,000 texts: what it costs, counted."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest
from support.fake_sender import FakeSender
from support.prompt_files import NO_POOL, make_prompt, texts_of

from assets.descriptions.rewriting import build_descriptions
from assets.embeddings import texts as text_embedding
from assets.embeddings.texts import embed_texts
from resources.language_model.asking import LedgerModel
from resources.language_model.ledger import Ledger

TEXTS = [f"{'drop lid' if n % 100 == 0 else 'cut onion'} {n}" for n in range(4000)]
BEFORE = "{% if 'lid' in text %}Metal: {% endif %}{{ text }}"
AFTER = "{% if 'lid' in text %}Metal or glass: {% endif %}{{ text }}"


class Counting:
    """A language model's answers and an encoder's vectors, counted."""

    name, fingerprint = "fake", "f" * 64

    def __init__(self):
        self.asked = self.embedded = 0

    def answer(self, questions):
        self.asked += len(questions)
        return [{"description": f"Heard: {q.messages[-1]['content']}"} for q in questions]

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        self.embedded += len(texts)
        return np.ones((len(texts), 2), np.float32)


@pytest.fixture
def counting(tmp_path, monkeypatch):
    found = Counting()
    monkeypatch.setattr(text_embedding, "build_encoder", lambda *_: found)
    return found


def run(folder, template, counting):
    """Rewrite all texts and embed them with their descriptions; counts of both tables."""
    prompt = make_prompt(
        folder, messages=[{"role": "user", "content": template}], texts_per_request=100
    )
    with Ledger.in_folder(folder) as ledger:
        model = LedgerModel(ledger, FakeSender(ledger, counting.answer), 3)
        made = build_descriptions("b", texts_of(*TEXTS), [prompt], NO_POOL, model, ())
    both = texts_of(*TEXTS, *made.table["description"])
    settings = SimpleNamespace(
        encoders={"fake": None}, cache_dir=folder, vectors_dir=folder / "vectors"
    )
    return made.counts, embed_texts(settings, "b", both).counts


def test_one_percent_of_the_texts_is_one_percent_of_the_work(tmp_path, counting):
    run(tmp_path, BEFORE, counting)
    assert (counting.asked, counting.embedded) == (4000, 8000)
    described, embedded = run(tmp_path, AFTER, counting)
    assert (counting.asked, counting.embedded) == (4040, 8040)
    assert (described.reused, described.new) == (3960, 40)
    assert (embedded.reused, embedded.new) == (7960, 40)
