"""The configs that ship are valid, whatever of their data is at hand."""

from pathlib import Path

import pytest

from assets.descriptions.prompts import load_prompts
from resources.config_file import load_settings
from resources.encoders.catalog import build_encoder
from resources.settings import PROJECT_ROOT

CONFIGS = sorted((PROJECT_ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_a_config_that_ships_is_valid(file, monkeypatch):
    for variable in ("EPIC_VIDEOS", "CLOTHO"):
        monkeypatch.setenv(variable, "/data/of/the/user")
    settings = load_settings(file)
    assert settings.name == file.stem
    assert load_prompts(settings)


@pytest.mark.parametrize("name", ["epic", "clotho"])
def test_every_encoder_of_a_config_that_ships_can_run_where_its_checkpoint_is(name, monkeypatch):
    for variable in ("EPIC_VIDEOS", "CLOTHO"):
        monkeypatch.setenv(variable, "/data/of/the/user")
    settings = load_settings(PROJECT_ROOT / "configs" / f"{name}.yaml")
    encoders = [build_encoder(name, given, Path()) for name, given in settings.encoders.items()]
    fetched = [encoder.published.sha256 is not None for encoder in encoders]
    trusted = [given.trust for given in settings.encoders.values()]
    assert fetched[0], "the first one needs no file brought by hand"
    assert all(one or other for one, other in zip(fetched, trusted, strict=True))


def test_there_is_one_for_each_way_of_running():
    assert {file.stem for file in CONFIGS} >= {"sample", "epic", "clotho"}
