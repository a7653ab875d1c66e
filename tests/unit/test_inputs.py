"""Which changes make a benchmark's fingerprint another one, and which must not."""

import os
import time
from dataclasses import replace

import pytest
import yaml
from support.sample_project import sample_project

from pipelines import inputs
from pipelines.inputs import fingerprint, unsettled
from resources.config_file import load_settings
from resources.encoders import catalog, mel_statistics
from resources.encoders.laion_clap import LaionClap
from resources.sample import write_sample

BENCHMARK = "epic_mir"


class Project:
    """A sample project whose config and files can be changed."""

    def __init__(self, folder, sample):
        self.folder = folder
        self.config = sample_project(folder, sample)
        (folder / "resources").unlink()
        (folder / "resources" / "sample").mkdir(parents=True)
        for file in ("few_shot/audiocaps.csv", "few_shot/kinetics.csv", "answers.jsonl"):
            target = folder / "resources" / "sample" / file
            target.parent.mkdir(exist_ok=True)
            target.write_text("some content\n")
        self.sources = sample

    @property
    def prints(self):
        settings = load_settings(self.config)
        return {name: fingerprint(settings, name) for name in settings.benchmarks}

    def set(self, **keys):
        raw = yaml.safe_load(self.config.read_text())
        for name, value in keys.items():
            place = raw
            *parents, last = name.split("__")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        self.config.write_text(yaml.safe_dump(raw))

    def edit(self, *path):
        """Change a file's content, size and time."""
        file = self.folder.joinpath(*path)
        with file.open("a") as opened:
            opened.write("\nmore: 1\n" if file.suffix == ".yaml" else "\nmore")

    def prompt(self, name):
        return self.folder / "prompts" / f"{name}.yaml"


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs") / "sources"
    write_sample(folder)
    return folder


@pytest.fixture
def project(tmp_path, sample):
    return Project(tmp_path / "project", sample)


def changed(before, after):
    """The benchmarks whose fingerprint is another one."""
    return {name for name in before if before[name] != after[name]}


ALL = {"epic_mir", "ego_mcq", "epic_sounds"}


def test_asking_twice_gives_the_same(project):
    assert project.prints == project.prints


def test_a_prompt_edited_and_edited_back(project):
    before = project.prints
    file = project.prompt("describe_zero_shot")
    text = file.read_text()
    file.write_text(text.replace("water pours", "water flows"))
    assert changed(before, project.prints) == ALL
    file.write_text(text)
    assert project.prints == before


def test_a_comment_in_a_prompt_file_is_no_edit(project):
    before = project.prints
    file = project.prompt("describe_zero_shot")
    file.write_text(f"# a remark\n{file.read_text()}")
    assert project.prints == before


def test_prompts_that_the_config_does_not_use_do_not_count(project):
    before = project.prints
    project.edit("prompts", "describe_long.yaml")
    (project.folder / "prompts" / "another.yaml").write_text("id: another")
    assert project.prints == before


def test_with_all_prompts_a_new_and_a_deleted_file_count(project):
    for file in (project.folder / "prompts").glob("*.yaml"):
        if file.stem not in ("describe_zero_shot", "grade_informativeness"):
            file.unlink()
    project.set(prompts="all")
    before = project.prints
    text = project.prompt("describe_zero_shot").read_text()
    new = project.prompt("describe_again")
    new.write_text(text.replace("id: describe_zero_shot", "id: describe_again"))
    assert changed(before, project.prints) == ALL
    new.unlink()
    assert project.prints == before


def test_a_prompt_for_one_benchmark_is_an_edit_for_that_one(project):
    before = project.prints
    file = project.prompt("describe_zero_shot")
    file.write_text(f"{file.read_text()}\nbenchmarks: [ego_mcq]\n")
    after = project.prints
    assert changed(before, after) == ALL
    file.write_text(file.read_text().replace("water pours", "water flows"))
    assert changed(after, project.prints) == {"ego_mcq"}


def test_an_invalid_prompt_has_a_fingerprint_of_its_own(project):
    before = project.prints
    project.prompt("describe_zero_shot").write_text("id: [")
    assert changed(before, project.prints) == ALL


def test_a_config_without_the_prompt_is_another_one(project):
    before = project.prints
    project.set(prompts=["describe_few_shot", "grade_informativeness"])
    assert changed(before, project.prints) == ALL


@pytest.mark.parametrize(
    ("path", "concerned"),
    [
        (("annotations", "EPIC_100_retrieval_test.csv"), {"epic_mir"}),
        (("annotations", "egomcq.json"), {"ego_mcq"}),
        (("annotations", "EPIC_Sounds_validation.csv"), {"epic_sounds"}),
        (("recordings", "S01", "S01_01.*"), ALL),
        (("training", "train.csv"), ALL),
        (("training", "*.flac"), ALL),
    ],
)
def test_a_source_that_is_touched_counts_for_who_reads_it(project, path, concerned):
    file = next(project.sources.glob("/".join(path)))
    before, stat = project.prints, file.stat()
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
    try:
        assert changed(before, project.prints) == concerned
    finally:
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert project.prints == before


def test_a_new_recording_counts(project):
    before = project.prints
    new = project.sources / "recordings" / "S01" / "S01_99.wav"
    new.touch()
    try:
        assert changed(before, project.prints) == ALL
    finally:
        new.unlink()


@pytest.mark.parametrize(
    "path",
    [
        ("resources", "sample", "few_shot", "audiocaps.csv"),
        ("resources", "sample", "few_shot", "kinetics.csv"),
        ("resources", "sample", "answers.jsonl"),
        ("prompts", "visual_words.txt"),
    ],
)
def test_shared_files_count_for_all(project, path):
    before = project.prints
    project.edit(*path)
    assert changed(before, project.prints) == ALL


def test_a_sql_file_counts(project, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "SQL_FOLDER", tmp_path / "sql")
    (tmp_path / "sql" / "checks").mkdir(parents=True)
    before = project.prints
    (tmp_path / "sql" / "checks" / "mine.sql").write_text("SELECT 1")
    assert changed(before, project.prints) == ALL


def test_a_code_version_counts(project, monkeypatch):
    before = project.prints
    monkeypatch.setattr(inputs, "CHAIN", inputs.CHAIN[:-1])
    assert changed(before, project.prints) == ALL


def test_a_table_model_of_another_release_counts(project, monkeypatch):
    before = project.prints
    *others, last = inputs.CHAIN
    model = replace(last.models[0], columns=last.models[0].columns[:-1])
    other = replace(last, models=(model, *last.models[1:]))
    monkeypatch.setattr(inputs, "CHAIN", (*others, other))
    assert changed(before, project.prints) == ALL


def test_an_encoders_code_counts_where_it_is_used(project, monkeypatch):
    before = project.prints
    monkeypatch.setattr(LaionClap, "version", LaionClap.version + 1)
    assert project.prints == before
    monkeypatch.setattr(mel_statistics, "VERSION", mel_statistics.VERSION + 1)
    assert changed(before, project.prints) == ALL
    project.set(encoders__clap={"kind": "laion_clap", "checkpoint": "630k-best"})
    before = project.prints
    monkeypatch.setattr(LaionClap, "version", LaionClap.version + 1)
    assert changed(before, project.prints) == ALL


def test_torch_counts_once_it_is_installed(project, monkeypatch):
    project.set(encoders__clap={"kind": "laion_clap", "checkpoint": "630k-best"})
    monkeypatch.setattr(catalog, "has_torch", lambda: False)
    before = project.prints
    monkeypatch.setattr(catalog, "has_torch", lambda: True)
    assert changed(before, project.prints) == ALL


@pytest.mark.parametrize(
    "keys",
    [
        {"seeds": [0, 1]},
        {"metrics__resamples": 500},
        {"few_shot__min_overlap_s": 3.0},
        {"encoders__mel_ridge__ridge": 0.5},
        {"encoders__second": {"kind": "mel_ridge", "train": "outputs/sample/sources/train.csv"}},
        {"language_model": {"provider": "openai", "base_url": "http://127.0.0.1:1/v1"}},
        {"limit": 5},
    ],
)
def test_config_keys_that_decide_a_table_count(project, keys):
    before = project.prints
    project.set(**keys)
    assert changed(before, project.prints) == ALL


def test_a_benchmarks_own_keys_count_for_it_alone(project):
    before = project.prints
    project.set(benchmarks__ego_mcq__silence_rms=0.001)
    assert changed(before, project.prints) == {"ego_mcq"}


def test_the_authors_files_count_for_their_benchmark(project):
    project.set(benchmarks__epic_mir__descriptions_from=["paper_gpt.csv"])
    before = project.prints
    (project.folder / "paper_gpt.csv").write_text("narration_id,narration\n")
    assert changed(before, project.prints) == {"epic_mir"}


@pytest.mark.parametrize(
    ("encoder", "file"),
    [
        (
            {"kind": "laion_clap", "checkpoint": "630k-best"},
            "cache/weights/630k-best.pt",
        ),
        (
            {"kind": "laion_clap", "checkpoint": "630k-best"},
            "cache/weights/roberta-base/merges.txt",
        ),
        (
            {"kind": "wavcaps", "checkpoint": "mine.pt", "vocabulary": "tokens"},
            "tokens/vocab.txt",
        ),
        ({"kind": "wavcaps", "checkpoint": "mine.pt"}, "mine.pt"),
        (
            {"kind": "precomputed", "audio": "clips.npy", "text": "texts.parquet"},
            "clips.csv",
        ),
    ],
)
def test_an_encoders_file_put_there_by_hand_counts(project, encoder, file):
    project.set(cache_dir="cache", encoders__another=encoder)
    before = project.prints
    path = project.folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("weights")
    assert changed(before, project.prints) == ALL


def test_another_benchmark_is_no_edit_of_the_others(project):
    before = project.prints
    raw = yaml.safe_load(project.config.read_text())
    del raw["benchmarks"]["ego_mcq"]
    project.config.write_text(yaml.safe_dump(raw))
    after = project.prints
    assert after == {name: before[name] for name in after}


@pytest.mark.parametrize(
    "keys",
    [
        {"automation": {"nightly": "0 4 * * *", "settle_s": 1, "max_usd_per_change": 9}},
        {"cache_dir": "elsewhere"},
    ],
)
def test_what_decides_no_table_does_not_count(project, keys):
    before = project.prints
    project.set(**keys)
    assert project.prints == before


def test_outputs_do_not_count(project):
    before = project.prints
    lake = load_settings(project.config).lake_dir
    lake.mkdir(parents=True)
    (lake / "clips.parquet").write_text("")
    assert project.prints == before


class TestUnsettled:
    @pytest.fixture(autouse=True)
    def _long_ago(self, project):
        then = time.time() - 60
        for file in [*project.folder.rglob("*"), *project.sources.rglob("*")]:
            os.utime(file, (then, then))

    def names(self, project, benchmark=BENCHMARK):
        return [path.name for path in unsettled(load_settings(project.config), benchmark)]

    def test_what_was_saved_long_ago_is_settled(self, project):
        assert self.names(project) == []

    def test_a_prompt_and_a_config_saved_just_now_are_not(self, project):
        project.prompt("describe_zero_shot").touch()
        project.config.touch()
        assert self.names(project) == ["sample.yaml", "describe_zero_shot.yaml"]

    def test_a_prompt_that_is_not_used_may_be_saved_all_the_time(self, project):
        project.prompt("describe_long").touch()
        assert self.names(project) == []

    @pytest.mark.parametrize(
        "path",
        [
            "annotations/EPIC_100_retrieval_test.csv",
            "recordings/S01/S01_01.*",
            "training/train.csv",
        ],
    )
    def test_a_source_that_is_being_copied_is_waited_for(self, project, path):
        file = next(project.sources.glob(path))
        file.touch()
        assert self.names(project) == [file.name]

    def test_another_benchmarks_file_holds_nothing_up(self, project):
        next(project.sources.glob("annotations/egomcq.json")).touch()
        assert self.names(project) == []
        assert self.names(project, "ego_mcq") == ["egomcq.json"]

    @pytest.mark.parametrize(
        "path", ["prompts/visual_words.txt", "resources/sample/few_shot/audiocaps.csv"]
    )
    def test_word_lists_and_the_few_shot_pool_are_waited_for(self, project, path):
        (project.folder / path).touch()
        assert self.names(project) == [path.rpartition("/")[2]]

    def test_a_time_in_the_future_does_not_hold_anything_up(self, project):
        then = time.time() + 3600
        os.utime(project.prompt("describe_zero_shot"), (then, then))
        assert self.names(project) == []
