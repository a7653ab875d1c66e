"""The simulation behind docs/scale.md keeps to what must hold of any cluster."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from performance.capacity import (
    SIZES,
    Costs,
    Shard,
    Size,
    on_gpu,
    plan,
    sensible,
    shards_of,
    simulate,
    table,
)

KINDS = {"of 16 cores": Costs(), "with a GPU": on_gpu(Costs())}
amounts = st.floats(0, 100, allow_nan=False)
some_shards = st.lists(st.builds(Shard, st.integers(0, 50), *[amounts] * 4), max_size=30)
some_costs = st.builds(
    lambda storage, shard: replace(Costs(), storage=storage, shard=shard),
    st.floats(0.1, 1000),
    st.floats(0, 5),
)
nodes = st.integers(1, 9)


@given(some_shards, some_costs, nodes, amounts, amounts)
def test_every_clip_is_embedded_once_and_no_work_is_lost(shards, costs, count, begin, end):
    run = simulate(shards, costs, count, begin, end)
    assert run.clips == sum(shard.clips for shard in shards)
    work = {
        "storage": sum(shard.read for shard in shards) / costs.storage,
        "store of vectors": sum(shard.write for shard in shards) / costs.storage,
        "decoding": sum(shard.decode for shard in shards) / count,
        "encoding": sum(shard.encode for shard in shards) / count,
        "driver": begin + end + len(shards) * costs.shard,
    }
    assert run.busy == pytest.approx(work)


@given(some_shards, some_costs, nodes, amounts, amounts)
def test_no_run_is_faster_than_its_busiest_part_or_slower_than_one_after_the_other(
    shards, costs, count, begin, end
):
    run = simulate(shards, costs, count, begin, end)
    alone = (
        begin
        + end
        + sum(
            max(shard.read / costs.storage, shard.decode, shard.encode)
            + shard.write / costs.storage
            + costs.shard
            for shard in shards
        )
    )
    assert run.busy[run.limit] <= run.seconds * (1 + 1e-9) + 1e-9
    assert run.seconds <= alone * (1 + 1e-9) + 1e-9


@given(some_shards, nodes, amounts, amounts)
def test_where_nothing_is_shared_twice_the_nodes_are_never_slower(shards, count, begin, end):
    costs = replace(Costs(), storage=float("inf"), shard=0.0)
    one = simulate(shards, costs, count, begin, end)
    two = simulate(shards, costs, 2 * count, begin, end)
    assert two.seconds <= one.seconds * (1 + 1e-9)


@pytest.mark.parametrize("costs", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_more_nodes_never_slow_a_real_size_and_the_driver_bounds_it(size, costs):
    found = [plan(size, costs, count) for count in (1, 2, 4, 8, 64, 4096)]
    seconds = [each.run.seconds for each in found]
    assert seconds == sorted(seconds, reverse=True)
    alone = found[-1].run.busy["driver"]
    assert seconds[-1] >= alone
    free = plan(size, replace(costs, plan_clip=0, join_clip=0, plan_text=0, shard=0), 4096)
    assert free.run.seconds < alone
    assert found[-1].gigabytes == found[0].gigabytes


def test_a_slower_part_becomes_the_limit():
    size = SIZES[-1]
    assert plan(size, Costs(), 1).run.limit == "encoding"
    assert plan(size, on_gpu(Costs()), 1).run.limit == "decoding"
    assert plan(size, replace(Costs(), storage=1e6), 8).run.limit == "storage"
    assert plan(size, Costs(), 4096).run.limit == "driver"
    assert plan(size, replace(Costs(), vector_bytes=1e9), 64).run.limit == "store of vectors"


def test_the_driver_s_memory_is_what_a_million_rows_took_and_a_limit_of_its_own():
    million = Size("a million", 1_000_000, 1_000_000, 1e6, 1000)
    narrow = replace(Costs(), vector_bytes=4 * 64.0)
    assert plan(million, narrow, 1).driver_gb == pytest.approx(4.7, rel=0.05)
    hundred = replace(million, clips=100_000, texts=100_000)
    assert plan(hundred, narrow, 1).driver_gb == pytest.approx(1.1, rel=0.05)
    assert plan(hundred, Costs(), 1).driver_gb == pytest.approx(2.3, rel=0.05)
    assert [plan(size, Costs(), 1).fits for size in SIZES] == [True, True, False]
    assert plan(SIZES[-1], Costs(), 1).limit == "encoding; memory"
    assert plan(SIZES[-1], replace(Costs(), memory=1e12), 1).limit == "encoding"


def test_shards_hold_all_of_a_size():
    size, costs = SIZES[1], Costs()
    shards = shards_of(size, costs)
    assert sum(shard.clips for shard in shards) == size.clips
    assert sum(shard.read for shard in shards) == pytest.approx(
        size.seconds * (1 + costs.scans) * costs.read_bytes
    )


def test_the_number_of_nodes_that_is_worth_it_grows_with_the_work():
    counts = [sensible(size, Costs()).nodes for size in SIZES]
    assert counts == sorted(counts)
    assert sensible(SIZES[-1], replace(Costs(), plan_clip=1.0)).nodes == 1


def test_the_page_shows_what_the_script_prints():
    from resources.settings import PROJECT_ROOT

    page = (PROJECT_ROOT / "docs" / "scale.md").read_text()
    assert table(KINDS) in page, "run tests/performance/capacity.py, and put its tables there"
