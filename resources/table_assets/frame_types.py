"""The dagster-pandas types of table models, which stop a malformed table before it is written."""

from typing import Any

import dagster as dg
import pandas as pd
from dagster_pandas import PandasColumn, create_dagster_pandas_dataframe_type
from dagster_pandas.constraints import (
    ColumnConstraint,
    ColumnConstraintViolationException,
    ConstraintViolationException,
    DataFrameConstraint,
)

from resources.table_assets.stage import Kept
from resources.table_model import Column, TableModel


class _Rule(ColumnConstraint):
    """One column's rule, from its model: nulls, allowed values, range."""

    def __init__(self, column: Column) -> None:
        super().__init__(_rule_text(column), _rule_text(column))
        self.column = column

    def validate(self, dataframe: pd.DataFrame, column_name: str) -> None:
        """Raise if the column breaks its rule; the message names the first bad row."""
        values = dataframe[column_name]
        bad = _broken(values, self.column)
        if bad.any():
            row = int(bad.to_numpy().argmax())
            raise ColumnConstraintViolationException(
                constraint_name="table model",
                constraint_description=f"{self.column.name}: {_rule_text(self.column)}; "
                f"{int(bad.sum())} rows break it, first row {row}: {values.iloc[row]!r}",
                column_name=column_name,
            )


def _broken(values: pd.Series, column: Column) -> pd.Series:
    empty = values.isna()
    bad = pd.Series(False, index=values.index) if column.nullable else empty
    if column.allowed is not None:
        bad = bad | (~values.isin(column.allowed) & ~empty)
    if column.minimum is not None:
        bad = bad | (values < column.minimum).fillna(False).astype(bool)
    if column.maximum is not None:
        bad = bad | (values > column.maximum).fillna(False).astype(bool)
    if column.length is not None:
        bad = bad | (values[~empty].map(len) != column.length).reindex(
            values.index, fill_value=False
        )
    return bad


def _rule_text(column: Column) -> str:
    """All that a column's values keep to, in words."""
    rules = [] if column.nullable else ["never empty"]
    return "; ".join(rules + value_rules(column)) or "any value"


def value_rules(column: Column) -> list[str]:
    """What a column's values keep to, beyond being there, in words."""
    rules = []
    if column.allowed is not None:
        rules.append("one of " + ", ".join(column.allowed))
    if column.minimum is not None:
        rules.append(f"at least {column.minimum:g}")
    if column.maximum is not None:
        rules.append(f"at most {column.maximum:g}")
    if column.length is not None:
        rules.append(f"{column.length} items")
    return rules


class _UniqueKey(DataFrameConstraint):
    """Rows differ in their table's key, and columns are the model's."""

    def __init__(self, model: TableModel) -> None:
        rule = f"key {', '.join(model.key)}"
        super().__init__(rule, rule)
        self.model = model

    def validate(self, dataframe: pd.DataFrame) -> None:
        """Raise if columns differ from the model's, or a key occurs twice."""
        if list(dataframe.columns) != self.model.names:
            raise ConstraintViolationException(
                f"{self.model.name}: columns {list(dataframe.columns)} are not "
                f"those of the table model: {self.model.names}"
            )
        twice = dataframe.duplicated(subset=list(self.model.key))
        if twice.any():
            row = dataframe.loc[twice, list(self.model.key)].iloc[0].to_dict()
            raise ConstraintViolationException(
                f"{self.model.name}: {int(twice.sum())} rows repeat the key of another, first {row}"
            )


def pandas_type(model: TableModel) -> dg.DagsterType:
    """The dagster-pandas type that stops a malformed table before it is written.

    A table that stays as it was stored passed it then.
    """
    of_frames = create_dagster_pandas_dataframe_type(
        name=f"{model.name}_table",
        description=model.description,
        columns=[
            PandasColumn(column.name, constraints=[_Rule(column)]) for column in model.columns
        ],
        dataframe_constraints=[_UniqueKey(model)],
    )

    def check(context: dg.TypeCheckContext, value: Any) -> dg.TypeCheck:
        if isinstance(value, Kept):
            return dg.TypeCheck(success=True)
        return of_frames.type_check(context, value)

    return dg.DagsterType(check, name=of_frames.key, description=of_frames.description)
