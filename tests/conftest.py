"""Fixtures that several test modules share; what they are made of lies in `support`."""

import os

import pytest
from support.command_line import CommandLineRun
from support.sample_project import sample_project

pytest_plugins = ["support.postgres"]


def pytest_configure() -> None:
    """Tests that share the cores with others compute on one thread, and so do their processes.

    Threads that wait for each other do it actively: with two workers on two cores an encoder took
    seven times the processor time, and the other worker waited for it.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory):
    """The sample, run whole. Who changes anything in it puts it back, or works on a copy."""
    return CommandLineRun(sample_project(tmp_path_factory.mktemp("finished") / "project"))
