"""One result as one file, for a paper: config, prompts, answers, tables and versions.

What it holds is enough to derive every published figure again, elsewhere, without key or network:
`unpack_bundle` lays it out as a project's folder, `verification` does the sums. Folders of the
machine where it was made and secrets stay behind (`portable`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from assets.embeddings.fingerprints import encoder_fingerprints
from assets.reports.portable import TOLD, Portable, portable_config
from assets.reports.provenance import package_versions
from assets.reports.ratings.storage import RatingsFolder
from assets.reports.recompute import result_tables
from assets.reports.report import write_report
from resources.archive import MANIFEST, Manifest, pack, unpack
from resources.config_file import load_settings
from resources.lake import Lake
from resources.language_model.providers import open_ledger
from resources.language_model.recorded import read_recorded, write_recorded
from resources.settings import PROJECT_ROOT, RecordedSettings, Settings
from resources.sql_models import SQL_FOLDER
from resources.table_model import TableModel
from resources.tables import (
    DESCRIPTIONS,
    INFORMATIVENESS,
    PROMPTS,
    TABLES,
)
from resources.warehouse import publish, query

ANSWERS = "answers.jsonl"
_FORMAT = 1

_README = """\
# {name}: one result of Sound Approach

Config, prompts, recorded answers, tables and versions of one result: {benchmarks}. It was made by
`sound-approach bundle make`. With a checkout of the project, installed, two commands lay it out and
derive every figure of its result tables again, from texts and vectors, without key or network:

    sound-approach bundle unpack FILE {name}
    sound-approach bundle verify {name}

After that,

    sound-approach explain --config {name}/configs/{name}.yaml --table TABLE ...

tells what a single figure rests on; `{name}/outputs/{name}/sound_approach.duckdb` takes queries.

| | |
| --- | --- |
| `manifest.json` | every file with its sha256; versions of packages, encoders and tables |
| `configs/{name}.yaml` | all that decides a number; files outside the project by their name |
| `prompts/`, `{answers}` | the prompts, and the answers that the language model gave |
| `tables/` | the result tables as CSV, as they were published |
| `outputs/{name}/lake/` | every table as Parquet, one file a benchmark |
| `outputs/{name}/ratings/` | people's ratings, and the keys of their sheets |
| `constraints.txt` | the packages that the project pins |

Paths of the machine where it was made are shortened in the columns {told}. Recordings and
annotation files are not in it; texts taken from annotations keep their own licences.
"""


class BundleError(ValueError):
    """A bundle can't be made or used; the message says why, and the remedy."""


def make_bundle(settings: Settings, benchmarks: Sequence[str], file: Path) -> Manifest:
    """Pack one published result.

    Args:
        settings: the config; what is published must have been made of it as it is now.
        benchmarks: whose results.
        file: the archive to write.

    Raises:
        BundleError: nothing is published, or the lake has moved on since.
        ArchiveError: the file is there already.
        LanguageModelError: the answers can't be read.
    """
    if not settings.duckdb_file.is_file():
        raise BundleError(f"{settings.duckdb_file} is not there: run first")
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=file.parent) as name:
        folder = Path(name)
        staged = Lake(folder / "outputs" / settings.name / "lake")
        versions = _copy_tables(settings, benchmarks, staged)
        _write_result_tables(settings.duckdb_file, benchmarks, folder / "tables")
        answers = _write_answers(settings, benchmarks, staged, folder / ANSWERS)
        _copy_prompts(settings, staged, folder / "prompts")
        _copy_ratings(settings, folder / "outputs" / settings.name / "ratings")
        config = folder / "configs" / f"{settings.name}.yaml"
        config.parent.mkdir()
        config.write_text(portable_config(settings, ANSWERS), encoding="utf-8")
        shutil.copy(PROJECT_ROOT / "constraints.txt", folder)
        readme = _README.format(
            name=settings.name,
            benchmarks=", ".join(benchmarks),
            answers=ANSWERS,
            told=", ".join(f"`{column}`" for column in TOLD),
        )
        (folder / "README.md").write_text(readme, encoding="utf-8")
        about = {
            "format": _FORMAT,
            "config": settings.name,
            "benchmarks": list(benchmarks),
            "limit": settings.limit,
            "answers": answers,
            "packages": dict(package_versions()),
            "encoders": encoder_fingerprints(settings),
            "tables": versions,
        }
        return pack(folder, file, about)


def unpack_bundle(file: Path, folder: Path) -> Manifest:
    """Lay a bundle out as a project's folder, its DuckDB file and report made of its tables.

    Raises:
        ArchiveError: the file is no bundle or was changed, or the folder is not empty.
    """
    manifest = unpack(file, folder)
    settings = bundled_settings(folder, manifest)
    publish(Lake(settings.lake_dir), SQL_FOLDER, settings.duckdb_file)
    write_report(settings.duckdb_file, settings, settings.report_file)
    return manifest


def bundled_settings(folder: Path, manifest: Manifest) -> Settings:
    """The config of an unpacked bundle.

    Raises:
        BundleError: another release of the project made it.
    """
    if manifest.about.get("format") != _FORMAT:
        raise BundleError(f"{folder / MANIFEST}: made by another release of this project")
    return load_settings(folder / "configs" / f"{manifest.about['config']}.yaml")


def _copy_tables(
    settings: Settings, benchmarks: Sequence[str], staged: Lake
) -> dict[str, dict[str, str]]:
    """Copy the lake's tables, and see to it that they are those that were published.

    Returns:
        By table and benchmark the data version; of a table without benchmarks under `all`.
    """
    lake, portable = Lake(settings.lake_dir), Portable(settings)
    rows = query(settings.duckdb_file, "SELECT name, benchmark, version FROM publication")
    rows = rows.astype(object).where(rows.notna(), None)
    published = {(row.name, row.benchmark): row.version for row in rows.itertuples(index=False)}
    versions: dict[str, dict[str, str]] = {}
    for model in TABLES.values():
        for benchmark in benchmarks if model.partitioned else (None,):
            _copy_table(model, benchmark, lake, staged, portable)
            stamp = staged.stamp(model, benchmark)
            if stamp is None or stamp.data_version != published.get((model.name, benchmark)):
                of = f" of {benchmark}" if benchmark else ""
                raise BundleError(
                    f"the table {model.name}{of} is not what is published: a run is under way, "
                    f"or ended half-way. Run first: {settings.command('run')}"
                )
            versions.setdefault(model.name, {})[benchmark or "all"] = stamp.data_version
    return versions


def _copy_table(
    model: TableModel, benchmark: str | None, lake: Lake, staged: Lake, portable: Portable
) -> None:
    """Copy one table's file as it is, unless it tells of this machine."""
    if not lake.copy(model, benchmark, staged):
        return
    told = [column for column in model.names if column in TOLD]
    if told and staged.stamp(model, benchmark):
        target = staged.path(model, benchmark)
        table = pq.read_table(target, partitioning=None)
        shortened: pa.Table = portable.table(table)
        if shortened is not table:
            pq.write_table(shortened, target, compression="zstd")


def _copy_ratings(settings: Settings, folder: Path) -> None:
    """Copy what the tables of ratings are made from; the pages hold recordings and stay behind."""
    for name, file in RatingsFolder(settings.ratings_dir).files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)


def _write_result_tables(file: Path, benchmarks: Sequence[str], folder: Path) -> None:
    folder.mkdir()
    for name in result_tables():
        rows = query(file, f'SELECT * FROM "{name}"')  # noqa: S608 (our own names)
        chosen = as_text(rows[rows["benchmark"].isin(benchmarks)])
        chosen.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")


def as_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Every cell as text, numbers with all their digits, and nothing where it is empty."""
    cells = rows.astype(object).where(rows.notna(), "")
    return cells.map(str).reset_index(drop=True)


def _write_answers(
    settings: Settings, benchmarks: Sequence[str], lake: Lake, file: Path
) -> dict[str, int]:
    """The answers behind the tables, in the recorded form; how many keys, how many answers."""
    keys = {
        str(key)
        for model in (DESCRIPTIONS, INFORMATIVENESS)
        for benchmark in benchmarks
        for key in lake.read_arrow(model, benchmark)["key"].to_pylist()
    }
    if isinstance(settings.language_model, RecordedSettings):
        known = read_recorded(settings.language_model.answers)
        rows = [known[key] for key in sorted(keys & known.keys())]
    else:
        with open_ledger(settings) as ledger:
            rows = ledger.recorded_rows(keys) if ledger else []
    return {"keys": len(keys), "recorded": write_recorded(file, rows)}


def _copy_prompts(settings: Settings, lake: Lake, folder: Path) -> None:
    folder.mkdir()
    files = {str(name) for name in lake.read_arrow(PROMPTS)["file"].to_pylist()}
    lists = {path.name for path in settings.prompts_folder.glob("*.txt")}
    for name in sorted(files | lists):
        source = settings.prompts_folder / Path(name).name
        if source.is_file():
            shutil.copyfile(source, folder / source.name)
