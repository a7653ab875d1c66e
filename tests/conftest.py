"""Fixtures that several test modules share; what they are made of lies in `support`."""

import pytest
from support.command_line import CommandLineRun
from support.sample_project import sample_project

pytest_plugins = ["support.postgres"]


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """The sample, run whole. Who changes anything in it puts it back, or works on a copy."""
    return CommandLineRun(sample_project(tmp_path_factory.mktemp("finished") / "project"))
