"""What `gc` deletes, what it keeps, and when it refuses."""

import os
import time
from datetime import UTC, datetime

import dagster as dg
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from pipelines import instance as home_module
from pipelines.cli import app
from pipelines.instance import show_alive
from pipelines.jobs import PARTITION_TAG
from pipelines.old_runs import old_runs
from pipelines.tidying import TidyingError, survey
from resources.cache_users import register
from resources.config_file import load_settings
from resources.expectations import remember, standing_failures
from resources.garbage import DAY_S
from resources.lake import Lake
from resources.language_model.ledger import Ledger
from resources.language_model.ledger_rows import Intent, Outcome, Verdict
from resources.language_model.question import Question
from resources.tables import AUDIO_EMBEDDINGS, CAPTIONS, DESCRIPTIONS, text_id
from resources.vector_store import VectorStore

ENCODER = "a" * 64
KEYS = [f"{number:064d}" for number in range(10)]


def project(folder, name="mine", benchmarks=("one",), **changes):
    """A config as a user has it; several in one folder share its cache."""
    config = {
        "benchmarks": {b: {"adapter": "table", "clips": f"{b}.csv"} for b in benchmarks},
        "language_model": {"provider": "openai", "base_url": "http://127.0.0.1:9/v1"},
        "encoders": {"mel_ridge": {"kind": "mel_ridge", "train": "train.csv"}},
        **changes,
    }
    file = folder / "configs" / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(config))
    return load_settings(file)


def parts(settings):
    """The folder of the encoder's vectors."""
    return settings.vectors_dir / ENCODER[:24]


def embedded(settings, benchmark, keys):
    """A table of audio embeddings with these keys."""
    rows = [
        {"benchmark": benchmark, "clip_id": str(number), "encoder": "mel_ridge", "seed": 0,
         "crop_rule": "whole", "key": key, "vector": np.ones(4, np.float32)}
        for number, key in enumerate(keys)
    ]  # fmt: skip
    Lake(settings.lake_dir).write(AUDIO_EMBEDDINGS, AUDIO_EMBEDDINGS.frame(rows), benchmark)


def stored(settings, keys=KEYS):
    """Vectors in the store: the first seven in one part, the others in another."""
    store = VectorStore(settings.vectors_dir, ENCODER)
    for some in (keys[:7], keys[7:]):
        store.add(some, np.arange(len(some) * 4, dtype=np.float32).reshape(-1, 4) + 1)
    return store


@pytest.fixture
def settings(tmp_path):
    return project(tmp_path / "project")


def words(settings, *options):
    arguments = ["gc", "--config", str(settings.config_file), *options]
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    return done.output


def test_vectors_that_no_table_holds_go_and_the_others_stay_as_they_were(settings):
    store = stored(settings)
    embedded(settings, "one", KEYS[:2])
    before = store.read(KEYS[:2])
    assert "vectors of encoder aaaaaaaa      8" in words(settings, "--dry-run", "--days", "0")
    assert store.known(KEYS) == set(KEYS)
    words(settings, "--days", "0")
    assert store.known(KEYS) == set(KEYS[:2])
    after = store.read(KEYS)
    assert all(np.array_equal(before[key], after[key]) for key in KEYS[:2])
    assert len(list(parts(settings).glob("part-*"))) == 1
    assert "Nothing to delete." in words(settings, "--days", "0")


def test_young_vectors_stay_and_what_is_left_of_a_part_keeps_its_age(settings):
    store = stored(settings)
    embedded(settings, "one", KEYS[:2])
    assert "Nothing to delete." in words(settings)
    then = time.time() - 40 * DAY_S
    for part in parts(settings).glob("part-*"):
        os.utime(part, (then, then))
    words(settings)
    assert store.known(KEYS) == set(KEYS[:2])
    (part,) = parts(settings).glob("part-*")
    assert part.stat().st_mtime == pytest.approx(then, abs=1)


def test_other_outputs_on_the_same_cache_keep_their_vectors(settings, tmp_path):
    """One beside this one, and one far away that left its name when it ran."""
    store = stored(settings)
    embedded(project(tmp_path / "project", "theirs"), "one", KEYS[:3])
    far = project(tmp_path / "far", "far", cache_dir=str(settings.cache_dir))
    embedded(far, "one", KEYS[3:5])
    register(far)
    words(settings, "--days", "0")
    assert store.known(KEYS) == set(KEYS[:5])


def test_an_output_that_was_deleted_no_longer_counts(settings, tmp_path):
    store = stored(settings)
    gone = project(tmp_path / "project", "gone")
    register(gone)
    words(settings, "--days", "0")
    assert store.known(KEYS) == set()


def test_an_output_on_a_disk_that_is_not_there_stops_it(settings, tmp_path):
    far = project(tmp_path / "far", output=str(tmp_path / "disk/outputs/far"),
                  cache_dir=str(settings.cache_dir))  # fmt: skip
    register(far)
    with pytest.raises(TidyingError, match="mount its disk"):
        survey(settings, 0)


def test_tables_of_benchmarks_that_the_config_no_longer_names(settings, tmp_path):
    store = stored(settings)
    both = project(tmp_path / "project", benchmarks=("one", "two"))
    lake, verdicts = Lake(settings.lake_dir), settings.output / "verdicts"
    for name, keys in (("one", KEYS[:2]), ("two", KEYS[2:])):
        embedded(both, name, keys)
        lake.write(CAPTIONS, CAPTIONS.frame([]), name)
        remember(lake, AUDIO_EMBEDDINGS, name, "a_check", ["bad"], verdicts)
    (settings.lake_dir / "no_longer_a_table").mkdir()
    (settings.lake_dir / "no_longer_a_table" / "one.parquet").write_bytes(b"x")
    settings = project(tmp_path / "project")
    said = words(settings, "--days", "0")
    assert "tables of two                    3" in said
    assert "tables of no benchmark           1" in said
    assert lake.benchmarks(AUDIO_EMBEDDINGS) == lake.benchmarks(CAPTIONS) == ["one"]
    assert not (settings.lake_dir / "no_longer_a_table").exists()
    assert store.known(KEYS) == set(KEYS[:2])
    assert standing_failures(lake, AUDIO_EMBEDDINGS, "one", verdicts) == ["bad"]
    assert [file.name for file in verdicts.rglob("*.json")] == ["one.a_check.json"]


def test_half_written_files_of_writers_that_were_killed(settings):
    embedded(settings, "one", KEYS)
    old, young = (settings.lake_dir / "audio_embeddings" / name for name in ("a.tmp", "b.tmp"))
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert "files of writers that were killed" in words(settings)
    assert not old.exists()
    assert young.exists()


def test_paid_answers_stay_and_are_counted(settings):
    schema = {"type": "object", "properties": {"description": {"type": "string"}}}
    texts = [f"text {number}" for number in range(3)]
    questions = [
        Question(text_id(t), t, "plain", ({"role": "user", "content": t},), "m", {}, schema)
        for t in texts
    ]
    with Ledger.in_folder(settings.cache_dir) as ledger:
        ledger.claim(questions, {})
        for question in questions:
            intent = Intent((question,), "{}", None)
            ledger.intend([intent]).result()
            outcome = Outcome(intent.request_id, "answered", 1, "{}", None, 1, 1, 0.01)
            fields = '{"description": "water runs"}'
            ledger.settle(
                outcome,
                [Verdict(question.key, "answered", fields, "m", "{}", None, None, 1,
                         intent.request_id)],
            ).result()  # fmt: skip
    row = {"benchmark": "one", "text_id": "0" * 16, "variant": "plain", "text": "text 0",
           "description": "water runs", "model": "m", "key": questions[0].key}  # fmt: skip
    Lake(settings.lake_dir).write(DESCRIPTIONS, DESCRIPTIONS.frame([row]), "one")
    assert "2 answers are in no table; they were paid, and stay." in words(settings, "--days", "0")
    with Ledger.in_folder(settings.cache_dir) as ledger:
        assert ledger.answered() == {question.key for question in questions}
        assert ledger.states() == {"answered": 3}


def test_nothing_is_deleted_beside_a_run(settings, tmp_path):
    """Of whichever output relies on the cache."""
    theirs = project(tmp_path / "project", "theirs")
    embedded(theirs, "one", KEYS)
    theirs.dagster_home.mkdir()
    show_alive(theirs.dagster_home, "a-run")
    with pytest.raises(TidyingError, match="run a-run is under way"):
        survey(settings, 0)
    home_module._signs.pop(theirs.dagster_home / "alive" / "a-run.lock").release()
    survey(settings, 0)


def test_a_run_that_started_since_stops_what_is_left_to_delete(settings):
    store = stored(settings)
    embedded(settings, "one", KEYS[:2])
    found = survey(settings, 0)
    settings.dagster_home.mkdir()
    show_alive(settings.dagster_home, "a-run")
    with pytest.raises(TidyingError, match="run a-run is under way"):
        found.delete()
    assert store.known(KEYS) == set(KEYS)
    home_module._signs.pop(settings.dagster_home / "alive" / "a-run.lock").release()
    found.delete()
    assert store.known(KEYS) == set(KEYS[:2])


# ----------------------------------------------------------------------------- old runs


@dg.op
def look():
    pass


@dg.job(name="refresh")
def refresh():
    look()


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for benchmark in ("one", "two"):
            for _ in range(6 if benchmark == "one" else 2):
                refresh.execute_in_process(instance=instance, tags={PARTITION_TAG: benchmark})
    return home


def test_old_runs_go_and_the_last_of_each_benchmark_stay(home):
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert list(old_runs(instance, home, datetime(2020, 1, 1, tzinfo=UTC))) == []
        runs = [record.dagster_run.run_id for record in instance.get_run_records()]
        (garbage,) = old_runs(instance, home, datetime.now(UTC))
        assert garbage.count == 2
        assert garbage.size > 0
        garbage.remove()
    with dg.DagsterInstance.from_config(str(home)) as instance:
        left = [record.dagster_run.run_id for record in instance.get_run_records()]
        assert list(old_runs(instance, home, datetime.now(UTC))) == []
        assert all(instance.all_logs(run_id) for run_id in left)
    assert left == [run for run in runs if run in left]
    assert len(left) == 6
    files = [path.name for path in home.rglob("*")]
    gone = set(runs) - set(left)
    assert not any(run_id in name for run_id in gone for name in files)


def test_runs_of_single_assets_do_not_push_out_what_the_sensor_looks_at(home):
    chosen = frozenset({dg.AssetKey("captions")})
    with dg.DagsterInstance.from_config(str(home)) as instance:
        whole = instance.add_run(dg.DagsterRun("refresh", tags={PARTITION_TAG: "three"}))
        instance.report_run_failed(whole)
        for _ in range(6):
            part = dg.DagsterRun("refresh", tags={PARTITION_TAG: "three"}, asset_selection=chosen)
            instance.report_run_failed(instance.add_run(part))
        (garbage,) = old_runs(instance, home, datetime.now(UTC))
        assert garbage.count == 2 + 2
        garbage.remove()
        assert instance.get_run_by_id(whole.run_id)
