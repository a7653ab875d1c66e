"""Keys: what was paid for stays known, from release to release, whatever it is called."""

from resources.keys import ClipContent, answer_key, text_key
from resources.language_model.question import Question

ENCODER = "e" * 64
QUESTION = {
    "text_id": "t",
    "text": "open door",
    "variant": "describe",
    "messages": ({"role": "user", "content": "Heard: open door"},),
    "model": "m",
    "parameters": {"temperature": 0},
    "answer_schema": {"type": "object"},
}
DECIDES = ("messages", "model", "parameters", "answer_schema")


def test_keys_are_those_of_earlier_releases():
    """Another value here orphans every answer and vector that anybody has."""
    asked = answer_key(*(QUESTION[name] for name in DECIDES))
    long = ClipContent("r" * 64, 0.5, 12.0, seed=1)
    short = ClipContent("r" * 64, 0.5, 12.0)
    assert asked == "27aff374d5a7846b1c6f08aa289fb75f131ad752cfe378b0bafbbe69296e317d"
    assert long.key("crop_random", ENCODER) == (
        "9b5c590bc646506d2a8b00bcda7aba747a6968e30451bec90e325a847ec230c0"
    )
    assert short.key("zero_pad", ENCODER) == (
        "1febc323fa998ef50c2c24cb5f9824df2a6e889bf5fba2a7e21db2e694f64c2c"
    )
    assert (long.draw(), short.draw()) == (11454687576414974497, 4685467528832236676)
    assert text_key("open door", ENCODER) == (
        "d3e0f36283ea0ba000bcbe495dba119d12314a2e9d76b3833c60e6e3bf1a14a0"
    )


def test_what_a_question_is_called_and_how_it_travels_is_no_part_of_its_key():
    key = Question(**QUESTION).key
    for name, other in {"text_id": "u", "text": "x", "variant": "y"}.items():
        assert Question(**{**QUESTION, name: other}).key == key
    assert Question(**QUESTION, texts_per_request=9).key == key
    for name in DECIDES:
        other = type(QUESTION[name])([*QUESTION[name]][:0]) if name != "model" else "n"
        assert Question(**{**QUESTION, name: other}).key != key
