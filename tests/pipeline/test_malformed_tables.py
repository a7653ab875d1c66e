"""The assets that ship stop a malformed table at its type: it is not written, nothing follows."""

import dagster as dg
import pandas as pd
import pytest
import yaml
from support.benchmark_files import clip_row, epic_mir
from support.media_files import noise, write_audio

from assets.benchmarks import assets as declared
from resources.lake import Lake
from resources.table_assets.declared import LakeIOManager
from resources.table_assets.stage import ProjectConfig
from resources.tables import CAPTIONS, CLIPS, MEDIA

BENCHMARK = "epic_mir"
PARTITIONS = dg.StaticPartitionsDefinition([BENCHMARK])


@pytest.fixture
def project(tmp_path):
    write_audio(tmp_path / "P01_11.wav", noise(4.0))
    config = {
        "benchmarks": {BENCHMARK: epic_mir(tmp_path, [clip_row("P01_11_0"), clip_row("P01_11_1")])},
        "media": ["{video_id}.wav"],
        "language_model": {"provider": "recorded", "answers": "answers.jsonl"},
        "encoders": {"mel_ridge": {"kind": "mel_ridge", "train": "train.csv"}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return ProjectConfig(config_file=str(tmp_path / "config.yaml"))


def materialize(project):
    """Media, clips and captions, as the graph declares them."""
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [
                table.definition(PARTITIONS)
                for table in (declared.media, declared.clips, declared.captions)
            ],
            partition_key=BENCHMARK,
            instance=instance,
            resources={"project": project, "lake": LakeIOManager(project=project)},
            raise_on_error=False,
        )


def with_null(frame):
    frame["usable"] = frame["usable"].astype(object)
    frame.loc[0, "usable"] = None
    return frame


@pytest.mark.parametrize(
    ("maker", "spoil", "broken", "complaint", "written"),
    [
        ("media_inventory", with_null, MEDIA, "never empty", {"captions"}),
        (
            "build_captions",
            lambda frame: pd.concat([frame, frame], ignore_index=True),
            CAPTIONS,
            "repeat the key",
            {"media", "clips"},
        ),
        (
            "build_clips",
            lambda frame: frame.assign(loudness=0.5),
            CLIPS,
            "not those of the table model",
            {"media", "captions"},
        ),
    ],
)
def test_a_malformed_table_is_not_written(
    project, monkeypatch, maker, spoil, broken, complaint, written
):
    plain = getattr(declared, maker)
    monkeypatch.setattr(declared, maker, lambda *given: spoil(plain(*given)))
    result = materialize(project)
    [failed] = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == broken.name
    assert "DagsterTypeCheckDidNotPass" in failed.step_failure_data.error.cls_name
    assert complaint in failed.step_failure_data.error.message
    lake = Lake(project.settings().lake_dir)
    there = {model.name for model in (MEDIA, CLIPS, CAPTIONS) if lake.benchmarks(model)}
    assert there == written
    monkeypatch.undo()
    assert materialize(project).success
