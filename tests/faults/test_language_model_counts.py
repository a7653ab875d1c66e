"""Pay only for what changed: how many requests each kind of edit costs."""

import random

import pytest
from support.openai_server import OpenAIServer, grouped
from support.prompt_files import answer_plainly, make_prompt
from test_language_model import ask

SIZES = [200, pytest.param(4000, marks=pytest.mark.slow)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("together", [1, 10])
def test_what_each_edit_costs(tmp_path, size, together):
    texts = [f"cut onion {number}" for number in range(size)]
    first = make_prompt(tmp_path, texts_per_request=together)
    with OpenAIServer(grouped(answer_plainly)) as server:

        def asked(texts, prompt):
            before = server.requests
            answers = ask(server, tmp_path, texts, prompt=prompt, concurrency=16, timeout_s=30)
            assert len(answers.answered) == len(texts)
            new = server.bodies[before:]
            rows = [max(1, body["messages"][-1]["content"].count("Input id=")) for body in new]
            return sum(rows), len(rows)

        assert asked(texts, first) == (size, size // together)
        assert asked(texts, first) == (0, 0)
        assert asked(random.Random(1).sample(texts, size), first) == (0, 0)
        assert asked([f"  {text}\n" for text in texts], first) == (0, 0)

        edited = list(texts)
        for number in random.Random(2).sample(range(size), 10):
            edited[number] += ", slowly"
        assert asked(edited, first) == (10, 10 // together)

        other = make_prompt(
            tmp_path,
            texts_per_request=together,
            messages=[{"role": "user", "content": 'One field "description".\nSeen:\n{{ text }}'}],
        )
        assert asked(edited, other) == (size, size // together)
        assert asked(edited, first) == (0, 0)
        assert asked(texts, first) == (0, 0)
