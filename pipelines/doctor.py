"""Everything that whoever keeps a config alive wants to know at once: can it run, does it run?"""

import socket
import time
from collections.abc import Iterator
from datetime import datetime

import dagster as dg

from assets.benchmarks.health import absent_files, examine_benchmarks
from assets.descriptions.prompts import PromptError, load_prompts
from assets.embeddings.health import examine_encoders
from assets.reports.assets import incomplete_tables
from pipelines.automation import NOTHING_CHANGED, decide
from pipelines.instance import living_runs
from pipelines.jobs import PARTITION_TAG, REFRESH
from resources.health import (
    Finding,
    examine_disk,
    examine_language_model,
    examine_ledger,
    examine_versions,
    reach_server,
)
from resources.settings import Settings

HEARTBEAT_S = 120.0
"""A daemon whose last sign of life is older than this is down."""
UI_PORT = 3000


def examine(settings: Settings, ask_server: bool) -> list[Finding]:
    """All findings, in the order in which a run would meet them; nothing is changed.

    Args:
        settings: the config.
        ask_server: whether the language model's server is asked for a sign of life.
    """
    benchmarks, clips = examine_benchmarks(settings)
    prompts, models = _prompts(settings)
    pool = [*settings.few_shot.audiocaps, *settings.few_shot.kinetics]
    return [
        *examine_versions(),
        *examine_disk(settings, clips),
        *benchmarks,
        *absent_files(settings, pool, "few-shot pool"),
        prompts,
        *examine_language_model(settings, models),
        *(reach_server(settings) if ask_server else ()),
        *examine_ledger(settings),
        *examine_encoders(settings),
        *_missing_rows(settings),
        *_dagster(settings),
        _loopback(settings),
    ]


def _prompts(settings: Settings) -> tuple[Finding, set[str]]:
    """Whether the prompts can be read, and the models that they name."""
    try:
        prompts = load_prompts(settings)
    except PromptError as error:
        return Finding("prompts", "stops", str(error), "mend them"), set()
    names = ", ".join(prompt.variant for prompt in prompts)
    return Finding("prompts", "ok", names), {prompt.model for prompt in prompts}


def _missing_rows(settings: Settings) -> Iterator[Finding]:
    for benchmark in settings.benchmarks:
        if tables := incomplete_tables(settings, benchmark):
            text = f"{benchmark}: rows are missing from {', '.join(tables)}"
            remedy = "see `exclusions`; the schedule `nightly` asks again, or: sound-approach run"
            yield Finding("tables", "note", text, remedy)


def _dagster(settings: Settings) -> Iterator[Finding]:
    home = settings.dagster_home
    if not (home / "dagster.yaml").exists():
        yield Finding("dagster", "note", "nothing was run yet", settings.command("run"))
        return
    try:
        with dg.DagsterInstance.from_config(str(home)) as instance:
            yield from _daemon(instance, settings)
            for benchmark in settings.benchmarks:
                yield _last_run(instance, settings, benchmark)
    except (dg.DagsterError, OSError, ValueError) as error:
        text = f"{home}: {str(error).splitlines()[0]}"
        yield Finding("dagster", "stops", text, "is its storage there, and dagster.yaml right?")
    for run_id in living_runs(home):
        yield Finding("dagster", "ok", f"run {run_id[:8]} is under way")


def _daemon(instance: dg.DagsterInstance, settings: Settings) -> Iterator[Finding]:
    beats = [beat.timestamp for beat in instance.get_daemon_heartbeats().values()]
    if not beats or time.time() - max(beats) > HEARTBEAT_S:
        last = f", last seen {_when(max(beats))}" if beats else ""
        text = f"no daemon{last}: nothing starts by itself"
        yield Finding("dagster", "note", text, settings.command("ui"))
    else:
        yield Finding("dagster", "ok", f"the daemon is alive ({_when(max(beats))})")
    for state in instance.all_instigator_state():
        if state.status.value == "STOPPED":
            text = f"{state.instigator_name} is turned off"
            yield Finding("dagster", "note", text, "Automation in the UI turns it on")


def _last_run(instance: dg.DagsterInstance, settings: Settings, benchmark: str) -> Finding:
    filters = dg.RunsFilter(job_name=REFRESH, tags={PARTITION_TAG: benchmark})
    records = instance.get_run_records(filters, limit=1)
    reason = decide(instance, settings, benchmark).reason
    if not records:
        return Finding("dagster", "note", f"{benchmark}: never run", settings.command("run"))
    run = records[0].dagster_run
    when = _when(records[0].end_time or records[0].create_timestamp.timestamp())
    text = f"{benchmark}: {run.status.value.lower()} {when}; {reason}"
    if reason == NOTHING_CHANGED or not run.is_finished:
        return Finding("dagster", "ok", text)
    remedy = settings.command("run") if run.is_success else f"see run {run.run_id[:8]} in the UI"
    return Finding("dagster", "note", text, remedy)


def _loopback(settings: Settings) -> Finding:
    """Whether the UI can listen where it does unless told otherwise."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", UI_PORT))
        except OSError:
            text = f"127.0.0.1:{UI_PORT} is taken: by this UI, or by something else"
            return Finding("loopback", "note", text, settings.command("ui --port 3001"))
    return Finding("loopback", "ok", f"127.0.0.1:{UI_PORT} is free for the UI")


def _when(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp).astimezone().strftime("%Y-%m-%d %H:%M")
