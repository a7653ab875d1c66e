"""The page on a benchmark of one's own leads to one: its very table and config, run."""

import pytest
from support.documentation import blocks, shell_commands, words
from support.media_files import noise, write_audio
from typer.testing import CliRunner

from pipelines.cli import app
from resources.config_file import load_settings
from resources.sample.annotations import write_training_list
from resources.sample.recordings import training_recordings, write_recording
from resources.warehouse import query


def of_page(language):
    return [said.text for said in blocks(language) if said.page.name == "own_benchmark.md"]


@pytest.mark.slow
def test_the_example_of_the_page_is_a_benchmark_with_results(tmp_path, monkeypatch):
    config = tmp_path / "configs" / "kitchen.yaml"
    config.parent.mkdir()
    config.write_text(of_page("yaml")[0])
    training = tmp_path / "outputs" / "sample" / "sources" / "training"
    for recording in training_recordings()[:2]:
        write_recording(recording, training)
    write_training_list(training_recordings()[:2], training / "train.csv")
    for name in ("kitchen_a", "kitchen_b"):
        write_audio(tmp_path / "kitchen" / "recordings" / f"{name}.wav", noise(12.0))
    (tmp_path / "kitchen" / "clips.csv").write_text(of_page("csv")[0])
    monkeypatch.chdir(tmp_path)
    for said in shell_commands():
        if said.page.name != "own_benchmark.md" or "kitchen" not in said.text:
            continue
        command = words(said.text)[1:]
        if command[0] == "plan":
            break  # from here on a language model is asked
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, (done.output, done.exception)
    duckdb = load_settings(config).duckdb_file
    rows = query(
        duckdb, "SELECT variant, map_published FROM paper_table_3 WHERE direction = 'mean'"
    )
    assert list(rows["variant"]) == ["visual"]
    assert rows["map_published"].between(0, 100).all()
    assert query(duckdb, "SELECT count(*) AS n FROM paper_table_1")["n"][0] == 0
