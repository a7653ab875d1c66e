"""The asset decorator on real Dagster instances: types before writing, versions, reuse, checks."""

import re

import dagster as dg
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from resources.config_file import load_settings
from resources.lake import Lake
from resources.table_assets.checks import table_check
from resources.table_assets.declared import LakeIOManager, table_asset
from resources.table_assets.stage import Made, ProjectConfig, Stage
from resources.tables import CAPTIONS, MEDIA, text_id

BENCHMARKS = dg.StaticPartitionsDefinition(["mine"])


@pytest.fixture
def project(tmp_path):
    (tmp_path / "answers.jsonl").touch()
    raw = {
        "benchmarks": {"epic_mir": {"clips": "clips.csv", "sentences": "sentences.csv"}},
        "language_model": {"provider": "recorded", "answers": "answers.jsonl"},
        "encoders": {"mel_ridge": {"kind": "mel_ridge", "train": "train.csv"}},
    }
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(raw))
    return ProjectConfig(config_file=str(file))


def recording(video_id="v1", **changes):
    row = {"benchmark": "mine", "video_id": video_id, "path": "v1.flac", "duration_s": 2.0}
    row |= {"sample_rate": 24000, "channels": 1, "content_hash": "c", "usable": True}
    return row | changes


def caption(text):
    return {"benchmark": "mine", "caption_id": text, "text": text, "text_id": text_id(text)}


class Chain:
    """Two tables, the second made from the first; counts how often each was made."""

    def __init__(self, project):
        self.project = project
        self.lake = Lake(project.settings().lake_dir)
        self.rows = [recording()]
        self.complete = True
        self.made = {"media": 0, "captions": 0}
        chain = self

        @table_asset(MEDIA, code_version="1", version=lambda stage: chain.rows)
        def media(stage: Stage) -> Made:
            chain.made["media"] += 1
            return Made(MEDIA.frame(chain.rows), complete=chain.complete)

        @table_asset(CAPTIONS, reads=[MEDIA], code_version="1")
        def captions(stage: Stage) -> pd.DataFrame:
            chain.made["captions"] += 1
            found = stage.table(MEDIA)
            return CAPTIONS.frame([caption(f"clip of {video}") for video in found.video_id])

        self.tables = (media, captions)
        self.checks = []

    def materialize(self, instance, *names):
        """Run all tables with their checks, or those named without any."""
        suites = [check for table in self.tables for check in table.checks(BENCHMARKS)]
        more = [check.definition(BENCHMARKS) for check in self.checks]
        selected = dg.AssetSelection.assets(*names).without_checks() if names else None
        return dg.materialize(
            [*(table.definition(BENCHMARKS) for table in self.tables), *suites, *more],
            selection=selected,
            partition_key="mine",
            instance=instance,
            resources={"project": self.project, "lake": LakeIOManager(project=self.project)},
            raise_on_error=False,
        )


@pytest.fixture
def chain(project):
    return Chain(project)


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def metadata(result, key):
    return result.asset_materializations_for_node(key)[0].metadata


def test_a_table_is_written_with_its_rows_schema_and_version(chain, instance):
    result = chain.materialize(instance)
    assert result.success
    found = metadata(result, "media")
    assert found["dagster/partition_row_count"].value == 1
    assert found["version"].value == chain.lake.stamp(MEDIA, "mine").data_version
    assert chain.lake.read(CAPTIONS, "mine").text.tolist() == ["clip of v1"]
    assert all(check.passed for check in result.get_asset_check_evaluations())


def test_a_run_holds_no_rows_of_what_it_stored(chain, instance):
    """Dagster keeps every output of a run in this process: rows may be millions."""
    result = chain.materialize(instance)
    held = [result.output_for_node(table, output_name=table) for table in ("media", "captions")]
    assert [frame.size for frame in held] == [0, 0]
    assert len(chain.lake.read(CAPTIONS, "mine")) == 1


def test_nothing_is_made_again_while_nothing_changed(chain, instance):
    chain.materialize(instance)
    before = chain.lake.path(MEDIA, "mine").stat().st_mtime_ns
    result = chain.materialize(instance)
    assert chain.made == {"media": 1, "captions": 1}
    assert metadata(result, "media")["reused"].value == 1
    assert chain.lake.path(MEDIA, "mine").stat().st_mtime_ns == before


def test_the_ui_shows_an_overview_links_and_lineage_whether_made_or_kept(chain, instance, project):
    chain.rows = [recording(), recording("v2", usable=False, reason="silent")]
    made, kept = (chain.materialize(instance) for _ in range(2))
    assert chain.made["media"] == 1
    for result in (made, kept):
        found = metadata(result, "media")
        drawn = found["usable, or why not"].value
        assert re.search(r"silent +█+ +1\n", drawn)
        assert re.search(r"usable +█+ +1\n", drawn)
        assert found["file"].value == str(chain.lake.path(MEDIA, "mine"))
        report = project.settings().report_file.as_uri()
        assert found["report"].value == f"{report}#excluded"
        lineage = metadata(result, "captions")["dagster/column_lineage"].value.deps_by_column
        assert (
            dg.TableColumnDep(dg.AssetKey("annotations"), "EPIC_100_retrieval_test.narration")
            in lineage["text"]
        )


def test_an_unchanged_table_stops_the_cascade(chain, instance):
    chain.materialize(instance)
    chain.rows = [dict(chain.rows[0], duration_s=2)]  # another input, the same rows
    chain.materialize(instance)
    assert chain.made["captions"] == 1


def test_an_incomplete_table_is_made_again(chain, instance):
    chain.complete = False
    chain.materialize(instance)
    chain.materialize(instance)
    assert chain.made == {"media": 2, "captions": 1}


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        (recording(usable=None), "never empty"),
        (recording(duration_s=-1.0), "at least 0"),
        (recording(), "repeat the key"),
    ],
)
def test_a_malformed_table_stops_at_its_type_and_is_not_written(
    chain, instance, monkeypatch, row, complaint
):
    frame = MEDIA.frame([recording(), recording("v2")])
    for name in ("usable", "duration_s", "video_id"):
        frame[name] = frame[name].astype(object)
        frame.loc[1, name] = row[name]
    monkeypatch.setattr(MEDIA.__class__, "frame", lambda self, rows: frame)
    result = chain.materialize(instance)
    failure = result.all_events[[e.is_step_failure for e in result.all_events].index(True)]
    assert "DagsterTypeCheckDidNotPass" in failure.step_failure_data.error.cls_name
    assert complaint in failure.step_failure_data.error.message
    assert chain.lake.benchmarks(MEDIA) == []


def test_a_failed_check_stops_what_is_downstream(chain, instance, monkeypatch):
    """A file that another program broke after it was written is found by its check."""
    write = Lake.write

    def break_it(self, model, frame, *rest):
        if model is MEDIA:
            frame = pd.concat([frame, frame])
        return write(self, model, frame, *rest)

    monkeypatch.setattr(Lake, "write", break_it)
    result = chain.materialize(instance)
    assert not result.success
    [verdict] = [check for check in result.get_asset_check_evaluations() if not check.passed]
    assert verdict.asset_key.path == ["media"]
    assert "unique" in verdict.metadata["failures"].value
    assert chain.made["captions"] == 0

    monkeypatch.undo()
    later = chain.materialize(instance, "captions")
    [failure] = [event for event in later.all_events if event.is_step_failure]
    assert "`media` failed its checks" in failure.step_failure_data.error_display_string
    assert chain.made["captions"] == 0
    chain.lake.path(MEDIA, "mine").unlink()
    assert chain.materialize(instance).success
    assert chain.materialize(instance, "captions").success


def test_what_a_blocking_check_found_holds_in_later_runs(chain, instance):
    found = ["v1 must not be here"]

    @table_check(MEDIA, blocking=True)
    def nobody_is_there(stage):
        return found

    chain.checks.append(nobody_is_there)
    assert not chain.materialize(instance).success
    assert not chain.materialize(instance, "captions").success
    assert chain.made["captions"] == 0
    found.clear()
    assert chain.materialize(instance).success


def test_a_table_of_another_release_is_made_again_and_says_so(chain, instance):
    chain.materialize(instance)
    file = chain.lake.path(MEDIA, "mine")
    before = file.read_bytes()
    pq.write_table(pq.read_table(file, partitioning=None).drop_columns("usable"), file)
    result = chain.materialize(instance)
    assert result.success
    assert file.read_bytes() == before
    assert chain.made == {"media": 2, "captions": 1}
    said = [entry.user_message for entry in instance.all_logs(result.run_id)]
    assert any("another release's form" in message for message in said)


def test_settings_of_the_config_resource_are_read_anew(project, tmp_path):
    assert project.settings().seeds == (0,)
    file = tmp_path / "config.yaml"
    file.write_text(file.read_text() + "seeds: [0, 1]\n")
    assert project.settings().seeds == load_settings(file).seeds == (0, 1)
