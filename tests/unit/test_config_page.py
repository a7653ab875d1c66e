"""The page of config keys in docs/ says what the settings say, and says something of every key."""

from typing import get_args

import pytest
from pydantic import BaseModel

from resources.config_page import PAGE, SECTIONS, config_page, meanings
from resources.settings import Settings


def test_the_page_is_up_to_date():
    page = PAGE.read_text(encoding="utf-8")
    assert page == config_page(), "run python -m resources.config_page"


@pytest.mark.parametrize("title", SECTIONS)
def test_every_key_has_a_meaning(title):
    model = SECTIONS[title]
    assert meanings(model).keys() == model.model_fields.keys()


def test_every_part_of_a_config_has_a_section():
    found, waiting = {Settings}, [Settings]
    for model in waiting:
        parts = [field.annotation for field in model.model_fields.values()]
        for part in parts:
            parts += get_args(part)
            if isinstance(part, type) and issubclass(part, BaseModel) and part not in found:
                found.add(part)
                waiting.append(part)
    assert found == set(SECTIONS.values())
