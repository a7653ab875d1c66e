"""Independent tasks done many at once: what a way to spread them promises, and that by threads.

The other way is a cluster's (`ray_cluster.over_cluster`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

WORKER_LOST = "worker lost"
"""The reason of what is excluded because nobody survived working at it."""


@dataclass(frozen=True)
class Lost:
    """Stands for the result of a task that was given up: all that worked at it were lost."""

    reason: str


class NodeLacksError(Exception):
    """Another machine lacks what the process that drives has; the message says what."""


class Spread(Protocol):
    """Does tasks many at once."""

    def __call__(
        self,
        work: Callable[[Task], Result],
        tasks: Sequence[Task],
        check: Callable[[Task], None] | None = None,
    ) -> Iterator[tuple[Task, Result | Lost]]:
        """Every task with its result, as they come.

        Args:
            work: a module's function that changes nothing; what it raises is raised here.
            tasks: the largest first, so that none is waited for alone at the end.
            check: called with a task before it is worked at on another machine; raises
                `NodeLacksError` where that has not what is here.
        """
        ...


def on_threads(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    check: Callable[[Task], None] | None = None,
) -> Iterator[tuple[Task, Result]]:
    """One thread a core of this machine: for work that leaves Python, as decoding does."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {pool.submit(work, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            for future in futures:
                future.cancel()
