"""The listening page: with chosen queries and their sounds inside, or as the server sends it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from markupsafe import Markup

from assets.reports.listening import PAGE_ROWS, Listening, Task
from assets.reports.pages import TEMPLATES, environment, hash_of, write_page
from assets.reports.rankings import TOP, Rankings, sounds_of
from resources.media.decoding import MediaError
from resources.media.excerpts import as_mp3, data_url, read_excerpt
from resources.media.segments import resample
from resources.media.spectrograms import spectrogram
from resources.parallel import on_threads
from resources.settings import Settings
from resources.warehouse import reading

QUERIES = 60
LONGEST_S = 6.0
MOST_BYTES = 18_000_000
"""Of sounds and pictures in one page; queries that would make it larger are left out."""
RATE = 24_000
_SERVER_POLICY = "img-src 'self' data:; media-src blob:; connect-src 'self'"
_DISK_POLICY = "img-src data:; media-src data:"

Sound = dict[str, str]
"""An excerpt in the page: `audio` and `picture` as data URLs, or why it is `missing`."""


def write_listening_page(duckdb_file: Path, settings: Settings, target: Path) -> bool:
    """Write the page of a published file with its sounds inside, unless it is there already.

    Sounds that the page at `target` holds already are taken from it: only new ones are cut.

    Args:
        duckdb_file: what `resources.warehouse.publish` wrote.
        settings: the config it was made with.
        target: the HTML file.

    Returns:
        Whether it was written: False where the page was made from exactly this.

    Raises:
        WarehouseError: the DuckDB file is not there or can't be read.
    """
    with reading(duckdb_file) as connection:
        shown = connection.sql("SELECT kind, name, benchmark, version FROM publication").fetchall()
        listening = Listening(connection, settings.benchmarks)
        made_from = hash_of((shown, settings.name, settings.benchmarks.keys(), QUERIES, LONGEST_S))
        return write_page(
            target,
            made_from,
            lambda: _on_disk(listening, Rankings(connection), settings, made_from, _held(target)),
        )


def server_page(listening: Listening, settings: Settings) -> str:
    """The page that asks its server for queries and sounds."""
    return _page(settings, listening.tasks(), None, "", "")


def _on_disk(
    listening: Listening,
    rankings: Rankings,
    settings: Settings,
    made_from: str,
    held: dict[str, Sound],
) -> str:
    tasks = listening.tasks()
    queries, found = [], []
    # As many of each benchmark from the first: the next one's run adds its own, and cuts no more.
    published = {task.benchmark for task in tasks}
    count = QUERIES * len(published) // len(settings.benchmarks)
    for task, row in listening.chosen(tasks, count):
        result = rankings.found(task, row["encoder"], row["variant"], row["query_id"])
        for clip in sounds_of([result]):
            clip["benchmark"] = task.benchmark
        queries.append(row)
        found.append(result)
    sounds = _sounds(listening, sounds_of(found), held)
    kept = _that_fit(found, sounds)
    embedded = {
        "queries": [{**row, "number": number} for number, row in enumerate(queries[:kept])],
        "found": found[:kept],
        "sounds": {clip["sound"]: sounds[clip["sound"]] for clip in sounds_of(found[:kept])},
    }
    left_out = len(queries) - kept
    note = f"{left_out} more were left out, to keep the page small." if left_out else ""
    return _page(settings, tasks, embedded, made_from, note)


def _page(
    settings: Settings,
    tasks: list[Task],
    embedded: dict[str, Any] | None,
    made_from: str,
    note: str,
) -> str:
    script = (TEMPLATES / "listening.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data = {
        "page_rows": PAGE_ROWS,
        "top": TOP,
        "tasks": [task.data() for task in tasks],
        "embedded": embedded,
    }
    return (
        environment()
        .get_template("listening.html.j2")
        .render(
            name=settings.name,
            is_sample=settings.sample is not None,
            made_from=made_from,
            policy="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
            f"form-action 'none'; script-src 'sha256-{digest}'; "
            f"{_DISK_POLICY if embedded else _SERVER_POLICY}",
            embedded=embedded is not None,
            queries=len(embedded["queries"]) if embedded else 0,
            longest_s=f"{LONGEST_S:g}",
            note=note,
            # No `<` is left in it: nothing that a text says can end the element.
            data=Markup(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")),  # noqa: S704
            script=Markup(script),  # noqa: S704
        )
    )


# ---------------------------------------------------------------------------------- sounds


def _sounds(
    listening: Listening, clips: Iterable[dict[str, Any]], held: dict[str, Sound]
) -> dict[str, Sound]:
    """Every clip's excerpt by its key, which the clip is given as `sound`; equal ones once."""
    shown = list(clips)
    places = {
        benchmark: listening.places(
            benchmark, {clip["clip_id"] for clip in shown if clip["benchmark"] == benchmark}
        )
        for benchmark in sorted({clip["benchmark"] for clip in shown})
    }
    wanted: dict[str, dict[str, Any]] = {}
    for clip in shown:
        place = places[clip["benchmark"]].get(clip["clip_id"], {})
        clip["sound"] = _key(place)
        wanted[clip["sound"]] = place
    sounds = {key: held[key] for key in wanted if key in held}
    new = [(key, place) for key, place in wanted.items() if key not in sounds]
    sounds |= {key: sound for (key, _), sound in on_threads(_sound, new)}
    return sounds


def _key(place: dict[str, Any]) -> str:
    """What decides an excerpt: the recording's content, the time, and how it is cut and drawn."""
    said = [place.get(name) for name in ("content_hash", "start_s", "stop_s")]
    return hashlib.sha256(repr([*said, LONGEST_S, RATE]).encode()).hexdigest()[:16]


def _sound(task: tuple[str, dict[str, Any]]) -> Sound:
    _, place = task
    if not place.get("path"):
        return {"missing": "This clip's recording is not at hand."}
    stop_s = min(place["stop_s"], place["start_s"] + LONGEST_S)
    try:
        excerpt = read_excerpt(Path(place["path"]), place["start_s"], stop_s)
    except MediaError as error:
        return {"missing": str(error)}
    samples = resample(excerpt.samples, excerpt.rate, RATE)
    picture = base64.b64encode(spectrogram(samples, RATE)).decode()
    return {
        "audio": data_url(as_mp3(samples, RATE)),
        "picture": f"data:image/png;base64,{picture}",
    }


def _that_fit(found: list[dict[str, Any]], sounds: dict[str, Sound]) -> int:
    """How many of the results, in order, have room in one page."""
    counted: set[str] = set()
    size = 0
    for number, result in enumerate(found):
        new = {clip["sound"] for clip in sounds_of([result])} - counted
        size += sum(len(text) for key in new for text in sounds[key].values())
        if size > MOST_BYTES:
            return number
        counted |= new
    return len(found)


def _held(target: Path) -> dict[str, Sound]:
    """The sounds of the page that is there, without those that could not be read."""
    if not target.is_file():
        return {}
    page = target.read_text(encoding="utf-8", errors="replace")
    data = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', page, re.S)
    try:
        sounds = json.loads(data[1])["embedded"]["sounds"] if data else {}
    except (ValueError, KeyError, TypeError):
        return {}
    return dict(_whole(sounds))


def _whole(sounds: dict[str, Sound]) -> Iterator[tuple[str, Sound]]:
    for key, sound in sounds.items():
        if set(sound) == {"audio", "picture"}:
            yield key, sound
