"""Edits as in `test_any_edit`, through Dagster's own runs: its declarations lose and add nothing.

Great Expectations and the publication have tests of their own and are left out here.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support.edits import EDIT, Edit, apply
from support.tiny_world import BENCHMARK, Crash, Project, World

from pipelines import definitions
from pipelines.jobs import REFRESH
from resources import expectations
from resources.tables import TABLES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Runs:
    """Runs of `refresh` on a project, all tables of it, in this process."""

    def __init__(self, project: Project, instance: dg.DagsterInstance) -> None:
        self.project = project
        self.instance = instance

    def run(self) -> bool:
        """Run the job; whether it succeeded."""
        settings = self.project.settings()
        settings.dagster_home.mkdir(parents=True, exist_ok=True)
        with pytest.MonkeyPatch.context() as patch, self.project.fakes(settings):
            patch.setattr(definitions, "CHAIN", self.project.chain())
            patch.setattr(expectations, "_failures", lambda frame, model: [])
            job = definitions.build_definitions(settings).resolve_job_def(REFRESH)
            with suppress(Crash, dg.DagsterExecutionInterruptedError):
                return job.execute_in_process(
                    instance=self.instance,
                    partition_key=BENCHMARK,
                    asset_selection=[dg.AssetKey(name) for name in TABLES],
                    run_config=QUIET,
                    raise_on_error=False,
                ).success
        return False

    def versions(self) -> dict[str, str]:
        """Each table's last DataVersion, as Dagster has it."""
        records = self.instance.get_asset_records([dg.AssetKey(name) for name in TABLES])
        found = {}
        for record in records:
            last = record.asset_entry.last_materialization
            tags: Mapping[str, str] = last.asset_materialization.tags if last else {}
            found[record.asset_entry.asset_key.path[-1]] = tags.get("dagster/data_version", "")
        return found


@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=[*HealthCheck])
@given(st.lists(EDIT, min_size=2, max_size=4))
def test_twenty_sequences(edits: list[Edit]) -> None:
    with TemporaryDirectory() as folder, dg.DagsterInstance.ephemeral() as instance:
        project = Project(Path(folder))
        runs, worlds = Runs(project, instance), [World()]
        for edit in edits:
            worlds.append(apply(edit, worlds))
            project.write(worlds[-1])
            if edit.kind == "crash":
                project.crash = (edit.of, edit.to)
            elif edit.run:
                runs.run()
        project.crash = None
        assert runs.run()
        wanted = set().union(*(world.wanted()["answers"] for world in worlds))
        assert set(project.spent["answers"]) <= wanted
        assert project.differences_to_a_fresh_start() == []

        versions, spent = runs.versions(), {kind: len(of) for kind, of in project.spent.items()}
        assert runs.run()
        assert runs.versions() == versions
        assert {kind: len(of) for kind, of in project.spent.items()} == spent


def test_a_table_that_comes_out_the_same_keeps_its_version(tmp_path: Path) -> None:
    """Another class changes what follows from classes, and nothing that is asked or embedded."""
    project = Project(tmp_path)
    with dg.DagsterInstance.ephemeral() as instance:
        runs = Runs(project, instance)
        project.write(World())
        assert runs.run()
        before = runs.versions()
        project.write(apply(Edit("class", "c0", "door"), [World()]))
        assert runs.run()
        after = runs.versions()
    changed = {name for name, version in after.items() if version != before[name]}
    assert changed >= {"clips", "captions", "query_scores", "scores", "comparisons"}
    assert changed.isdisjoint(
        {"media", "descriptions", "informativeness", "audio_embeddings", "text_embeddings"}
    )
