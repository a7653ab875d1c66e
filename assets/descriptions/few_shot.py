"""The few-shot pool: clips that Kinetics describes by eye and AudioCaps by ear (method 7.1).

Pairs are joined in SQL by video and time. A pair that would teach the wrong thing stays in the
table with its reason. `select_examples` draws from the kept ones, always the same for a seed.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from resources.downloads import Progress
from resources.settings import PROJECT_ROOT, FewShotSettings, Settings
from resources.sources import ensure
from resources.tables import FEW_SHOT_EXAMPLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

AUDIOCAPS_CLIP_S = 10.0
"""AudioCaps gives starts only: its clips last ten seconds, as AudioSet's do."""

_ADVICE = "\n\n"
"""DuckDB's errors go on with advice on its own options after an empty line."""

_CELLS = "read_csv($file, header = true, all_varchar = true)"

AUDIOCAPS_COLUMNS = {"youtube_id": "VARCHAR", "start_time": "DOUBLE", "caption": "VARCHAR"}
KINETICS_COLUMNS = {
    "label": "VARCHAR",
    "youtube_id": "VARCHAR",
    "time_start": "DOUBLE",
    "time_end": "DOUBLE",
}

_OVERLAP_SQL = """
SELECT k.youtube_id,
       k.label AS visual_text,
       a.caption AS audio_caption,
       greatest(0, max(least(k.time_end, a.start_time + $clip_s)
                       - greatest(k.time_start, a.start_time))) AS overlap_s,
       count(*) AS joined_rows
FROM kinetics k JOIN audiocaps a USING (youtube_id)
GROUP BY ALL
ORDER BY ALL
"""

OPPOSITES = (
    (r"open(s|ed|ing)?", r"clos(es|ed|ing)|shut(s|ting)?"),  # "close" is mostly "close by"
    (r"start(s|ed|ing)?", r"stop(s|ped|ping)?"),
    (r"fill(s|ed|ing)?", r"empt(y|ies|ied|ying)|drain(s|ed|ing)?"),
    (r"lock(s|ed|ing)?", r"unlock(s|ed|ing)?"),
    (r"inflat(e|es|ed|ing)", r"deflat(e|es|ed|ing)"),
    (r"turn(s|ed|ing)? on", r"turn(s|ed|ing)? off"),
)
"""Words for an action and its reverse: a label with one and a caption with only the other clash."""


class FewShotError(ValueError):
    """The pool's files can't be used, or the pool is too small; says which and what to do."""


@dataclass(frozen=True)
class Example:
    """One few-shot example: what was seen, and what was heard."""

    visual_text: str
    audio_caption: str


def build_few_shot_examples(settings: FewShotSettings, visual_words: Sequence[str]) -> pd.DataFrame:
    """The overlap of Kinetics and AudioCaps with a verdict on each pair.

    Args:
        settings: the annotation files; either list may be empty, and then the pool is.
        visual_words: words that speak of what is seen; a caption with one is rejected.

    Returns:
        FEW_SHOT_EXAMPLES: one row a distinct pair; `overlap_s` is 0 where the two clips of
        a video do not share any time.

    Raises:
        FewShotError: a file is missing, or lacks a column; the message names both.
    """
    pairs = join_annotations(settings)
    if pairs.empty:
        return FEW_SHOT_EXAMPLES.frame([])
    rows: list[Any] = pairs.drop(columns="joined_rows").to_dict("records")
    for row in rows:
        row["reason"] = _reject(
            row["visual_text"], row["audio_caption"], row["overlap_s"], settings, visual_words
        )
        row["kept"] = row["reason"] is None
    return FEW_SHOT_EXAMPLES.frame(rows)


def fetch_few_shot_files(settings: Settings, progress: Progress | None = None) -> None:
    """See to it that official files of the pool are at their places; own files are left alone.

    Raises:
        SourceError: one is not there and can't be fetched.
    """
    for file in (*settings.few_shot.audiocaps, *settings.few_shot.kinetics):
        ensure(file, settings.cache_dir, progress)


def join_annotations(settings: FewShotSettings) -> pd.DataFrame:
    """Every distinct pair of a label and a caption of the same video.

    Returns:
        `youtube_id, visual_text, audio_caption, overlap_s, joined_rows`. A pair is one row however
        many lists repeat it (`joined_rows`), with its longest overlap.
    """
    columns = ["youtube_id", "visual_text", "audio_caption", "overlap_s", "joined_rows"]
    if not settings.audiocaps or not settings.kinetics:
        return pd.DataFrame(columns=columns)
    import duckdb

    _check_files(settings)
    with duckdb.connect() as connection:
        _load(connection, "audiocaps", settings.audiocaps, AUDIOCAPS_COLUMNS)
        _load(connection, "kinetics", settings.kinetics, KINETICS_COLUMNS)
        return connection.execute(_OVERLAP_SQL, {"clip_s": AUDIOCAPS_CLIP_S}).df()[columns]


def select_examples(
    pool: pd.DataFrame, count: int, seed: int, order: Literal["selection", "random"] = "selection"
) -> tuple[Example, ...]:
    """Draw a diverse few from the kept pairs: each next one is the least like those before it.

    The same pool and seed always give the same examples, whatever order the rows come in.

    Args:
        pool: FEW_SHOT_EXAMPLES.
        count: how many.
        seed: which pair comes first, and how ties and `random` order fall.
        order: as they were selected, or shuffled.

    Raises:
        FewShotError: fewer pairs are kept than asked for.
    """
    kept = pool[pool["kept"].astype(bool)] if len(pool) else pool
    pairs: list[tuple[str, str]] = sorted(
        set(zip(kept["visual_text"], kept["audio_caption"], strict=True))
    )
    if len(pairs) < count:
        raise FewShotError(
            f"{count} few-shot examples are wanted and the pool keeps {len(pairs)} of {len(pool)} "
            "pairs. Name more AudioCaps and Kinetics files under `few_shot:` in the config "
            "(the paper uses Kinetics-700-2020), or lower the prompt's `examples.count`."
        )
    rank = {pair: hashlib.sha256(f"{seed}|{pair}".encode()).hexdigest() for pair in pairs}
    words = {pair: set(re.findall(r"[a-z]+", " ".join(pair).lower())) for pair in pairs}
    chosen = [min(pairs, key=rank.__getitem__)]
    nearest = {pair: _likeness(words[pair], words[chosen[0]]) for pair in pairs}
    while len(chosen) < count:
        taken = set(chosen)
        following = min((p for p in pairs if p not in taken), key=lambda p: (nearest[p], rank[p]))
        chosen.append(following)
        for pair in pairs:
            nearest[pair] = max(nearest[pair], _likeness(words[pair], words[following]))
    if order == "random":
        random.Random(seed).shuffle(chosen)
    return tuple(Example(*pair) for pair in chosen)


def find_visual_words(text: str, visual_words: Sequence[str]) -> list[str]:
    """Which of the words (or phrases) stand in a text as whole words, in the list's order."""
    folded = " ".join(re.findall(r"[a-z']+", text.lower()))
    return [word for word in visual_words if f" {word} " in f" {folded} "]


def read_word_list(path: Path) -> tuple[str, ...]:
    """A list of words that users edit; where there is none, the project's list of that name.

    One word or phrase a line; `#` starts a comment.
    """
    own = path if path.is_file() else PROJECT_ROOT / "prompts" / path.name
    lines = (line.split("#")[0].strip().lower() for line in own.read_text("utf-8").splitlines())
    return tuple(line for line in lines if line)


def _check_files(settings: FewShotSettings) -> None:
    missing = [
        f"{file}: no such file. It is named under `few_shot.{name}:`."
        for name in ("audiocaps", "kinetics")
        for file in getattr(settings, name)
        if not file.is_file()
    ]
    if missing:
        raise FewShotError("\n".join(missing))


def _load(
    connection: DuckDBPyConnection, name: str, files: Sequence[Path], columns: dict[str, str]
) -> None:
    """Read CSV files into a temporary table, columns by name; an error names the file."""
    import duckdb

    declared = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    chosen = ", ".join(f'CAST("{column}" AS {kind})' for column, kind in columns.items())
    empty = " OR ".join(f'"{column}" IS NULL' for column in columns)
    connection.execute(f"CREATE TEMP TABLE {name} ({declared})")
    for file in files:
        source = {"file": str(file)}
        try:
            connection.execute(
                f"INSERT INTO {name} SELECT {chosen} FROM {_CELLS}",  # noqa: S608 names of ours
                source,
            )
            bad = connection.execute(
                f"SELECT count(*), min(row) FROM (SELECT *, row_number() OVER () AS row "  # noqa: S608
                f"FROM {_CELLS}) WHERE {empty}",
                source,
            ).fetchone()
        except duckdb.Error as error:
            raise FewShotError(
                f"{file}: not a CSV with the columns {', '.join(columns)}, as `few_shot.{name}:` "
                f"needs it: {str(error).split(_ADVICE)[0]}"
            ) from error
        if bad and bad[0]:
            raise FewShotError(
                f"{file}: {bad[0]:,} row(s) with an empty {' or '.join(columns)}, first row "
                f"{bad[1]:,} below the header. `few_shot.{name}:` needs them all: fill them in, or "
                f"take the rows out."
            )


def _reject(
    label: str,
    caption: str,
    overlap_s: float,
    settings: FewShotSettings,
    visual_words: Sequence[str],
) -> str | None:
    """Why a pair must not teach, or None."""
    if overlap_s < settings.min_overlap_s:
        return "no overlap in time" if overlap_s <= 0 else "too little overlap in time"
    if seen := find_visual_words(caption, visual_words):
        return f"caption speaks of what is seen: {', '.join(seen)}"
    for one, other in OPPOSITES:
        for here, there in ((one, other), (other, one)):
            if _has(label, here) and _has(caption, there) and not _has(caption, here):
                return "caption contradicts the label's direction"
    return None


def _has(text: str, words: str) -> bool:
    return re.search(rf"\b({words})\b", text.lower()) is not None


def _likeness(one: set[str], other: set[str]) -> float:
    """Jaccard similarity of two sets of words."""
    return len(one & other) / len(one | other) if one | other else 1.0
