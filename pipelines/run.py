"""Running the whole graph from the command line: every benchmark through `refresh`, with progress.

The runs are Dagster's own, under the config's persistent home, so that the UI shows them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import dagster as dg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from assets.descriptions.assets import LACKING
from pipelines.definitions import build_definitions
from pipelines.failures import root_cause
from pipelines.instance import prepare_home
from pipelines.jobs import REFRESH, REPORTS
from resources.settings import Settings

COUNTED = ("wanted", "reused", "new", "stale", "orphaned", "failed")
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Lacking:
    """Rows of one table that have no answer.

    Attributes:
        reasons: how many, by why.
        first: the first one's reason in full, where it is known.
        not_asked: how many a run without a change asks again.
        quarantined: how many it does not, because their answers were bad.
    """

    reasons: Counter[str]
    first: str
    not_asked: int
    quarantined: int


@dataclass
class Outcome:
    """What a run did: rows by table and count, or what stopped it.

    Attributes:
        benchmark: its partition; of a run without one, the job's name.
        counts: by table.
        lacking: by table, what has no answer.
        errors: what stopped it.
        interrupted: whether a person did.
    """

    benchmark: str
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    lacking: dict[str, Lacking] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def total(self) -> Counter[str]:
        """Counts over all tables."""
        return sum(self.counts.values(), Counter())

    @property
    def changed(self) -> dict[str, Counter[str]]:
        """Counts of the tables that were not simply kept as they were."""
        return {
            table: counts
            for table, counts in self.counts.items()
            if any(counts[name] for name in COUNTED if name not in ("wanted", "reused"))
        }

    @property
    def computed(self) -> int:
        """Rows that had to be computed."""
        return self.total["new"] + self.total["stale"]


def run_benchmarks(
    settings: Settings,
    benchmarks: Iterable[str],
    console: Console,
    budget_usd: float | None = None,
) -> list[Outcome]:
    """Materialize the graph for each benchmark in turn; a failed one doesn't stop the next.

    Ctrl-C does: the run counts as cancelled, so that nothing starts it again unasked.

    `budget_usd` bounds what all of them may pay together; None: the config's own budget does.
    """
    prepare_home(settings)
    job = build_definitions(settings, budget_usd).resolve_job_def(REFRESH)
    return _run_each(job, list(benchmarks), console)


def run_reports(settings: Settings, console: Console) -> Outcome:
    """Materialize ratings, DuckDB file and report from the tables that are there."""
    prepare_home(settings)
    return _run_each(build_definitions(settings).resolve_job_def(REPORTS), [None], console)[0]


def _run_each(
    job: dg.JobDefinition, benchmarks: Sequence[str | None], console: Console
) -> list[Outcome]:
    columns = (
        TextColumn("[bold]{task.description:<12}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[now]}", style="dim"),
        TimeElapsedColumn(),
    )
    steps = len(job.graph.nodes)
    with dg.DagsterInstance.get() as instance, Progress(*columns, console=console) as progress:
        outcomes: list[Outcome] = []
        for name in benchmarks:
            outcomes.append(_run(job, instance, name, progress, steps))
            if outcomes[-1].interrupted:
                break
        return outcomes


def _run(
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    benchmark: str | None,
    progress: Progress,
    steps: int,
) -> Outcome:
    outcome = Outcome(benchmark or job.name)
    task = progress.add_task(outcome.benchmark, total=steps, now="")
    run_id = str(uuid4())

    def follow(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            progress.update(task, now=entry.user_message)
        elif event.is_step_start:
            progress.update(task, now=(event.step_key or "").replace("_", " "))
        elif event.is_step_success:
            progress.advance(task)
        elif event.is_step_failure and _is_interrupt(event):
            outcome.interrupted = True
            if run := instance.get_run_by_id(run_id):
                instance.report_run_canceling(run)
        elif event.is_step_failure:
            outcome.errors.append(f"{event.step_key}: {root_cause(event.step_failure_data.error)}")
        elif event.is_step_materialization:
            _count(outcome, event.step_materialization_data.materialization)

    instance.add_event_listener(run_id, follow)
    result = job.execute_in_process(
        instance=instance,
        partition_key=benchmark,
        run_id=run_id,
        run_config=_QUIET,
        raise_on_error=False,
    )
    if not (result.success or outcome.errors or outcome.interrupted):
        outcome.errors.append(f"run {run_id} failed before its first step; see the UI")
    ended = "done" if result.success else "[red]failed"
    progress.update(task, now="interrupted" if outcome.interrupted else ended)
    return outcome


def _is_interrupt(failure: dg.DagsterEvent) -> bool:
    source = failure.step_failure_data.error_source
    return source is not None and source.value == "INTERRUPT"


def _count(outcome: Outcome, materialization: dg.AssetMaterialization) -> None:
    table = materialization.asset_key.path[-1]
    numbers = {
        name: value.value
        for name, value in materialization.metadata.items()
        if isinstance(value, dg.IntMetadataValue) and value.value is not None
    }
    outcome.counts[table] = Counter({n: numbers[n] for n in COUNTED if n in numbers})
    reasons = Counter({n[len(LACKING) :]: c for n, c in numbers.items() if n.startswith(LACKING)})
    if reasons:
        first = _first_detail(materialization.metadata["lacking"])
        outcome.lacking[table] = Lacking(
            reasons, first, numbers["not_asked"], numbers["quarantined"]
        )


def _first_detail(lacking: dg.MetadataValue) -> str:
    records = lacking.records if isinstance(lacking, dg.TableMetadataValue) else ()
    return next((str(record.data["detail"]) for record in records), "")
