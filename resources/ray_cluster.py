"""Units of work on a Ray cluster: one worker a GPU, or a share of cores, each set up once.

Units travel in shards, a worker has one shard at a time, and who is done gets the next. A shard
whose worker is lost, with its node or alone, is done again by another. One that is lost again is
taken apart, and a unit that costs three workers is given up, alone. One whose worker raises an
error is tried once more on another node, in case that is the node's own trouble; then the error
ends the run.

Whatever goes to a cluster goes through `run_shards`: embeddings by workers that hold encoders, a
scan of media and the loudness of clips by `over_cluster`, as plain functions.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from resources.parallel import Lost, NodeLacksError, Result, Spread, Task, on_threads
from resources.remote import require
from resources.settings import RaySettings, Settings

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

    holds_encoder: ClassVar[bool]
    """Whether it takes a GPU, or the config's share of cores where there is none; else one core."""

    def work(self, units: Sequence[Any]) -> Any:
        """Do a shard, and leave what is to last where everybody finds it."""
        ...


class _Host:
    """A worker's process on a node, as an actor."""

    def __init__(self, worker: type[Worker], arguments: Sequence[Any]) -> None:
        self.worker = worker(*arguments)

    def ready(self) -> str:
        """The node's id."""
        import ray

        return ray.get_runtime_context().get_node_id()

    def work(self, units: Sequence[Any]) -> Any:
        """See `Worker`."""
        return self.worker.work(units)


@dataclass(frozen=True, eq=False)
class _Shard:
    units: Sequence[Any]
    losses: int = 0
    raised_on: str | None = None
    """The node on which a worker raised an error over it, which does not get it again."""
    error: Exception | None = None


Done = tuple[Sequence[Any], Any]
"""Some units, and what their worker returned; or one unit that was given up, and `Lost`."""


def run_shards(
    engine: RaySettings, worker: type[Worker], arguments: Sequence[Any], units: Sequence[Any]
) -> Generator[Done]:
    """Have every unit done by some worker, whatever is lost on the way.

    Args:
        engine: which cluster.
        worker: the workers' class.
        arguments: what it is made with.
        units: what is to be done, the largest first for the best balance.

    Yields:
        Every unit once, in shards, as they are done. Close the iterator (`contextlib.closing`) to
        stop early: workers then end.

    Raises:
        ClusterError: the cluster shows no worker for a while, a node lacks a file, or two nodes
            can't read or write one.
        Exception: workers of two nodes raised it, or one where there is no other node; what others
            have in flight is given up.
    """
    if units:
        yield from _Run(connect(engine), engine, worker, arguments, units).run()


def chosen_spread(settings: Settings) -> Spread:
    """How a config has plain functions done many at once: on its cluster, or by threads."""
    return over_cluster(settings.engine) if settings.engine else on_threads


def over_cluster(engine: RaySettings) -> Spread:
    """Plain functions done by the cluster's cores; its GPUs are left to encoders."""

    def spread(
        work: Callable[[Task], Result],
        tasks: Sequence[Task],
        check: Callable[[Task], None] | None = None,
    ) -> Iterator[tuple[Task, Result | Lost]]:
        with closing(run_shards(engine, FunctionWorker, [work, check], tasks)) as shards:
            for units, made in shards:
                results = [made] if isinstance(made, Lost) else made
                yield from zip(units, results, strict=True)

    return spread


class FunctionWorker:
    """Does units one after the other by a function (see `Worker`)."""

    holds_encoder: ClassVar[bool] = False

    def __init__(
        self, work: Callable[[Any], Any], check: Callable[[Any], None] | None = None
    ) -> None:
        self.function = work
        self.check = check

    def work(self, units: Sequence[Any]) -> list[Any]:
        """Each unit's result."""
        if check := self.check:
            for unit in units:
                check(unit)
        return [self.function(unit) for unit in units]


def stay_on_loopback() -> None:
    """Keep a cluster that this process starts on 127.0.0.1, not on the machine's own address.

    Ray reads the variable when it is imported, and others may have imported it long ago
    (transformers does, only to see whether it is there): then the value it read is what counts.
    """
    from ray._private import ray_constants

    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False


def connect(engine: RaySettings) -> Any:
    """Ray, connected to the engine's cluster; to one of this machine's own where it names none.

    It stays connected until the process ends: a run goes there several times. A cluster of one's
    own listens on loopback, and ends with the process. Nothing is reported to Ray's makers.

    Raises:
        ClusterError: there is no such cluster.
    """
    require("ray", "engine")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        return ray
    if engine.address is None:
        stay_on_loopback()
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
    return ray


@dataclass
class _Run:
    ray: Any
    engine: RaySettings
    worker: type[Worker]
    arguments: Sequence[Any]
    units: Sequence[Any]
    _queue: deque[_Shard] = field(default_factory=deque)
    _starting: dict[Any, Any] = field(default_factory=dict)
    _idle: list[Any] = field(default_factory=list)
    _busy: dict[Any, tuple[Any, _Shard]] = field(default_factory=dict)
    _node_of: dict[Any, str] = field(default_factory=dict)
    """By worker."""
    _seen_alive: float = field(default_factory=time.monotonic)
    _why_none: str = ""
    """What the last worker that did not come up left behind."""

    def run(self) -> Iterator[Done]:
        """Go on until every unit is done or given up."""
        size = max(1, len(self.units) // (_SHARDS_A_WORKER * max(1, self._capacity())))
        for start in range(0, len(self.units), size):
            self._queue.append(_Shard(self.units[start : start + size]))
        try:
            while self._queue or self._busy:
                self._hand_out()
                self._start_workers()
                yield from self._wait()
        finally:
            for actor in (
                *self._starting.values(),
                *self._idle,
                *(a for a, _ in self._busy.values()),
            ):
                self.ray.kill(actor)

    def _share(self) -> tuple[str, int]:
        """Of which resource a worker takes how much."""
        if not self.worker.holds_encoder:
            return "CPU", 1
        if self.ray.cluster_resources().get("GPU"):
            return "GPU", 1
        return "CPU", self.engine.cpus_per_worker

    def _rooms(self) -> dict[str, int]:
        """How many workers each node has room for, as it is now."""
        resource, share = self._share()
        return {
            node["NodeID"]: int(node["Resources"].get(resource, 0) // share)
            for node in self.ray.nodes()
            if node["Alive"]
        }

    def _capacity(self) -> int:
        return sum(self._rooms().values())

    def _hand_out(self) -> None:
        """Give shards to idle workers, but none to a node that raised an error over it."""
        for shard in tuple(self._queue) if self._idle else ():
            fit = [actor for actor in self._idle if self._node_of[actor] != shard.raised_on]
            if fit:
                self._idle.remove(fit[0])
                self._queue.remove(shard)
                self._busy[fit[0].work.remote(shard.units)] = (fit[0], shard)

    def _start_workers(self) -> None:
        """Start one for every shard that nobody there can take, as far as there is room."""
        room = self._capacity() - len(self._idle) - len(self._busy) - len(self._starting)
        resource, share = self._share()
        options = {f"num_{resource.lower()}s": share, "max_restarts": 0}
        host = self.ray.remote(_Host).options(**options)
        for _ in range(min(room, len(self._queue) - len(self._starting))):
            actor = host.remote(self.worker, self.arguments)
            self._starting[actor.ready.remote()] = actor
        if self._busy:
            self._seen_alive = time.monotonic()
        elif time.monotonic() - self._seen_alive > _PATIENCE_S:
            raise self._queue[0].error or ClusterError(
                f"no worker came up in {_PATIENCE_S:.0f} s; the cluster has "
                f"{self.ray.cluster_resources()}, and a worker wants {share} {resource}. "
                f"{self._why_none}"
            )

    def _wait(self) -> Iterator[Done]:
        """What has finished."""
        from ray.exceptions import RayError, RayTaskError, UnserializableException

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
            except (RayTaskError, UnserializableException) as error:
                self._idle.append(actor)
                self._try_elsewhere(shard, self._node_of.get(actor), error)
            except RayError as error:  # the worker is lost, or what it returned, with its node
                self.ray.kill(actor)  # it may be out of reach only, and would go on alone
                if shard:
                    yield from self._lose(shard, _first_line(error))
                else:
                    self._why_none = str(error)
            else:
                self._idle.append(actor)
                if shard:
                    yield shard.units, made
                else:
                    self._node_of[actor] = made

    def _try_elsewhere(self, shard: _Shard | None, node: str | None, error: Exception) -> None:
        """Have a shard done by another node, if there is one and none was tried before."""
        told, is_lack = _told(error)
        others = any(room for other, room in self._rooms().items() if other != node)
        if is_lack or not shard or shard.error or not others:
            raise told from error
        self._queue.appendleft(replace(shard, raised_on=node, error=told))

    def _lose(self, shard: _Shard, reason: str) -> Iterator[Done]:
        """Have a lost shard done again: at once, then unit by unit, until a unit is given up."""
        # Idle workers may have gone with the node: they are asked before they get the shard.
        self._starting |= {actor.ready.remote(): actor for actor in self._idle}
        self._idle.clear()
        losses = shard.losses + 1
        if losses >= _LOSSES:
            for unit in shard.units:
                yield [unit], Lost(reason)
        elif losses == 1:
            self._queue.appendleft(replace(shard, losses=losses))
        else:
            apart = (replace(shard, units=[unit], losses=losses) for unit in shard.units)
            self._queue.extendleft(apart)


def _told(error: Any) -> tuple[Exception, bool]:
    """What a worker raised, with its node; and whether it is that node's own lack."""
    cause = getattr(error, "cause", error)
    node = _node(error)
    if isinstance(cause, FileNotFoundError | NodeLacksError):
        lack = str(cause)
        if isinstance(cause, FileNotFoundError):
            lack = f"{cause.filename or cause} is not there"
        return ClusterError(
            f"node {node}: {lack.rstrip('.')}. Every node needs the recordings, and all that the "
            "config names, under the same paths."
        ), True
    if isinstance(cause, OSError):
        return ClusterError(f"node {node}: {cause}"), False
    cause.add_note(f"raised on node {node}")
    return cause, False


def _node(error: Exception) -> str:
    """Where something was raised: Ray says it in words only."""
    found = re.search(r"\bip=([^,)]+)", str(error))
    return found[1] if found else "unknown"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
