"""The data dictionary: every table and column in words, written from the table models.

Run `python -m resources.data_dictionary` after a change to `tables.py`; a test compares the page in
`docs/` with what the models say.
"""

from __future__ import annotations

from resources.settings import PROJECT_ROOT
from resources.table_model import Column, TableModel, Used
from resources.tables import TABLES

PAGE = PROJECT_ROOT / "docs" / "data_dictionary.md"

_INTRODUCTION = """# Data dictionary

Every table of the lake, and so of the DuckDB file, in the order data flows. Names and columns are a
public contract: people write SQL against them. This page is generated from `resources/tables.py`.
"""


def data_dictionary() -> str:
    """The page, as Markdown."""
    return "\n".join([_INTRODUCTION, *map(_section, TABLES.values())])


def _section(model: TableModel) -> str:
    where = "`<benchmark>.parquet`, one file a benchmark" if model.partitioned else "`all.parquet`"
    lines = [
        f"## `{model.name}`",
        "",
        f"{model.description} Stage: {model.stage}. Stored as {where}. "
        f"Key: {', '.join(f'`{name}`' for name in model.key)}.",
        *(_rules(model.used) if model.used else ()),
        "",
        "| column | type | may be null | meaning |",
        "| --- | --- | --- | --- |",
        *map(_row, model.columns),
        "",
    ]
    return "\n".join(lines)


def _rules(used: Used) -> list[str]:
    """What is checked of a table that also lists what is not used."""
    filled = [f"`{name}` is there" for name in used.filled]
    after = [f"`{late}` is greater than `{early}`" for late, early in used.after]
    where = [f"`{used.reason}` is empty", *filled, *after]
    return ["", f"Where `{used.flag}`: {', '.join(where)}; where not, `{used.reason}` says why."]


def _row(column: Column) -> str:
    meaning = column.description
    if column.allowed:
        meaning += f" One of {', '.join(f'`{value}`' for value in column.allowed)}."
    if column.length:
        meaning += f" {column.length} items."
    kind = "string" if column.type == "label" else column.type
    return f"| `{column.name}` | {kind} | {'yes' if column.nullable else ''} | {meaning} |"


if __name__ == "__main__":
    PAGE.write_text(data_dictionary(), encoding="utf-8")
