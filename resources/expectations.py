"""Great Expectations' judgement of a table that was written: its suite, made from the table model.

The dagster-pandas type stops a malformed table before it is written; this judges what lies in the
lake, so that the UI shows a history of verdicts. Importing Great Expectations takes seconds:
a table whose rows were judged already keeps its verdict, without importing it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from resources.lake import Lake
from resources.table_model import Column, TableModel, Used

_BAD_VALUES_SHOWN = 5
_SOURCE = "lake"


@dataclass(frozen=True)
class Verdict:
    """What Great Expectations said of one version of a table's rows."""

    data_version: str
    suite: str
    expectations: int
    failures: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every expectation was met."""
        return not self.failures


def judge(lake: Lake, model: TableModel, benchmark: str | None, verdicts: Path) -> Verdict:
    """The verdict on a stored table, from memory where these very rows have passed before.

    What failed is judged again: the file may have been mended.

    Args:
        lake: where the table lies.
        model: the table.
        benchmark: its partition, if it has any.
        verdicts: the folder in which verdicts are remembered.
    """
    stamp = lake.stamp(model, benchmark)
    memory = verdicts / model.name / f"{benchmark or 'all'}.json"
    suite = json.dumps(_suite(model), sort_keys=True)
    if stamp and memory.exists():
        known = json.loads(memory.read_text())
        same = (known["data_version"], known["suite"]) == (stamp.data_version, suite)
        if same and not known["failures"]:
            return Verdict(stamp.data_version, suite, known["expectations"], ())
    failures = _failures(lake.without_lists(model, benchmark), model)
    version = stamp.data_version if stamp else ""
    verdict = Verdict(version, suite, len(_suite(model)), tuple(failures))
    _write(memory, asdict(verdict))
    return verdict


def remember(
    lake: Lake,
    model: TableModel,
    benchmark: str | None,
    check: str,
    failures: Sequence[str],
    verdicts: Path,
) -> None:
    """Remember what another check found wrong with the rows that are stored now."""
    stamp = lake.stamp(model, benchmark)
    found = {"data_version": stamp.data_version if stamp else "", "failures": list(failures)}
    _write(verdicts / model.name / f"{benchmark or 'all'}.{check}.json", found)


def standing_failures(
    lake: Lake, model: TableModel, benchmark: str | None, verdicts: Path
) -> list[str]:
    """What checks found wrong with the rows that are stored now; rows not judged have none."""
    files = sorted((verdicts / model.name).glob(f"{benchmark or 'all'}.*json"))
    known = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    failed = [verdict for verdict in known if verdict["failures"]]
    stamp = lake.stamp(model, benchmark) if failed else None
    return [
        failure
        for verdict in failed
        if stamp and verdict["data_version"] == stamp.data_version
        for failure in verdict["failures"]
    ]


def _write(memory: Path, verdict: Mapping[str, Any]) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    temporary = memory.with_name(f".{memory.name}.{os.getpid()}")
    temporary.write_text(json.dumps(verdict, indent=1), encoding="utf-8")
    temporary.replace(memory)


def _suite(model: TableModel) -> list[tuple[str, dict[str, Any]]]:
    """The expectations of a table, by Great Expectations' class names."""
    suite: list[tuple[str, dict[str, Any]]] = [
        ("ExpectTableColumnsToMatchOrderedList", {"column_list": model.names})
    ]
    for column in model.columns:
        suite += _column_expectations(column)
    if len(model.key) == 1:
        suite.append(("ExpectColumnValuesToBeUnique", {"column": model.key[0]}))
    else:
        suite.append(("ExpectCompoundColumnsToBeUnique", {"column_list": list(model.key)}))
    return suite + (_row_expectations(model.used) if model.used else [])


def _column_expectations(column: Column) -> list[tuple[str, dict[str, Any]]]:
    name = {"column": column.name}
    found: list[tuple[str, dict[str, Any]]] = []
    if not column.nullable:
        found.append(("ExpectColumnValuesToNotBeNull", name))
    if column.allowed is not None:
        found.append(("ExpectColumnValuesToBeInSet", {**name, "value_set": list(column.allowed)}))
    if column.minimum is not None or column.maximum is not None:
        limits = {"min_value": column.minimum, "max_value": column.maximum}
        found.append(("ExpectColumnValuesToBeBetween", {**name, **limits}))
    if column.length is not None:
        found.append(("ExpectColumnValuesToBeInSet", {**name, "value_set": [column.length]}))
    return found


def _row_expectations(used: Used) -> list[tuple[str, dict[str, Any]]]:
    """What columns of one row are to one another; cell by cell, such rows look sound."""
    yes, no = _where(used.flag, True), _where(used.flag, False)
    return [
        ("ExpectColumnValuesToBeNull", {"column": used.reason, **yes}),
        ("ExpectColumnValuesToNotBeNull", {"column": used.reason, **no}),
        *(("ExpectColumnValuesToNotBeNull", {"column": name, **yes}) for name in used.filled),
        *(("ExpectColumnPairValuesAToBeGreaterThanB", _pair(*pair) | yes) for pair in used.after),
    ]


def _where(flag: str, value: bool) -> dict[str, Any]:
    """The rows that an expectation speaks of, as Great Expectations' own form of a condition."""
    comparison = {"type": "comparison", "operator": "==", "parameter": value}
    return {"row_condition": {**comparison, "column": {"name": flag}}}


def _pair(late: str, early: str) -> dict[str, Any]:
    return {"column_A": late, "column_B": early, "ignore_row_if": "either_value_is_missing"}


def _failures(frame: pd.DataFrame, model: TableModel) -> list[str]:
    context = _context()
    import great_expectations as gx

    suite = gx.ExpectationSuite(
        name=model.name,
        expectations=[getattr(gx.expectations, kind)(**given) for kind, given in _suite(model)],
    )
    try:
        batch = (
            context.data_sources.add_pandas(_SOURCE)
            .add_dataframe_asset(model.name)
            .add_batch_definition_whole_dataframe("all rows")
            .get_batch(batch_parameters={"dataframe": _plain(frame)})
        )
        if batch.validate(suite, result_format="BOOLEAN_ONLY").success:
            return []
        results = batch.validate(suite).results  # now with the rows, which takes longer to find
    finally:
        context.data_sources.delete(_SOURCE)  # a source keeps the rows it was given
    return [_sentence(result) for result in results if not result.success]


@cache
def _context() -> Any:
    """One for all tables that a process judges: to set one up takes as long as to judge a table."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Categories as strings and nullable integers as floats: what its comparisons understand."""
    plain = frame.copy(deep=False)
    for name, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.CategoricalDtype):
            plain[name] = frame[name].astype(object)
        elif isinstance(dtype, pd.Int64Dtype):
            plain[name] = frame[name].astype("float64")
    return plain


def _sentence(result: Any) -> str:
    config = result.expectation_config
    found = {**result.result, **(result.exception_info or {})}
    bad = found.get("partial_unexpected_list") or found.get("observed_value")
    bad = bad or found.get("exception_message", "")
    shown = bad[:_BAD_VALUES_SHOWN] if isinstance(bad, list) else bad
    count = found.get("unexpected_count")
    given = config.kwargs
    pair = [given.get("column_A"), given.get("column_B")]
    where = given.get("column") or given.get("column_list") or pair
    condition = given.get("row_condition")
    if condition:
        where = f"{where} where {condition['column']['name']} is {condition['parameter']}"
    return (
        f"{config.type} on {where}: {count if count is not None else 'all'} rows, such as {shown}"
    )
