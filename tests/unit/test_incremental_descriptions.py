"""Whatever is edited, in whatever order: the table is the one that a fresh start would make.

And it is paid for once: what is asked are the distinct questions that were never answered before.
"""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.fake_sender import FakeSender
from support.prompt_files import make_prompt, pool_of, texts_of

from assets.descriptions.rewriting import build_descriptions
from resources.language_model.asking import LedgerModel
from resources.language_model.ledger import Ledger
from resources.language_model.question import Spent

POOL = [(f"doing {word}", f"{word} sounds") for word in ("one", "two", "three", "four")]
MESSAGES = {
    "A": [{"role": "user", "content": "{{ text }}"}],
    "B": [{"role": "user", "content": "Heard:\n{{ text }}"}],
    "with an example": [
        {"role": "user", "content": "{{ examples[0].audio_caption }}\n{{ text }}"},
    ],
}


class CrashError(Exception):
    """The process dies here."""


WORDS = ["cut onion", "open door", "wash pan", "stir soup", "peel carrot", "drop lid"]
edit = st.one_of(
    st.tuples(st.just("text"), st.integers(0, 5), st.sampled_from(WORDS)),
    st.tuples(st.just("delete"), st.integers(0, 5)),
    st.tuples(st.just("reorder")),
    st.tuples(st.just("prompt"), st.sampled_from(sorted(MESSAGES))),
    st.tuples(st.just("model"), st.sampled_from(["gpt-a", "gpt-b"])),
    st.tuples(st.just("together"), st.integers(1, 3)),
    st.tuples(st.just("pool"), st.integers(1, 4)),
    st.tuples(st.just("crash"), st.integers(0, 3)),
)


def apply(state, change):
    kind, *values = change
    if kind == "text":
        position, word = values
        state["texts"][position : position + 1] = [word]
    elif kind == "delete":
        del state["texts"][values[0] : values[0] + 1]
    elif kind == "reorder":
        state["texts"].reverse()
    elif kind != "crash":
        state[kind] = values[0]


def build(state, folder, crash_after=None):
    changes = {"examples": {"count": 1}} if "example" in state["prompt"] else {}
    prompt = make_prompt(
        folder,
        messages=MESSAGES[state["prompt"]],
        model=state["model"],
        texts_per_request=state["together"],
        **changes,
    )
    texts = texts_of(*dict.fromkeys(state["texts"]))
    asked = []

    def answer(questions):
        if crash_after is not None and len(asked) >= crash_after:
            raise CrashError
        asked.extend(question.key for question in questions)
        return [{"description": f"Sounds {question.key[:8]}"} for question in questions]

    with Ledger.in_folder(folder) as ledger:
        try:
            made = build_descriptions(
                "b", texts, [prompt], pool_of(*POOL[: state["pool"]]),
                LedgerModel(ledger, FakeSender(ledger, answer), 3), (),
            )  # fmt: skip
        except CrashError:
            made = None
        return made, asked


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(edit, min_size=1, max_size=8))
def test_incremental_equals_from_scratch_and_is_paid_once(edits):
    state = {"texts": WORDS[:3], "prompt": "A", "model": "gpt-a", "together": 1, "pool": 2}
    with tempfile.TemporaryDirectory() as name:
        asked = []
        for change in [("reorder",), *edits, ("reorder",)]:
            apply(state, change)
            crash_after = change[1] if change[0] == "crash" else None
            made, now = build(state, Path(name), crash_after)
            asked += now
            assert len(set(asked)) == len(asked)
            if made is None:
                continue
            assert set(made.table["key"]) <= set(asked)
            counts = made.counts
            assert counts.wanted == counts.reused + counts.new + counts.stale + counts.failed
            assert counts.new + counts.stale == len(now)
        with tempfile.TemporaryDirectory() as fresh:
            from_scratch, _ = build(state, Path(fresh))
    assert from_scratch.table.equals(made.table)


def test_spent_is_counted():
    spent = Spent()
    spent.count(10, 5, 0.5)
    spent.count(None, None, None)
    assert spent == Spent(2, 10, 5, 0.5, 1)
