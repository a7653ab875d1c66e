"""When an unattended run fails: finding out why, and telling whoever the config names.

Unattended are runs that the sensor or the schedule asked for; who starts one by hand sees it fail.
A run whose process was killed counts too, as soon as `fail_dead_runs` has found it.
"""

import re
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from pipelines.jobs import PARTITION_TAG, REFRESH
from resources.config_file import SettingsError
from resources.failure_hook import tell
from resources.language_model.server import redact
from resources.settings import OpenAISettings, Settings
from resources.table_assets.stage import ProjectConfig

TOLD_TAG = "sound_approach/on_failure"
"""On a failed run: whether the hook was told of it."""
_STARTED_BY = ("dagster/sensor_name", "dagster/schedule_name")
TICK_S = 10
_CLASS = re.compile(r"^(pipelines|assets|resources)\.[\w.]+: ")
"""The name of an error's class, before what it says."""
_ENDED = "no step failed: its process died, or never came to one"


def root_cause(error: object) -> str:
    """What this project says of an error, without Dagster's wrapping and traceback."""
    while getattr(error, "cause", None) and str(error.cls_name).startswith("Dagster"):  # type: ignore[attr-defined]
        error = error.cause  # type: ignore[attr-defined]
    return _CLASS.sub("", str(getattr(error, "message", error)).strip())


def started_by(run: dg.DagsterRun) -> str | None:
    """The sensor or schedule that asked for a run; None for a run started by a person."""
    return next((run.tags[tag] for tag in _STARTED_BY if tag in run.tags), None)


def failure_message(
    instance: dg.DagsterInstance, settings: Settings, run: dg.DagsterRun, said: str
) -> dict[str, Any]:
    """What is told of a failed run: no times but that of the failure, and nothing secret.

    Args:
        instance: knows the run's events.
        settings: the config.
        run: the one that failed.
        said: Dagster's words, for a run that no step of its own stopped.

    Returns:
        `event, config, benchmark, run_id, started_by, failed_at, step, error, log`; `step` is
        None where the whole run died, `log` is the folder of what its processes wrote.
    """
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    event = failures[0].dagster_event if failures else None
    error = root_cause(event.step_failure_data.error) if event else f"{_ENDED}: {said}"
    model = settings.language_model
    record = instance.get_run_record_by_id(run.run_id)
    ended = datetime.fromtimestamp(record.end_time, UTC) if record and record.end_time else None
    return {
        "event": "run_failed",
        "config": settings.name,
        "benchmark": run.tags.get(PARTITION_TAG),
        "run_id": run.run_id,
        "started_by": started_by(run),
        "failed_at": ended.isoformat(timespec="seconds") if ended else None,
        "step": event.step_key if event else None,
        "error": redact(error, model) if isinstance(model, OpenAISettings) else error,
        "log": str(settings.dagster_home / "storage" / run.run_id),
    }


def tell_of_failure(
    instance: dg.DagsterInstance, settings: Settings, run: dg.DagsterRun, said: str
) -> str | None:
    """Tell the config's hook of an unattended run that failed, once.

    Returns:
        What became of it; None where there is nothing, or nobody, to tell.
    """
    hook = settings.automation.on_failure
    if hook is None or run.job_name != REFRESH or started_by(run) is None or TOLD_TAG in run.tags:
        return None
    model = settings.language_model
    secret = (model.api_key_variable,) if isinstance(model, OpenAISettings) else ()
    message = failure_message(instance, settings, run, said)
    problems = tell(hook, message, settings.base, without=secret)
    outcome = "; ".join(problems) or "told"
    instance.add_run_tags(run.run_id, {TOLD_TAG: outcome})
    return outcome


def failure_told(loaded: Settings) -> dg.SensorDefinition:
    """The sensor that tells of failed runs, on by default.

    Args:
        loaded: the config as it was when definitions were loaded. Whom it names is told where the
            config can't be read now, since a failure is shown to the sensor only once.
    """

    @dg.run_failure_sensor(
        name="failure_told",
        minimum_interval_seconds=TICK_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells the command or webhook under `automation.on_failure:` of every run that "
        "failed and that nobody was watching, once.",
    )
    def sensor(context: dg.RunFailureSensorContext, project: ProjectConfig) -> dg.SkipReason:
        try:
            settings = project.settings()
        except SettingsError as error:
            context.log.warning(f"as the config was when definitions were loaded: {error}")
            settings = loaded
        run = context.dagster_run
        said = context.failure_event.message or "the run failed"
        outcome = tell_of_failure(context.instance, settings, run, said)
        context.log.info(f"run {run.run_id}: {outcome or 'nobody is to be told'}")
        return dg.SkipReason(f"run {run.run_id}: {outcome or 'nobody is to be told'}")

    return sensor
