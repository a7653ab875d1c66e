"""A Ray cluster whose nodes are all on 127.0.0.1, and workers to be lost by tests."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

_ENVIRONMENT = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
"""For the nodes' processes: the first keeps Ray on loopback."""


@contextmanager
def ray_cluster(*cores: int) -> Iterator[Any]:
    """A cluster with a node for each number of cores; this process is connected to it."""
    with patch.dict(os.environ, {**_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)}):
        import ray
        from ray.cluster_utils import Cluster

        from resources.ray_cluster import stay_on_loopback

        stay_on_loopback()
        head, *others = [{"num_cpus": each, "object_store_memory": 80_000_000} for each in cores]
        head["include_dashboard"] = False
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for node in others:
                cluster.add_node(**node)
            ray.init(cluster.address, log_to_driver=False, logging_level=40)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


class UnreadableError(Exception):
    """Travels to another process, and can't be read there."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


class Marker:
    """Leaves a file for each unit that it does; a unit named `poison` ends its process."""

    holds_encoder = True

    def __init__(self, folder: Path, pause_s: float) -> None:
        self.folder = folder
        self.pause_s = pause_s

    def work(self, units: Sequence[str]) -> list[str]:
        """See `ray_cluster.Worker`."""
        for unit in units:
            if unit == "poison":
                os._exit(1)
            if unit == "fault":
                raise ValueError("this is a fault of the code")
            if unit == "unreadable":
                raise UnreadableError("a fault", "its particulars")
            time.sleep(self.pause_s)
            (self.folder / f"{unit}.{uuid.uuid4().hex}").touch()
        return [unit.upper() for unit in units]
