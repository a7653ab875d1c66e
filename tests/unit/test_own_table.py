"""Benchmarks of the user's own (adapter `table`)."""

import pandas as pd
import pytest
from support.benchmark_files import settings_for, write_csv
from support.media_files import noise, write_audio

from assets.benchmarks.adapters import read_annotations, source_version
from assets.benchmarks.annotation_files import AnnotationError
from assets.benchmarks.clips import build_clips
from assets.benchmarks.queries import build_captions, build_relevance
from assets.benchmarks.recordings import media_inventory

CLOTHO = {
    "columns": {"clip_id": "file_name", "media": "file_name"},
    "texts": ["caption_1", "caption_2"],
}


def own(base, rows, pairs=None, **given):
    """Settings of one own benchmark, its table written as CSV."""
    table = write_csv(base / "own.csv", list(rows[0]), rows)
    benchmark = {"adapter": "table", "clips": str(table), **given}
    if pairs is not None:
        columns = ["caption_id", "clip_id", "relevance"]
        benchmark["relevance"] = str(write_csv(base / "pairs.csv", columns, pairs))
    return settings_for(base, {"own": benchmark}, media=[f"{base}/media/{{video_id}}"])


def row(clip_id, media="a.wav", start_s="0.5", stop_s="1.5", text="a dog barks", **cells):
    return {
        "clip_id": clip_id,
        "media": media,
        "start_s": start_s,
        "stop_s": stop_s,
        "text": text,
        **cells,
    }


def test_whole_files_with_several_captions(tmp_path):
    write_audio(tmp_path / "media" / "a dog.wav", noise(2.0))
    rows = [
        {"file_name": "a dog.wav", "caption_1": "dog barks", "caption_2": "a bark"},
        {"file_name": "gone.wav", "caption_1": "rain", "caption_2": ""},
    ]
    settings = own(tmp_path, rows, **CLOTHO)
    annotations = read_annotations(settings, "own")
    clips = build_clips(settings, annotations, media_inventory(settings, annotations))
    clips = clips.set_index("clip_id")
    assert clips.loc["a dog.wav", ["start_s", "stop_s", "shortened"]].tolist() == [0.0, 2.0, False]
    assert clips.loc["gone.wav", "reason"] == "missing media"
    captions = build_captions(annotations)
    assert list(captions["caption_id"]) == [
        "a dog.wav|caption_1",
        "a dog.wav|caption_2",
        "gone.wav|caption_1",
    ]
    assert list(captions["clip_id"]) == ["a dog.wav", "a dog.wav", "gone.wav"]
    assert build_relevance(annotations).empty


def test_times_classes_and_pairs(tmp_path):
    rows = [
        row("one", **{"class": "dog"}),
        row("two", start_s="00:00:01.25", stop_s="9", **{"class": "cat"}),
    ]
    pairs = [
        {"caption_id": "one", "clip_id": "two", "relevance": "0.5"},
        {"caption_id": "one", "clip_id": "one", "relevance": "1"},
    ]
    annotations = read_annotations(own(tmp_path, rows, pairs), "own")
    assert list(annotations.clips["start_s"]) == [0.5, 1.25]
    assert list(annotations.clips["verb_class"]) == [1, 0]
    assert list(build_captions(annotations)["caption_id"]) == ["one", "two"]
    assert build_relevance(annotations)["relevance"].tolist() == [1.0, 0.5]


def test_parquet_is_as_good_as_csv(tmp_path):
    rows = [row("one", start_s=0.5, stop_s=1.5), row("two", start_s=2.0, stop_s=3.0, text="rain")]
    from_csv = read_annotations(own(tmp_path, rows), "own")
    pd.DataFrame(rows).to_parquet(tmp_path / "own.parquet")
    given = {"adapter": "table", "clips": str(tmp_path / "own.parquet")}
    from_parquet = read_annotations(settings_for(tmp_path, {"own": given}), "own")
    assert from_parquet.clips.equals(from_csv.clips)
    assert from_parquet.captions.equals(from_csv.captions)


def test_limit_keeps_the_clips_of_kept_pairs(tmp_path):
    rows = [row("one", text="a"), row("two", text="b"), row("three", text="c")]
    pairs = [{"caption_id": "one", "clip_id": "three", "relevance": "1"}]
    settings = own(tmp_path, rows, pairs).model_copy(update={"limit": 1})
    annotations = read_annotations(settings, "own")
    assert list(annotations.clips["clip_id"]) == ["one", "three"]
    assert len(annotations.relevance) == 1


def test_the_pairs_are_part_of_the_version(tmp_path):
    settings = own(
        tmp_path, [row("one")], [{"caption_id": "one", "clip_id": "one", "relevance": 1}]
    )
    version = source_version(settings, "own")
    write_csv(
        tmp_path / "pairs.csv",
        ["caption_id", "clip_id", "relevance"],
        [{"caption_id": "one", "clip_id": "one", "relevance": 0}],
    )
    assert source_version(settings, "own") != version


def test_a_column_by_its_default_name_may_be_absent_even_where_others_are_named(tmp_path):
    rows = [{"name": "one", "media": "a", "text": "b", "start_s": "1", "end": "2"}]
    settings = own(tmp_path, rows, columns={"clip_id": "name", "stop_s": "end"})
    (clip,) = read_annotations(settings, "own").clips.to_dict("records")
    assert (clip["start_s"], clip["stop_s"], clip["verb_class"]) == (1.0, 2.0, None)


def test_a_text_column_is_named_once(tmp_path):
    with pytest.raises(ValueError, match="name each text column once"):
        own(tmp_path, [row("one")], texts=["text", "text"])


@pytest.mark.parametrize(
    ("rows", "pairs", "words", "given"),
    [
        ([row("one", stop_s="soon")], None, ["own.csv", "line 2", "'soon' is no time"], {}),
        ([row("one", start_s="-1")], None, ["line 2", "'-1' is no time"], {}),
        ([row("one", start_s="nan")], None, ["line 2", "'nan' is no time"], {}),
        ([row("one", start_s="2")], None, ["line 2", "not after its start"], {}),
        ([row("one", media="../a.wav")], None, ["line 2", "lead out of its media folder"], {}),
        ([row("one", text="")], None, ["line 2", "nothing to search by"], {}),
        ([row("one"), row("one")], None, ["line 3", "occurs already in line 2"], {}),
        ([{"clip_id": "one", "media": "a"}], None, ["line 1", "column(s) text missing"], {}),
        (
            [{"clip_id": "one", "media": "a", "text": "b", "start_s": "1"}],
            None,
            ["line 1", "column start_s comes with no other"],
            {},
        ),
        (
            [row("one"), row("two")],
            None,
            ["line 1", "column(s) label, begin missing", "the file has clip_id, media, start_s"],
            {"columns": {"start_s": "begin", "sound_class": "label"}},
        ),
        (
            [row("one", **{"class": "dog"}), row("two", **{"class": ""})],
            None,
            ["line 3", "where other clips have a class"],
            {},
        ),
        (
            [row("one")],
            [{"caption_id": "no", "clip_id": "one", "relevance": "1"}],
            ["pairs.csv", "line 2", "caption_id 'no' is none of the table of clips"],
            {},
        ),
        (
            [row("one")],
            [{"caption_id": "one", "clip_id": "one", "relevance": "2"}],
            ["line 2", "'2' is no relevance"],
            {},
        ),
        (
            [row("one")],
            [{"caption_id": "one", "clip_id": "one", "relevance": "1"}] * 2,
            ["line 3", "occurs already in line 2"],
            {},
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path, rows, pairs, words, given):
    with pytest.raises(AnnotationError) as error:
        read_annotations(own(tmp_path, rows, pairs, **given), "own")
    for word in words:
        assert word in str(error.value)


def test_a_parquet_file_that_is_none(tmp_path):
    (tmp_path / "own.parquet").write_bytes(b"PAR1 no")
    given = {"adapter": "table", "clips": str(tmp_path / "own.parquet")}
    with pytest.raises(AnnotationError, match="no Parquet file that can be read"):
        read_annotations(settings_for(tmp_path, {"own": given}), "own")


def test_nobody_is_sent_for_an_official_file_of_their_own_table(tmp_path):
    settings = own(tmp_path, [row("one", stop_s="never")])
    table = settings.benchmarks["own"].clips
    for text in (table.read_text(), "clip_id,media,text\n", "clip_id\n1\n", None):
        table.unlink() if text is None else table.write_text(text)
        with pytest.raises(AnnotationError) as raised:
            read_annotations(settings, "own")
        assert "official" not in str(raised.value)
