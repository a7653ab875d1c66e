"""When things run by themselves: one sensor, one schedule, both asking the same question.

The question is level-triggered: is what is wanted now what the last run of `refresh` was made
from? Nothing is remembered but the runs themselves and the fingerprint that each tagged itself
with, so an edit made while everything was down, a failed run, a revert, a new or a deleted file
need no case of their own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

import dagster as dg
from pydantic import PrivateAttr

from assets.descriptions.prompts import PromptError, load_prompts
from assets.reports.assets import incomplete_tables, is_whole, outdated_tables
from pipelines.history import keep_connections, keep_connections_of
from pipelines.inputs import fingerprint, unsettled
from pipelines.instance import fail_dead_runs, show_alive
from pipelines.jobs import PARTITION_TAG, REFRESH
from pipelines.spending import allow
from resources.cache_users import register
from resources.config_file import SettingsError
from resources.settings import Settings
from resources.table_assets.stage import ProjectConfig

INPUTS_TAG = "sound_approach/inputs"
"""The fingerprint of what a run read when it started."""
ASKED_TAG = "sound_approach/asked_for"
"""The fingerprint for which the sensor asked for a run."""
CHANGED_TAG = "sound_approach/changed_meanwhile"
"""On a run during which its inputs were edited, edited back or not: it may have read either."""
BUDGET_TAG = "sound_approach/budget_usd"
"""What a run may spend on answers at most: set by the sensor, or by hand in the launchpad."""
PAID_TAG = "sound_approach/paid_before_usd"
"""What the ledger had paid in all when the sensor asked for a run."""
TICK_S = 10
FAILURES_BEFORE_WAITING = 4
RUNS_LOOKED_AT = 50
"""Among a benchmark's last runs those of everything count; the others say nothing of the whole."""
NOTHING_CHANGED = "nothing has changed"


class TaggedProject(ProjectConfig):
    """The config resource; through it each run says that it is alive, and what it starts from."""

    _bound_usd: float | None = PrivateAttr(default=None)
    _started_from: str | None = PrivateAttr(default=None)

    def settings(self) -> Settings:
        """The config as it is now, under the bound that the run's tag sets."""
        return super().settings().bounded(self._bound_usd)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Tag the run, however it was launched, before its first step reads anything."""
        run = context.run
        if run is None or context.instance is None:
            return
        if BUDGET_TAG in run.tags:
            self._bound_usd = _usd(run.tags[BUDGET_TAG])
        settings = self.settings()
        show_alive(settings.dagster_home, run.run_id)
        keep_connections()
        keep_connections_of(context.instance)
        register(settings)
        benchmark = run.tags.get(PARTITION_TAG)
        self._started_from = None
        if benchmark and run.job_name == REFRESH and is_whole(run):
            self._started_from = fingerprint(settings, benchmark)
            context.instance.add_run_tags(run.run_id, {INPUTS_TAG: self._started_from})

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Tag the run if its inputs were edited while it went on: before its end is reported."""
        if context.run is None or context.instance is None or self._started_from is None:
            return
        if self._changed_meanwhile(context.run.tags[PARTITION_TAG]):
            context.instance.add_run_tags(context.run.run_id, {CHANGED_TAG: "yes"})

    def _changed_meanwhile(self, benchmark: str) -> bool:
        """Whether inputs are other ones than at the start, or were while a table was made."""
        try:
            settings = self.settings()
            if fingerprint(settings, benchmark) != self._started_from:
                return True
            return bool(outdated_tables(settings, benchmark))
        except (ValueError, OSError):  # a file can't be read: the run, which needs it, says why
            return True


def _usd(tag: str) -> float:
    """The bound that a person, or the sensor, wrote into a run's tag."""
    try:
        usd = float(tag)
    except ValueError:
        usd = math.nan
    if not 0 <= usd < math.inf:
        raise SettingsError(
            f"the run's tag {BUDGET_TAG} is {tag!r}: give it an amount of USD, such as 0.50, or "
            "launch the run without it"
        )
    return usd


@dataclass(frozen=True)
class Decision:
    """Whether to start `refresh` for one benchmark, and why (not).

    Attributes:
        wanted: the fingerprint of what is wanted now.
        paid_before: what the ledger had paid before each of the last runs that the sensor asked
            for and that wanted the same, newest first.
        untagged: the newest run, where it was cancelled before it came to say what it starts from.
    """

    start: bool
    reason: str
    wanted: str = ""
    paid_before: tuple[float, ...] = ()
    untagged: str | None = None


def decide(instance: dg.DagsterInstance, settings: Settings, benchmark: str) -> Decision:
    """Compare what is wanted now with what the last whole runs of a benchmark were made from."""
    filters = dg.RunsFilter(job_name=REFRESH, tags={PARTITION_TAG: benchmark})
    records = instance.get_run_records(filters, limit=RUNS_LOOKED_AT)
    every = [record.dagster_run for record in records]
    runs = [run for run in every if is_whole(run)]
    if not all(run.is_finished for run in (*every[:1], *runs[:1])):
        return Decision(False, "a run is under way")
    wanted = fingerprint(settings, benchmark)
    judged = _judge(runs[:FAILURES_BEFORE_WAITING], wanted)
    untagged = next((run.run_id for run in runs[:1] if _is_cancelled_untagged(run)), None)
    return Decision(*judged, wanted, _paid_before(runs, wanted), untagged)


def _judge(runs: list[dg.DagsterRun], wanted: str) -> tuple[bool, str]:
    """Whether to start a run, given the last ones, newest first; all are finished."""
    if not runs:
        return True, "never run"
    if runs[0].is_success and _is_made_from(runs[0], wanted):
        return False, NOTHING_CHANGED
    why_not = _reason_to_wait(runs, wanted)
    return why_not is None, why_not or "inputs have changed"


def _is_cancelled_untagged(run: dg.DagsterRun) -> bool:
    return run.status == dg.DagsterRunStatus.CANCELED and INPUTS_TAG not in run.tags


def _is_made_from(run: dg.DagsterRun, wanted: str) -> bool:
    return run.tags.get(INPUTS_TAG) == wanted and CHANGED_TAG not in run.tags


def _reason_to_wait(runs: list[dg.DagsterRun], wanted: str) -> str | None:
    """Why another run for the same would be in vain; None if it would not."""
    for_the_same = [wanted in (run.tags.get(INPUTS_TAG), run.tags.get(ASKED_TAG)) for run in runs]
    cancelled = runs[0].status == dg.DagsterRunStatus.CANCELED
    if (cancelled and for_the_same[0]) or _is_cancelled_untagged(runs[0]):
        return "cancelled by a person: waiting for a change"
    failed = [run.status == dg.DagsterRunStatus.FAILURE for run in runs]
    if len(runs) == FAILURES_BEFORE_WAITING and all(for_the_same) and all(failed):
        return f"failed {len(runs)} times (last: {runs[0].run_id}): waiting for a change"
    last = [run for run in runs[:2] if run.is_success and run.tags.get(ASKED_TAG) == wanted]
    if len(last) < 2 or any(_is_made_from(run, wanted) for run in last):
        return None
    if runs[0].tags.get(INPUTS_TAG) == wanted:
        return "inputs changed during two runs for the same: waiting for a change"
    return "runs see other inputs than these definitions do: reload definitions"


def _paid_before(runs: list[dg.DagsterRun], wanted: str) -> tuple[float, ...]:
    tags = takewhile(lambda tags: tags.get(ASKED_TAG) == wanted, (run.tags for run in runs))
    return tuple(float(each[PAID_TAG]) for each in tags if PAID_TAG in each)


def ask(
    instance: dg.DagsterInstance,
    project: ProjectConfig,
    loaded: Settings,
    log: Callable[[str], None],
    missing_too: bool = False,
) -> dg.SensorResult:
    """The run requests that are due now, or the reason why there are none.

    Args:
        instance: knows the runs.
        project: the config as it is now.
        loaded: the config as it was when definitions were loaded.
        log: told why (not), where something starts: Dagster shows no reason then.
        missing_too: whether rows that are missing from a table are a reason as well.
    """
    fail_dead_runs(instance, loaded.dagster_home)
    try:
        settings = project.settings()
        load_prompts(settings)
    except (SettingsError, PromptError) as error:
        return dg.SensorResult(skip_reason=f"The last valid version stays published. {error}")
    notes, requests = _reload_notes(loaded, settings), []
    for benchmark in loaded.benchmarks:
        if benchmark in settings.benchmarks:
            said, request = _ask_for(instance, settings, benchmark, missing_too)
            notes.append(f"{benchmark}: {said}")
            requests += [request] if request else []
    if requests:
        log("; ".join(notes))
        return dg.SensorResult(run_requests=requests)
    return dg.SensorResult(skip_reason="; ".join(notes))


def _reload_notes(loaded: Settings, settings: Settings) -> list[str]:
    """What was edited in the config that only counts once definitions are loaded again."""
    edited = sorted(set(loaded.benchmarks) ^ set(settings.benchmarks))
    notes = [f"reload definitions: the config's benchmarks changed ({edited})"] if edited else []
    if loaded.automation.nightly != settings.automation.nightly:
        notes.append("reload definitions: automation.nightly changed")
    return notes


def _ask_for(
    instance: dg.DagsterInstance, settings: Settings, benchmark: str, missing_too: bool
) -> tuple[str, dg.RunRequest | None]:
    """What is to be said of one benchmark, and the run that is due."""
    decision = decide(instance, settings, benchmark)
    if decision.untagged:  # so that the next change is seen as one
        instance.add_run_tags(decision.untagged, {INPUTS_TAG: decision.wanted})
    start, reason = decision.start, decision.reason
    if missing_too and reason == NOTHING_CHANGED:
        missing = incomplete_tables(settings, benchmark)
        start, reason = bool(missing), f"rows are missing from {', '.join(missing)}"
    if not start:
        return decision.reason, None
    if fresh := unsettled(settings, benchmark):
        return f"{fresh[0].name} was saved just now: next tick", None
    allowed = allow(settings, benchmark, decision.wanted, decision.paid_before)
    if allowed.refusal is not None:
        return allowed.refusal, None
    tags = {INPUTS_TAG: decision.wanted, ASKED_TAG: decision.wanted}
    if allowed.usd is not None:
        tags |= {BUDGET_TAG: f"{allowed.usd:.6f}", PAID_TAG: f"{allowed.paid_usd:.6f}"}
    return reason, dg.RunRequest(partition_key=benchmark, tags=tags)


def inputs_changed(loaded: Settings) -> dg.SensorDefinition:
    """The sensor that notices every edit, on by default."""

    @dg.sensor(
        name="inputs_changed",
        job_name=REFRESH,
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Prompts, config, annotations, media, checkpoints or code changed since the "
        "last run: refresh the benchmarks concerned.",
    )
    def sensor(context: dg.SensorEvaluationContext, project: ProjectConfig) -> dg.SensorResult:
        return ask(context.instance, project, loaded, context.log.info)

    return sensor


def nightly(loaded: Settings) -> dg.ScheduleDefinition:
    """The schedule that asks the same question once a night, and whether rows are missing."""

    @dg.schedule(
        name="nightly",
        job_name=REFRESH,
        cron_schedule=loaded.automation.nightly,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Asks what `inputs_changed` asks, once a night, and refreshes benchmarks whose "
        "tables lack rows too: answers that were not in, or over budget.",
    )
    def schedule(
        context: dg.ScheduleEvaluationContext, project: ProjectConfig
    ) -> list[dg.RunRequest] | dg.SkipReason:
        result = ask(context.instance, project, loaded, context.log.info, missing_too=True)
        return list(result.run_requests or ()) or dg.SkipReason(str(result.skip_reason))

    return schedule
