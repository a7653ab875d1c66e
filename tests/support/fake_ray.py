"""Ray without a cluster: nodes of several cores that can be lost, in one thread, in known order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

PENDING = object()
"""What `work` returns for units that are not done yet."""


class DiedError(BaseException):
    """What `work` raises where it is the end of its process; nobody gets to handle it."""


class _Reference:
    def __init__(self, actor: _Actor, units: Sequence[Any] | None = None) -> None:
        self.actor = actor
        self.units = units
        self.made: Any = PENDING
        """What came of it; an exception is to be raised."""


class _Actor:
    """One of `ray_cluster._Host`."""

    def __init__(self, node: str, given: list[tuple[str, Sequence[Any]]]) -> None:
        self.node = node
        self._given = given

    @property
    def ready(self) -> _Method:
        return _Method(lambda: _Reference(self))

    @property
    def work(self) -> _Method:
        return _Method(self._work)

    def _work(self, units: Sequence[Any]) -> _Reference:
        self._given.append((self.node, units))
        return _Reference(self, units)


class _Method:
    def __init__(self, remote: Callable[..., _Reference]) -> None:
        self.remote = remote


class _Hosts:
    """The class of actors: each is put where there is most room."""

    def __init__(self, start: Callable[[], _Actor]) -> None:
        self._start = start

    def options(self, **_: Any) -> _Hosts:
        return self

    def remote(self, worker: type, arguments: Sequence[Any]) -> _Actor:
        return self._start()


class FakeRay:
    """What `ray_cluster._Run` uses of Ray.

    Args:
        nodes: their cores by name.
        work: given a node and units, returns their result or `PENDING`, or raises, `DiedError` too.
        seed: decides which of what is ready is told first.

    Attributes:
        given: every handing out of units, with the node.
    """

    def __init__(
        self, nodes: Mapping[str, int], work: Callable[[str, Sequence[Any]], Any], seed: int = 0
    ) -> None:
        self.cores = dict(nodes)
        self.given: list[tuple[str, Sequence[Any]]] = []
        self._work = work
        self._random = random.Random(seed)
        self._actors: list[_Actor] = []

    def lose(self, node: str) -> None:
        """Take a node away, with all that runs there."""
        del self.cores[node]

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"NodeID": name, "Alive": True, "Resources": {"CPU": float(cores)}}
            for name, cores in self.cores.items()
        ]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(sum(self.cores.values()))}

    def remote(self, host: type) -> _Hosts:
        return _Hosts(self._start)

    def _start(self) -> _Actor:
        taken = Counter(actor.node for actor in self._actors)
        node = max(self.cores, key=lambda name: self.cores[name] - taken[name])
        assert taken[node] < self.cores[node], "more workers than there is room for"
        self._actors.append(_Actor(node, self.given))
        return self._actors[-1]

    def wait(
        self, pending: Sequence[_Reference], timeout: float
    ) -> tuple[list[_Reference], list[_Reference]]:
        ready = [reference for reference in pending if self._is_ready(reference)]
        chosen = [self._random.choice(ready)] if ready else []
        return chosen, [reference for reference in pending if reference not in chosen]

    def _is_ready(self, reference: _Reference) -> bool:
        node, units = reference.actor.node, reference.units
        if node not in self.cores or units is None:
            return True
        if reference.made is PENDING:
            try:
                reference.made = self._work(node, units)
            except (Exception, DiedError) as error:
                reference.made = error
        return reference.made is not PENDING

    def get(self, reference: _Reference) -> Any:
        from ray.exceptions import RayActorError, RayTaskError

        node, made = reference.actor.node, reference.made
        if node not in self.cores or isinstance(made, DiedError):
            raise RayActorError
        if isinstance(made, Exception):
            where = f"ray::_Host.work() (pid=1, ip={node}, actor_id=1)\n{made!r}"
            raise RayTaskError("work", where, made, ip=node)
        return node if reference.units is None else made

    def kill(self, actor: _Actor) -> None:
        self._actors.remove(actor)
