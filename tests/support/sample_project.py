"""A user's project folder in a temporary place: the sample's config, own prompts, outputs."""

import shutil
from pathlib import Path

from resources.config_file import load_settings
from resources.settings import PROJECT_ROOT, Settings


def sample_project(folder: Path, sources: Path | None = None) -> Path:
    """Lay out a folder as a user has it, and return its config.

    The config is the project's own `configs/sample.yaml`; relative paths start at `folder`, so
    prompts can be edited and outputs written there without touching the checkout. `sources` is a
    folder where the sample was written already.
    """
    (folder / "configs").mkdir(parents=True)
    shutil.copytree(PROJECT_ROOT / "prompts", folder / "prompts")
    shutil.copy(PROJECT_ROOT / "configs" / "sample.yaml", folder / "configs")
    (folder / "resources").symlink_to(PROJECT_ROOT / "resources")
    if sources:
        (folder / "outputs" / "sample").mkdir(parents=True)
        (folder / "outputs" / "sample" / "sources").symlink_to(sources)
    return folder / "configs" / "sample.yaml"


def sample_settings(folder: Path) -> Settings:
    """The settings of a new sample project."""
    return load_settings(sample_project(folder))
