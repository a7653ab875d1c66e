"""What became of the rows that each encoder was to fill; of all encoders, tables and counts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from assets.embeddings.counting import count
from resources.counts import Counts
from resources.encoders.catalog import fused_encoders
from resources.encoders.protocol import Encoder, EncoderUnavailable
from resources.encoders.torch_runtime import lacks_torch
from resources.settings import LateFusionSettings, Settings
from resources.table_model import TableModel


@dataclass(frozen=True)
class EncoderResult:
    """One encoder's rows.

    Attributes:
        rows: of the table, without the benchmark; none where the encoder can't run here.
        exclusions: what has no row, and why.
        made: the keys that were computed now.
        failed: wanted rows that another run may fill, and why the table is not kept as it is. What
            is left out for good (training recordings, vectors that nobody brought) is not counted.
    """

    rows: pd.DataFrame
    exclusions: list[dict[str, Any]] = field(default_factory=list)
    made: Collection[str] = ()
    failed: int = 0


@dataclass(frozen=True)
class Embeddings:
    """The vectors of all encoders, what has none, and what became of the wanted rows."""

    embeddings: pd.DataFrame
    exclusions: pd.DataFrame
    counts: Counts


Fuse = Callable[[str, LateFusionSettings, Mapping[str, EncoderResult]], EncoderResult]


def all_encoders(
    settings: Settings,
    benchmark: str,
    single: Mapping[str, EncoderResult],
    fuse: Fuse,
    models: tuple[TableModel, TableModel],
    previous: pd.DataFrame | None,
) -> Embeddings:
    """One table of all encoders' rows and one of their exclusions, those of fused ones included.

    Args:
        settings: names the fused encoders.
        benchmark: the partition.
        single: the results of the others, by name.
        fuse: makes a fused encoder's rows of its parts'.
        models: of both tables.
        previous: the last of the first table, to tell new from stale rows.
    """
    by_name = dict(single)
    for name, fused in fused_encoders(settings).items():
        absent = [part for part in fused.weights if by_name[part].rows.empty]
        why = EncoderUnavailable("part unavailable", f"{', '.join(absent)} has no vectors here")
        by_name[name] = left_out(name, why) if absent else fuse(name, fused, by_name)
    model, left = models
    rows = [result.rows.assign(benchmark=benchmark) for result in by_name.values()]
    filled = [frame for frame in rows if len(frame)]
    table = model.frame(pd.concat(filled) if filled else [])
    return Embeddings(
        table,
        left.frame(
            {"benchmark": benchmark, **row}
            for result in by_name.values()
            for row in result.exclusions
        ),
        count(
            table,
            previous,
            made={key for result in by_name.values() for key in result.made},
            failed=sum(result.failed for result in by_name.values()),
            item=[name for name in model.key if name != "benchmark"],
        ),
    )


def left_out(name: str, why: EncoderUnavailable, failed: int = 0) -> EncoderResult:
    """The result of an encoder that can't run here."""
    return EncoderResult(pd.DataFrame(), [encoder_exclusion(name, why)], failed=failed)


def encoder_exclusion(name: str, why: EncoderUnavailable) -> dict[str, Any]:
    """Why an encoder can't run here."""
    return exclusion("encoder", name, name, why.reason, why.remedy)


def exclusion(kind: str, item_id: str, encoder: str, reason: str, detail: str) -> dict[str, Any]:
    """Why an encoder has no vector of an item."""
    return {
        "item_kind": kind,
        "item_id": item_id,
        "encoder": encoder,
        "reason": reason,
        "detail": detail,
    }


def failed_rows(encoder: Encoder, rows: int) -> int:
    """How many of the rows that an encoder could not fill another run may fill.

    None where torch is missing: once it is there, encoders' fingerprints tell so.
    """
    return 0 if lacks_torch(encoder) else rows
