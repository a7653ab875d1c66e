"""Shards on a cluster of nodes with several cores: lost nodes, and errors of one node."""

from importlib.util import find_spec

import pytest
from support.fake_ray import PENDING, FakeRay

from resources.media.decoding import MediaError
from resources.parallel import Lost, NodeLacksError
from resources.ray_cluster import ClusterError, FunctionWorker, _Run
from resources.settings import RaySettings

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `cluster`")

UNITS = [f"unit{number}" for number in range(30)]


def run(ray, units):
    """By unit, what was made of it; `Lost` where it was given up."""
    found = {}
    for shard, made in _Run(ray, RaySettings(), FunctionWorker, [str], units).run():
        found |= (
            dict.fromkeys(shard, made)
            if isinstance(made, Lost)
            else dict(zip(shard, made, strict=True))
        )
    return found


def upper(node, units):
    return [unit.upper() for unit in units]


@pytest.mark.parametrize("seed", range(12))
def test_a_lost_node_costs_a_unit_one_worker_however_many_it_had(seed):
    """Its other workers were idle, and are gone as well."""
    lost = []

    def work(node, units):
        if units != ["slow"] or lost:
            return upper(node, units)
        return PENDING

    ray = FakeRay({"a": 4, "b": 4}, work, seed)
    wait = ray.wait

    def stall(pending, timeout):
        ready, left = wait(pending, timeout)
        if not ready:
            (node,) = [node for node, given in ray.given if given == ["slow"]]
            lost.append(node)
            ray.lose(node)
        return ready, left

    ray.wait = stall
    assert run(ray, [*UNITS, "slow"]) == {unit: unit.upper() for unit in [*UNITS, "slow"]}
    (first, second) = [node for node, given in ray.given if given == ["slow"]]
    assert [first] == lost
    assert second != first


def failing(error, *nodes):
    """Work at unit 7 that these nodes can't do."""

    def work(node, units):
        if "unit7" in units and node in nodes:
            raise error
        return upper(node, units)

    return work


def tried_on(ray):
    return [node for node, units in ray.given if "unit7" in units]


@pytest.mark.parametrize("seed", range(4))
def test_what_raises_on_one_node_is_done_by_another(seed):
    ray = FakeRay({"a": 2, "b": 2}, failing(OSError("disk full"), "a"), seed)
    assert run(ray, UNITS) == {unit: unit.upper() for unit in UNITS}
    assert tried_on(ray) in (["a", "b"], ["b"])


@pytest.mark.parametrize("nodes", ["a", "ab", "abc"])
def test_an_error_of_two_nodes_ends_the_run_and_names_one(nodes):
    ray = FakeRay(dict.fromkeys(nodes, 2), failing(OSError("disk full"), *nodes))
    with pytest.raises(ClusterError, match=r"node [abc]: disk full"):
        run(ray, UNITS)
    assert len(tried_on(ray)) == len(set(tried_on(ray))) == min(2, len(nodes))


def test_an_error_that_is_no_node_s_comes_back_as_it_was():
    ray = FakeRay({"a": 1, "b": 1}, failing(MediaError("damaged", "half"), "a", "b"))
    with pytest.raises(MediaError, match=r"^damaged: half\nraised on node [ab]"):
        run(ray, UNITS)
    assert len(tried_on(ray)) == 2


@pytest.mark.parametrize("lack", [FileNotFoundError(2, "No", "/a.wav"), NodeLacksError("/a.wav")])
def test_what_a_node_lacks_ends_the_run_at_once(lack):
    ray = FakeRay({"a": 1, "b": 1}, failing(lack, "a", "b"))
    with pytest.raises(ClusterError, match=r"node [ab]: /a\.wav"):
        run(ray, UNITS)
    assert len(tried_on(ray)) == 1
