"""Units of work on a Ray cluster: one worker a GPU or a share of cores, each set up once.

Units travel in shards, a worker has one shard at a time, and who is done gets the next. A shard
whose worker is lost, with its node or alone, is done again by another. One that is lost again is
taken apart, and a unit that costs three workers is given up, alone.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from resources.remote import require
from resources.settings import RaySettings

_LOSSES = 3
"""A unit that was on so many workers when they were lost is given up."""
_SHARDS_A_WORKER = 8
"""So many shards a worker, that none waits long for the last one."""
_POLL_S = 1.0
_PATIENCE_S = 120.0
"""For a cluster to show a worker, at the start or after a loss."""


class ClusterError(RuntimeError):
    """The cluster can't do the work; the message says what to look at."""


class Worker(Protocol):
    """What is set up once on a GPU or a share of cores. Its class must be importable there."""

    def ready(self) -> None:
        """Return when set up."""
        ...

    def work(self, units: Sequence[Any]) -> Any:
        """Do a shard, and leave what is to last where everybody finds it."""
        ...


@dataclass
class _Shard:
    units: Sequence[Any]
    losses: int = 0


@dataclass
class Outcome:
    """What hears of shards: `done` with what a worker returned, `lost` of a unit given up."""

    done: Callable[[Sequence[Any], Any], None]
    lost: Callable[[Any, str], None]


def run_shards(
    engine: RaySettings,
    worker: type[Worker],
    arguments: Sequence[Any],
    units: Sequence[Any],
    outcome: Outcome,
) -> None:
    """Have every unit done by some worker, whatever is lost on the way.

    Args:
        engine: which cluster.
        worker: the workers' class.
        arguments: what it is made with.
        units: what is to be done, the largest first for the best balance.
        outcome: hears of every unit, once.

    Raises:
        ClusterError: the cluster shows no worker for a while.
        Exception: a worker raised it; what others have in flight is given up.
    """
    if not units:
        return
    with connected(engine) as ray:
        _Run(ray, engine, worker, arguments, units, outcome).run()


def stay_on_loopback() -> None:
    """Keep a cluster that this process starts on 127.0.0.1, not on the machine's own address.

    Ray reads the variable when it is imported, and others may have imported it long ago
    (transformers does, only to see whether it is there): then the value it read is what counts.
    """
    from ray._private import ray_constants

    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False


@contextmanager
def connected(engine: RaySettings) -> Iterator[Any]:
    """Ray, connected to the engine's cluster; one of this machine's own where it names none.

    A cluster of one's own listens on loopback. Nothing is reported to Ray's makers.
    """
    require("ray", "engine")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if engine.address is None:
        stay_on_loopback()
    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(
            engine.address or "local",
            include_dashboard=None if engine.address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, TimeoutError) as error:
        raise ClusterError(
            f"engine.address {engine.address or 'local'}: no Ray cluster can be reached: {error}. "
            "Does its head run, with the same versions of Ray and Python?"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


@dataclass
class _Run:
    ray: Any
    engine: RaySettings
    worker: type[Worker]
    arguments: Sequence[Any]
    units: Sequence[Any]
    outcome: Outcome
    _queue: deque[_Shard] = field(default_factory=deque)
    _starting: dict[Any, Any] = field(default_factory=dict)
    _idle: list[Any] = field(default_factory=list)
    _busy: dict[Any, tuple[Any, _Shard]] = field(default_factory=dict)
    _seen_alive: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Go on until every unit is done or given up."""
        size = max(1, len(self.units) // (_SHARDS_A_WORKER * max(1, self._capacity())))
        for start in range(0, len(self.units), size):
            self._queue.append(_Shard(self.units[start : start + size]))
        try:
            while self._queue or self._busy:
                self._start_workers()
                while self._idle and self._queue:
                    actor, shard = self._idle.pop(), self._queue.popleft()
                    self._busy[actor.work.remote(shard.units)] = (actor, shard)
                self._wait()
        finally:
            for actor in (
                *self._starting.values(),
                *self._idle,
                *(a for a, _ in self._busy.values()),
            ):
                self.ray.kill(actor)

    def _capacity(self) -> int:
        """How many workers the cluster has room for, as it is now."""
        found = self.ray.cluster_resources()
        return int(found.get("GPU", 0) or found.get("CPU", 0) // self.engine.cpus_per_worker)

    def _start_workers(self) -> None:
        alive = len(self._idle) + len(self._busy)
        wanted = min(self._capacity(), len(self._queue) + len(self._busy))
        if self.ray.cluster_resources().get("GPU", 0):
            share = {"num_gpus": 1}
        else:
            share = {"num_cpus": self.engine.cpus_per_worker}
        actor_class = self.ray.remote(self.worker).options(**share, max_restarts=0)
        for _ in range(wanted - alive - len(self._starting)):
            actor = actor_class.remote(*self.arguments)
            self._starting[actor.ready.remote()] = actor
        if alive:
            self._seen_alive = time.monotonic()
        elif time.monotonic() - self._seen_alive > _PATIENCE_S:
            raise ClusterError(
                f"no worker came up in {_PATIENCE_S:.0f} s; the cluster has "
                f"{self.ray.cluster_resources()}, and a worker wants {share}."
            )

    def _wait(self) -> None:
        """Take what has finished."""
        from ray.exceptions import RayActorError, RayTaskError

        pending = [*self._starting, *self._busy]
        if not pending:
            time.sleep(_POLL_S)
            return
        for reference in self.ray.wait(pending, timeout=_POLL_S)[0]:
            is_new = reference in self._starting
            actor, shard = (
                (self._starting.pop(reference), None) if is_new else self._busy.pop(reference)
            )
            try:
                made = self.ray.get(reference)
            except RayActorError as error:
                self.ray.kill(actor)  # it may be out of reach only, and would go on alone
                if shard:
                    self._lose(shard, str(error))
            except RayTaskError as error:
                raise error.as_instanceof_cause() from None
            else:
                self._idle.append(actor)
                if shard:
                    self.outcome.done(shard.units, made)

    def _lose(self, shard: _Shard, reason: str) -> None:
        """Have a lost shard done again: at once, then unit by unit, until a unit is given up."""
        losses = shard.losses + 1
        if losses >= _LOSSES:
            for unit in shard.units:
                self.outcome.lost(unit, reason.splitlines()[0])
        elif losses == 1:
            self._queue.appendleft(_Shard(shard.units, losses))
        else:
            self._queue.extendleft(_Shard([unit], losses) for unit in shard.units)
