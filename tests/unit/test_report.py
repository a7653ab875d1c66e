"""The report and the result table: what they say, that they agree with the DuckDB file."""

from __future__ import annotations

import html
import re
import shutil

import pandas as pd
import pytest
from support.lake_fixture import build_lake

from assets.reports import charts
from assets.reports.paper_tables import paper_tables
from assets.reports.report import cell_text, render, write_report
from assets.reports.tables import HEADINGS, interval, number, result_rows, signed
from resources.config_file import load_settings
from resources.lake import Lake
from resources.settings import PROJECT_ROOT
from resources.tables import DESCRIPTIONS, EXCLUSIONS, REQUESTS
from resources.warehouse import WarehouseError, publish, query

SQL_FOLDER = PROJECT_ROOT / "dbt_like_sql"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def duckdb_file(folder):
    publish(build_lake(folder / "lake"), SQL_FOLDER, folder / "published.duckdb")
    return folder / "published.duckdb"


@pytest.fixture(scope="module")
def settings():
    return load_settings(PROJECT_ROOT / "configs" / "sample.yaml")


@pytest.fixture(scope="module")
def page(duckdb_file, settings):
    return render(duckdb_file, settings)


def words(page: str) -> str:
    """The page as its reader sees it: no style, no tags."""
    body = re.sub(r"<(style|svg).*?</\1>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<wbr>", "", re.sub(r"<[^>]+>", " ", body))))


class TestResultTable:
    def test_one_row_per_cell_of_the_headline(self, duckdb_file):
        rows = result_rows(duckdb_file)
        keys = {(r.benchmark, r.encoder, r.variant, r.direction, r.metric) for r in rows}
        assert len(keys) == len(rows) == len(query(duckdb_file, "SELECT * FROM headline_scores"))
        assert all(len(row.cells()) == len(HEADINGS) for row in rows)

    def test_percent_delta_and_note(self, duckdb_file):
        row = next(
            r
            for r in result_rows(duckdb_file)
            if (r.benchmark, r.encoder, r.variant, r.direction)
            == ("epic_mir", "mel_ridge", "plain", "text → audio")
        )
        stored = query(
            duckdb_file,
            "SELECT value, random_floor, queries, candidates FROM scores "
            "WHERE benchmark = 'epic_mir' AND encoder = 'mel_ridge' AND variant = 'plain' "
            "AND direction = 'text_to_audio' AND subset = 'all' AND metric = 'map_published'",
        ).iloc[0]
        assert row.value == pytest.approx(100 * stored["value"])
        assert row.floor == pytest.approx(100 * stored["random_floor"])
        assert (row.queries, row.candidates) == (stored["queries"], stored["candidates"])
        assert row.note == "33 of the benchmark's 9,668 clips"
        visual = next(
            r
            for r in result_rows(duckdb_file)
            if (r.benchmark, r.encoder, r.variant, r.direction)
            == ("epic_mir", "mel_ridge", "visual", "text → audio")
        )
        assert visual.delta is None
        assert row.delta == pytest.approx(row.value - visual.value)

    def test_the_visual_text_comes_first(self, duckdb_file):
        rows = result_rows(duckdb_file)
        variants = [r.variant for r in rows if r.encoder == "mel_ridge"]
        assert variants[::3] == ["visual"] * (len(variants) // 3)

    def test_without_a_file_it_says_what_to_do(self, tmp_path):
        with pytest.raises(WarehouseError, match="materialize"):
            result_rows(tmp_path / "none.duckdb")


@pytest.mark.parametrize(
    ("value", "plain", "with_sign"),
    [
        (3.14, "3.1", "+3.1"),
        (-3.14, "−3.1", "−3.1"),
        (-0.01, "0.0", "+0.0"),
        (float("nan"), "", ""),
        (None, "", ""),
    ],
)
def test_figures_have_one_decimal_and_a_true_minus(value, plain, with_sign):
    assert number(value) == plain
    assert signed(value) == with_sign


def test_interval():
    assert interval(-1.0, 2.25) == "−1.0 to 2.2"
    assert interval(float("nan"), 2.0) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (float("nan"), ""),
        (pd.NA, ""),
        (12345, "12,345"),
        (0.00123, "0.00123"),
        (12.34, "12.3"),
        ("map_published", "mAP"),
        ("free text", "free text"),
    ],
)
def test_cells_of_data_tables(value, text):
    assert cell_text(value) == text


@pytest.fixture(scope="module")
def frames(duckdb_file):
    return {number: query(duckdb_file, f"FROM paper_table_{number}") for number in range(1, 6)}


@pytest.fixture(scope="module")
def tables(frames, duckdb_file):
    published = query(duckdb_file, "FROM published_figures")
    return {table.number: table for table in paper_tables(frames, published)}


class TestPaperTables:
    def test_blocks_are_benchmarks_and_directions(self, tables):
        titles = [block.title for block in tables[1].blocks]
        assert titles == ["epic_mir · text → audio", "epic_mir · audio → text", "epic_mir · mean"]
        assert [block.title for block in tables[2].blocks] == ["ego_mcq"]
        assert all("graded by grade" in block.title for block in tables[4].blocks)

    def test_every_encoder_and_text_has_a_line_with_all_cells(self, tables):
        for table in tables.values():
            for block in table.blocks:
                assert len(block.lines) == 6
                assert all(len(line.cells) == len(table.headings) for line in block.lines)
                assert [line.is_visual for line in block.lines] == [True, False, False] * 2

    def test_levels_stand_in_their_columns(self, tables, duckdb_file):
        stored = query(
            duckdb_file,
            "SELECT map_published FROM paper_table_4 WHERE encoder = 'laion_clap' "
            "AND variant = 'plain' AND direction = 'text_to_audio' AND subset = 'high'",
        )["map_published"][0]
        line = next(
            line
            for line in tables[4].blocks[0].lines
            if (line.encoder, line.variant) == ("laion_clap", "plain")
        )
        assert line.cells[tables[4].headings.index("mAP, high")].value == f"{stored:.1f}"

    def test_sizes_and_notes(self, tables):
        block = tables[1].blocks[0]
        assert block.sizes.startswith("12 queries × 33 candidates")
        assert block.note == "33 of the benchmark's 9,668 clips"
        assert tables[2].blocks[0].sizes == (
            "6 inter-video and 6 intra-video questions, intervals by video (approximate)"
        )
        assert "low: 4 queries" in tables[4].blocks[0].sizes

    def test_known_figures_stand_beside_their_tables(self, tables):
        assert any("10.9" in line and "arXiv 2402.19106" in line for line in tables[1].published)
        assert any("13.8" in line for line in tables[4].published)
        assert not tables[3].published

    def test_a_missing_level_is_a_dash(self, frames, duckdb_file):
        without = {**frames, 4: frames[4][frames[4]["subset"] != "low"]}
        table = paper_tables(without, query(duckdb_file, "FROM published_figures"))[3]
        assert table.blocks[0].lines[0].cells[0].value == "–"


class TestCharts:
    def test_every_chart_has_an_alternative_and_data(self, duckdb_file):
        figure = charts.standing(query(duckdb_file, "FROM headline_scores"))
        assert len(figure.charts) == 12
        for chart in figure.charts:
            assert "Random similarities reach" in chart.alternative
            assert set(chart.data["variant"]) == {"visual", "plain", "with_examples"}
        assert figure.legend == {
            "visual": "series-1",
            "plain": "series-2",
            "with_examples": "series-3",
        }

    def test_a_text_keeps_its_colour_where_the_visual_text_is_not_drawn(self, duckdb_file):
        figure = charts.gain(query(duckdb_file, "FROM lift_over_visual"))
        assert figure.legend == {"plain": "series-2", "with_examples": "series-3"}

    def test_drawings_follow_the_page_colours(self, duckdb_file):
        lift = query(duckdb_file, "FROM lift_over_visual")
        for figure in (
            charts.informativeness(query(duckdb_file, "FROM informativeness_curve")),
            charts.recall(query(duckdb_file, "FROM score_cells")),
            charts.style(query(duckdb_file, "FROM style_against_gain")),
            charts.cost(query(duckdb_file, "FROM cost_by_prompt"), lift),
        ):
            assert figure.charts
            for chart in figure.charts:
                assert "var(--series-" in chart.svg
                assert not re.search(r"#0[1-5]\d{4}", chart.svg)
                assert ' id="' not in chart.svg  # ids of several drawings would collide

    def test_without_rows_a_figure_says_why(self, duckdb_file):
        nothing = query(duckdb_file, "SELECT * FROM headline_scores WHERE false")
        assert charts.standing(nothing).charts == []
        assert charts.standing(nothing).absent


class TestPage:
    def test_it_holds_every_section(self, page):
        assert re.findall(r'id="table-(\d)"', page) == list("12345")
        for anchor in ("standing", "gain", "informativeness", "recall", "style", "cost"):
            assert f'id="figure-{anchor}"' in page
        assert page.count("<svg ") > 30

    def test_it_needs_no_network_and_no_script(self, page):
        assert "<script" not in page
        elsewhere = re.findall(r"(?:src|href)=[\"'](?!#|data:)([^\"']*)", page)
        assert set(elsewhere) == {"listening.html"}, "the page beside it, and nothing else"
        assert "@import" not in page
        assert "url(" not in page
        assert "default-src 'none'" in page
        assert len(page.encode()) < 3_000_000

    def test_figures_are_those_of_the_file(self, page, duckdb_file):
        said = words(page)
        rows = query(
            duckdb_file, "SELECT map_published, map_published_ci_low AS low FROM paper_table_1"
        )
        for row in rows.itertuples():
            assert f"{row.map_published:.1f}" in said
            assert f"{row.low:.1f} to" in said

    def test_the_sample_is_called_one_only_where_it_is(self, duckdb_file, settings, page):
        assert "This is the sample." in page
        other = render(duckdb_file, settings.model_copy(update={"sample": None}))
        assert "This is the sample." not in other

    def test_what_mel_ridge_was_fitted_onto_is_said_where_it_is_shown(
        self, duckdb_file, settings, page
    ):
        assert "mel_ridge was fitted onto sound captions." in words(page)
        assert "no evidence for or against rewriting" in page
        assert "ridge-notice" not in render(
            duckdb_file, settings.model_copy(update={"encoders": {}})
        )

    def test_exclusions_name_reason_and_example(self, page):
        said = words(page)
        assert "digital silence clip_011: every sample is 0" in said
        assert "epic_mir clip 36 33 3" in said

    def test_provenance_has_hashes_and_no_machine_paths(self, page, duckdb_file, folder):
        version = query(duckdb_file, "SELECT version FROM publication WHERE name = 'scores'")
        assert version["version"][1] in page
        assert str(folder) not in page
        assert str(PROJECT_ROOT) not in page

    def test_the_same_inputs_give_the_same_bytes(self, page, duckdb_file, settings, tmp_path):
        shutil.copy(duckdb_file, tmp_path / "copy.duckdb")
        assert render(tmp_path / "copy.duckdb", settings) == page

    def test_texts_can_not_become_markup(self, folder, settings, tmp_path):
        lake = Lake(tmp_path / "lake")
        shutil.copytree(folder / "lake", lake.root)
        texts = lake.read(DESCRIPTIONS, "epic_mir").assign(description=HOSTILE)
        lake.write(DESCRIPTIONS, texts, "epic_mir")
        excluded = lake.read(EXCLUSIONS, "epic_mir").assign(detail=HOSTILE)
        lake.write(EXCLUSIONS, excluded, "epic_mir")
        publish(lake, SQL_FOLDER, tmp_path / "hostile.duckdb")
        page = render(tmp_path / "hostile.duckdb", settings)
        assert HOSTILE not in page
        assert html.escape(HOSTILE) in page

    def test_nothing_made_yet_gives_a_page_that_says_so(self, settings, tmp_path):
        publish(Lake(tmp_path / "nothing"), SQL_FOLDER, tmp_path / "empty.duckdb")
        said = words(render(tmp_path / "empty.duckdb", settings))
        assert "No scores for this table" in said
        assert "No description has been compared" in said
        assert "Nothing was left out." in said

    def test_unpaid_answers_have_no_cost_chart(self, folder, settings, tmp_path):
        lake = Lake(tmp_path / "lake")
        shutil.copytree(folder / "lake", lake.root)
        for benchmark in lake.benchmarks(REQUESTS):
            lake.write(REQUESTS, REQUESTS.frame([]), benchmark)
        publish(lake, SQL_FOLDER, tmp_path / "unpaid.duckdb")
        assert "No request was paid for" in render(tmp_path / "unpaid.duckdb", settings)

    def test_a_page_made_from_the_same_is_left_alone(self, duckdb_file, settings, page, tmp_path):
        target = tmp_path / "report" / "index.html"
        assert write_report(duckdb_file, settings, target)
        assert target.read_text(encoding="utf-8") == page
        before = target.stat().st_mtime_ns
        assert not write_report(duckdb_file, settings, target)
        assert target.stat().st_mtime_ns == before
        other = settings.model_copy(update={"seeds": (0, 1)})
        assert write_report(duckdb_file, other, target)
        assert "0, 1" in target.read_text(encoding="utf-8")

    def test_it_is_written_whole_or_not_at_all(self, duckdb_file, settings, tmp_path):
        target = tmp_path / "report" / "index.html"
        write_report(duckdb_file, settings, target)
        before = target.read_text(encoding="utf-8")
        with pytest.raises(WarehouseError):
            write_report(tmp_path / "none.duckdb", settings, target)
        assert target.read_text(encoding="utf-8") == before
        assert [path.name for path in target.parent.iterdir()] == ["index.html"]
