"""What can be deleted of one config and of the cache that it shares, and what is in the way."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from pipelines.instance import living_runs
from pipelines.old_runs import old_runs
from resources.cache_users import CacheUser, CacheUserError, cache_users
from resources.garbage import (
    ANSWERS,
    DAY_S,
    Garbage,
    orphaned_vectors,
    stale_tables,
    unfinished_files,
    used_keys,
)
from resources.language_model.providers import open_ledger
from resources.settings import Settings
from resources.vector_store import VectorStoreError


class TidyingError(RuntimeError):
    """Nothing may be deleted now; the message says why, and what to do."""


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        garbage: what can be removed, in this order.
        users: the outputs that rely on the cache.
        elsewhere: what lies in an object store, and is not looked at.
        answers_unused: answers in the ledger that no table of theirs holds; they stay.
    """

    garbage: list[Garbage]
    users: list[CacheUser]
    elsewhere: list[str]
    answers_unused: int

    def delete(self) -> None:
        """Delete what was found, a kind at a time, as long as nobody has started a run since.

        Raises:
            TidyingError: somebody has; what comes after stays.
        """
        for one in self.garbage:
            _stop_if_running(self.users)
            one.remove()


def survey(settings: Settings, days: int) -> Survey:
    """Look through lake, vectors and runs; nothing is deleted.

    Args:
        settings: whose tables and runs; and whose cache, with every output that relies on it.
        days: vectors and runs younger than this stay.

    Raises:
        TidyingError: a run is under way, or an output can't be looked at.
    """
    before = time.time() - days * DAY_S
    try:
        users = cache_users(settings)
        _stop_if_running(users)
        garbage = [
            *stale_tables(settings),
            *orphaned_vectors(settings, users, before),
            *unfinished_files(settings),
            *_old_runs(settings.dagster_home, before),
        ]
    except (CacheUserError, VectorStoreError) as error:
        raise TidyingError(str(error)) from error
    places = {"tables": settings.lake_dir, "vectors": settings.vectors_dir}
    elsewhere = [what for what, address in places.items() if isinstance(address, str)]
    return Survey(garbage, users, elsewhere, _unused_answers(settings, users))


def _stop_if_running(users: list[CacheUser]) -> None:
    """A run may have stored vectors for a table that it has not written yet."""
    for user in users:
        if running := living_runs(user.output / "dagster_home"):
            raise TidyingError(
                f"{user.output}: run {running[0]} is under way. Wait until it has ended."
            )


def _old_runs(home: Path, before: float) -> list[Garbage]:
    if not (home / "dagster.yaml").exists():
        return []
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return list(old_runs(instance, home, datetime.fromtimestamp(before, UTC)))


def _unused_answers(settings: Settings, users: list[CacheUser]) -> int:
    with open_ledger(settings) as ledger:
        return len(ledger.answered() - used_keys(settings, users, ANSWERS)) if ledger else 0
