"""`sound-approach listen`: the listening page over all queries of the published result.

It answers GET on loopback names only, and reads no file but the DuckDB file and the recordings
that it names for usable clips. Every answer reads the file as it is published then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.reports.listening import TABS, Listening, ListeningError, Task, Wanted
from assets.reports.listening_page import server_page
from assets.reports.rankings import Rankings
from resources.media.decoding import MediaError
from resources.media.excerpts import Excerpt, as_flac, read_excerpt
from resources.media.spectrograms import spectrogram
from resources.settings import Settings
from resources.tables import LEVELS
from resources.warehouse import WarehouseError, reading

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

LOOPBACK = "127.0.0.1"
LONGEST_S = 60.0
"""Of a clip, what is sent at most."""
_MOST_PAGES = 1_000_000
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def listening_app(settings: Settings, benchmarks: list[str]) -> Starlette:
    """The server's application (ASGI).

    Args:
        settings: names the DuckDB file.
        benchmarks: those whose queries and clips are served.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Route

    server = _Server(settings, benchmarks)
    answers: dict[str, Callable[[Request], Response]] = {
        "/": server.page,
        "/queries": server.queries,
        "/found": server.found,
        "/sound": server.sound,
        "/spectrogram": server.spectrogram,
    }
    # A foreign site that points its name at this machine is told apart by the Host it asks for.
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"])
    return Starlette(
        routes=[Route(path, answer, methods=["GET"]) for path, answer in answers.items()],
        middleware=[hosts],
        exception_handlers={
            ListeningError: _problem(404),
            MediaError: _problem(404),
            ValueError: _problem(400),
            WarehouseError: _problem(503),
        },
    )


def serve(settings: Settings, benchmarks: list[str], port: int) -> None:
    """Serve on loopback until Ctrl-C.

    Raises:
        OSError: the port is taken.
    """
    import uvicorn

    uvicorn.run(
        listening_app(settings, benchmarks),
        host=LOOPBACK,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
    )


class _Server:
    """One method an address; each reads the published file anew."""

    def __init__(self, settings: Settings, benchmarks: list[str]) -> None:
        self._settings = settings
        self._benchmarks = benchmarks

    @contextmanager
    def _published(self) -> Iterator[tuple[Listening, Rankings]]:
        with reading(self._settings.duckdb_file) as connection:
            yield Listening(connection, self._benchmarks), Rankings(connection)

    def page(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse

        with self._published() as (listening, _):
            return HTMLResponse(server_page(listening, self._settings), headers=_HEADERS)

    def queries(self, request: Request) -> Response:
        given = request.query_params
        tab, level = given.get("tab", "all"), given.get("level", "")
        if tab not in TABS or level not in ("", *LEVELS):
            raise ListeningError(f"there is no tab {tab!r}, or no level {level!r}")
        with self._published() as (listening, _):
            task = _task(listening, given.get("task", ""))
            wanted = Wanted(
                encoder=given.get("encoder", ""),
                variant=given.get("variant") or None,
                level=level,
                words=given.get("words", "")[:200],
                tab=tab,
                page=min(max(int(given.get("page", 0)), 0), _MOST_PAGES),
            )
            return _json(listening.queries(task, wanted))

    def found(self, request: Request) -> Response:
        given = request.query_params
        with self._published() as (listening, rankings):
            task = _task(listening, given.get("task", ""))
            variant = given.get("variant") or None
            return _json(
                rankings.found(task, given.get("encoder", ""), variant, given.get("query", ""))
            )

    def sound(self, request: Request) -> Response:
        return _media(as_flac(self._excerpt(request)), "audio/flac")

    def spectrogram(self, request: Request) -> Response:
        excerpt = self._excerpt(request)
        return _media(spectrogram(excerpt.samples, excerpt.rate), "image/png")

    def _excerpt(self, request: Request) -> Excerpt:
        """The excerpt of a usable clip; what the address names is looked up, never a path."""
        benchmark, clip_id = (request.query_params.get(name, "") for name in ("benchmark", "clip"))
        with self._published() as (listening, _):
            clip = listening.places(benchmark, [clip_id]).get(clip_id)
        if clip is None:
            raise ListeningError(f"{benchmark!r} has no usable clip {clip_id!r}")
        stop_s = min(clip["stop_s"], clip["start_s"] + LONGEST_S)
        return _cut(clip["path"], clip["content_hash"], clip["start_s"], stop_s)


@lru_cache(maxsize=32)
def _cut(path: str, content_hash: str, start_s: float, stop_s: float) -> Excerpt:
    """An excerpt, kept for a while: it is drawn first, and then played."""
    return read_excerpt(Path(path), start_s, stop_s)


def _task(listening: Listening, key: str) -> Task:
    for task in listening.tasks():
        if task.key == key:
            return task
    raise ListeningError(f"nothing of {key!r} was scored")


def _json(content: dict[str, Any]) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(content, headers=_HEADERS)


def _media(content: bytes, kind: str) -> Response:
    from starlette.responses import Response

    return Response(
        content, media_type=kind, headers={**_HEADERS, "Cache-Control": "private, max-age=3600"}
    )


def _problem(status: int) -> Callable[[Request, Exception], Response]:
    """Says what is wrong, as the page shows it."""

    def answer(request: Request, error: Exception) -> Response:
        from starlette.responses import JSONResponse

        return JSONResponse({"error": str(error)}, status_code=status, headers=_HEADERS)

    return answer
