"""What Dagster's UI shows of a table: columns and their origins, first rows, small charts."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from resources.column_origins import ANNOTATION_COLUMNS, ANNOTATIONS, column_origins, traced
from resources.sql_models import Lineage
from resources.table_assets.frame_types import value_rules
from resources.table_model import ColumnType, TableModel

PREVIEW_ROWS = 10
OWNERS = ["team:sound-approach"]

_UI_TYPES: dict[ColumnType, str] = {
    "label": "string",
    "strings": "list<string>",
    "ints": "list<int>",
    "vector": "list<float32>",
}


def column_schema(model: TableModel) -> dg.TableSchema:
    """The columns as Dagster's UI shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=_UI_TYPES.get(column.type, column.type),
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, other=value_rules(column)
                ),
            )
            for column in model.columns
        ]
    )


def annotations_spec() -> dg.AssetSpec:
    """The benchmarks' own files: nothing here makes them, and columns lead back to theirs."""
    columns = [dg.TableColumn(name, description=text) for name, text in ANNOTATION_COLUMNS.items()]
    return dg.AssetSpec(
        ANNOTATIONS,
        description="The benchmarks' own files, as their authors published them: what the config "
        "names under `benchmarks:`.",
        group_name="benchmarks",
        owners=OWNERS,
        kinds={"csv", "json"},
        metadata={"dagster/column_schema": dg.TableSchema(columns)},
    )


def as_metadata(frame: pd.DataFrame) -> dg.MetadataValue:
    """A small frame as a table in the UI."""
    records = [
        dg.TableRecord({str(name): _cell(value) for name, value in row.items()})
        for row in frame.to_dict("records")
    ]
    return dg.MetadataValue.table(records) if records else dg.MetadataValue.text("none")


def lineage(model: TableModel) -> dg.TableColumnLineage:
    """Which columns of other tables each column comes from, as the UI draws it."""
    return dg.TableColumnLineage(
        {
            column: [dg.TableColumnDep(dg.AssetKey(name), origin) for name, origin in origins]
            for column, origins in column_origins(model.name).items()
        }
    )


def lineage_in_words(name: str, models: Lineage) -> dg.MetadataValue:
    """Where columns come from as a table of text, since not every edition of the UI draws it."""
    lines = [
        f"| {column} | {', '.join(made_from)} | {', '.join(annotations)} |"
        for column, made_from, annotations in traced(name, models)
    ]
    head = "| column | made from | annotation columns behind it |\n| --- | --- | --- |\n"
    return dg.MetadataValue.md(head + "\n".join(lines))


def shown(value: Any) -> Any:
    """A value of an overview as the UI can show it: frames as tables, numbers as bars."""
    if isinstance(value, pd.DataFrame):
        return as_metadata(value)
    return bars(value) if isinstance(value, Mapping) else value


def bars(values: Mapping[str, float]) -> dg.MetadataValue:
    """Numbers by name as a small chart of characters, which the UI draws wherever it shows text."""
    if not values:
        return dg.MetadataValue.text("none")
    width = max(map(len, values))
    largest = max(*values.values(), 0) or 1
    lines = [
        f"{name:<{width}}  {'█' * round(24 * max(value, 0) / largest):<24} {value:>9,.4g}"
        for name, value in values.items()
    ]
    return dg.MetadataValue.md("```\n" + "\n".join(lines) + "\n```")


def preview(frame: pd.DataFrame, schema: dg.TableSchema) -> dg.MetadataValue:
    """The first rows, vectors and long texts shortened."""
    records = [
        dg.TableRecord(
            {name: _cell(value) for name, value in zip(map(str, frame.columns), row, strict=True)}
        )
        for row in frame.head(PREVIEW_ROWS).itertuples(index=False)
    ]
    return dg.MetadataValue.table(records, schema=schema)


def _cell(value: Any) -> str | int | float | bool:
    if isinstance(value, (np.ndarray, list)):
        text = str(list(value[:8]))
    elif pd.isna(value):
        return ""
    elif isinstance(value, (bool, int, float)):
        return value
    else:
        text = str(value)
    return text if len(text) <= 120 else text[:119] + "…"
