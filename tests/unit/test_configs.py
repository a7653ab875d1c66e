"""The configs that ship are valid, whatever of their data is at hand."""

import pytest

from assets.descriptions.prompts import load_prompts
from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT

CONFIGS = sorted((PROJECT_ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_config_that_ships_is_valid(file, monkeypatch):
    for variable in ("EPIC_VIDEOS", "CLOTHO"):
        monkeypatch.setenv(variable, "/data/of/the/user")
    settings = load_settings(file)
    assert settings.name == file.stem
    assert load_prompts(settings)


def test_there_is_one_for_each_way_of_running():
    assert {file.stem for file in CONFIGS} >= {"sample", "epic", "clotho"}
