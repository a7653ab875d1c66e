"""What a run would take on a cluster: hours, dollars, gigabytes, and which part is the limit.

`python tests/performance/capacity.py` prints the tables of docs/scale.md and draws its plot; with
other costs in its options it tells them for other machines. `simulate` follows every shard of
recordings through the parts that it passes: shared storage, a node's cores and encoder, the store
of vectors, and the one process that drives and joins.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import count
from pathlib import Path

PLOT = Path(__file__).parents[2] / "docs" / "figures" / "capacity.svg"
NODES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SHARDS = 2048
"""Of the largest size; a shard holds whole recordings."""
WORTH_IT = 1.5
"""Doubling nodes is worth it where it makes the run so much faster, of 2 at the most."""


@dataclass(frozen=True)
class Size:
    """How much there is to do.

    Attributes:
        clips: segments that are listened to.
        texts: distinct texts that are rewritten; each becomes one more, and all are embedded.
        seconds: of recordings, which are decoded once from their start to their end.
        recordings: files.
    """

    name: str
    clips: int
    texts: int
    seconds: float
    recordings: int


SIZES = (
    Size("EPIC", 9_668, 3_842, 13.2 * 3600, 138),
    Size("EgoMCQ", 195_000, 39_000, 1_500 * 480.0, 1_500),
    Size("EgoClip", 3_850_000, 3_850_000, 2_927 * 3600.0, 7_000),
)


@dataclass(frozen=True)
class Costs:
    """What one thing takes, in seconds of one core, of one encoder, or of the one driver.

    Measured by the scripts named in docs/scale.md, but for those that say `assumed`.
    """

    decode: float = 1 / 1030
    """Seconds of one worker for a second of recording: AAC in MP4, one thread at a time."""
    scans: int = 2
    """Of a recording before it is embedded: it is scanned and measured, by a worker a core."""
    cut: float = 1 / 1200
    """Core seconds for a clip: cut, resampled."""
    encode_clip: float = 1 / 6.5
    """Encoder seconds for a clip: of one core here; see `on_gpu`."""
    encode_text: float = 1 / 72
    """Encoder seconds for a text, likewise."""
    plan_clip: float = 1.2e-4
    """Driver seconds for a clip before the first is embedded: read, place, check, hash, ask."""
    join_clip: float = 6.5e-5
    """Driver seconds for a clip after the last: join, write, judge."""
    plan_text: float = 4.1e-4
    """Driver seconds for a text, over all its tables."""
    shard: float = 0.05
    """Driver seconds for a shard: handed out, told of (assumed)."""
    read_bytes: float = 16_000.0
    """Of storage for a second of recording (assumed: audio alone at 128 kbit/s)."""
    storage: float = 500e6
    """Bytes a second that shared storage gives to all nodes together (assumed)."""
    vector_bytes: float = 4 * 512.0
    copies: int = 3
    """Of a vector: in the store, in the lake, in the DuckDB file."""
    row_bytes: float = 400.0
    """Of tables beside vectors, for a clip and its text: 130 in the lake, and in the DuckDB file
    (assumed) twice that."""
    driver_base: float = 0.7e9
    """Bytes of memory of the one driver before its first row."""
    driver_row: float = 1.1e3
    """Of memory for a clip, and as much for a text, beside vectors."""
    held: int = 3
    """So many times the driver holds the texts' vectors while their table is made."""
    memory: float = 64e9
    """Bytes of memory of a node, the driver's too (assumed: 4 GB a core)."""
    cores: int = 16
    """Of a node (assumed)."""
    workers: int = 4
    """Of a node: one a GPU, or `cpus_per_worker` cores each (assumed: 4)."""
    encoders: float = 16.0
    """Of a node, in units of what was measured: its cores, or one GPU."""
    usd_node_hour: float = 0.80
    """Assumed: a rented node of 16 cores."""
    usd_text: float = 7.2e-5 + 8.0e-4
    """By prices.yaml: described (gpt-4o-mini, 400 tokens there and 20 back), graded (gpt-4o, 200
    and 30); a batch costs half."""
    texts_a_second: float = 15.0
    """Of the language model's server, under its limits, two answers each (assumed)."""


def on_gpu(costs: Costs) -> Costs:
    """A node with one accelerator (assumed: 989 TFLOP/s at their peak, 10 % of which are had).

    Operations of a clip and of a text were counted on the model itself: 11.7 and 5.6 GFLOP.
    """
    had = 989e12 * 0.10
    return replace(
        costs,
        encode_clip=11.7e9 / had,
        encode_text=5.6e9 / had,
        workers=1,
        encoders=1.0,
        usd_node_hour=3.50,
    )


@dataclass(frozen=True)
class Shard:
    """Some recordings: bytes to read, seconds of a node to decode and to encode, bytes to write."""

    clips: int
    read: float
    decode: float
    encode: float
    write: float


@dataclass(frozen=True)
class Run:
    """A simulated run.

    Attributes:
        seconds: from the first moment to the last.
        clips: that were embedded.
        busy: seconds in which each part was at work; those of nodes on average.
    """

    seconds: float
    clips: int
    busy: dict[str, float]

    @property
    def limit(self) -> str:
        """The part that was at work for the largest share of the run."""
        return max(self.busy, key=lambda part: self.busy[part])


def shards_of(size: Size, costs: Costs) -> list[Shard]:
    """A size's work on clips in equal shards, as many as there are recordings at the most."""
    number = min(SHARDS, size.recordings)
    clips = [size.clips // number + (rank < size.clips % number) for rank in range(number)]
    heard = size.seconds / number
    workers = 1 / costs.workers + costs.scans / costs.cores
    return [
        Shard(
            each,
            read=heard * (1 + costs.scans) * costs.read_bytes,
            decode=max(heard * costs.decode * workers, each * costs.cut / costs.cores),
            encode=each * costs.encode_clip / costs.encoders,
            write=each * costs.vector_bytes,
        )
        for each in clips
    ]


@dataclass
class _Server:
    """One part that all share: who comes first is served first."""

    rate: float
    free: float = 0.0
    busy: float = 0.0

    def serve(self, now: float, amount: float) -> float:
        """When it is done with an amount that comes now."""
        took = amount / self.rate
        self.free = max(self.free, now) + took
        self.busy += took
        return self.free


def simulate(shards: Sequence[Shard], costs: Costs, nodes: int, begin: float, end: float) -> Run:
    """Follow shards through a cluster whose nodes take one at a time.

    A node reads, decodes and embeds at the same time, so the slowest of these counts; then it
    writes its vectors; the driver hears of it and hands out the next. Before and after all of
    this the driver works alone.

    Args:
        shards: in the order in which they are handed out.
        costs: of storage, nodes and driver.
        nodes: how many.
        begin: seconds of the driver before the first shard.
        end: seconds of the driver after the last.
    """
    storage, store, driver = _Server(costs.storage), _Server(costs.storage), _Server(1.0)
    driver.serve(0.0, begin)
    order = count()
    waiting = list(reversed(shards))
    decoding = encoding = 0.0
    clips = 0
    last = begin
    events: list[tuple[float, int, str, Shard | None]] = [
        (begin, next(order), "free", None) for _ in range(nodes)
    ]
    heapq.heapify(events)
    while events:
        now, _, what, shard = heapq.heappop(events)
        if what == "free" and waiting:
            shard = waiting.pop()
            decoding, encoding = decoding + shard.decode, encoding + shard.encode
            there = max(storage.serve(now, shard.read), now + max(shard.decode, shard.encode))
            heapq.heappush(events, (there, next(order), "computed", shard))
        elif what == "computed" and shard:
            stored = store.serve(now, shard.write)
            heapq.heappush(events, (stored, next(order), "stored", shard))
        elif what == "stored" and shard:
            clips += shard.clips
            last = driver.serve(now, costs.shard)
            heapq.heappush(events, (last, next(order), "free", None))
    total = driver.serve(last, end)
    busy = {
        "storage": storage.busy,
        "store of vectors": store.busy,
        "decoding": decoding / nodes,
        "encoding": encoding / nodes,
        "driver": driver.busy,
    }
    return Run(total, clips, busy)


@dataclass(frozen=True)
class Plan:
    """What a size takes on so many nodes; the language model is asked before texts are embedded."""

    size: Size
    nodes: int
    run: Run
    asking_s: float
    nodes_usd: float
    model_usd: float
    gigabytes: float
    driver_gb: float
    """Of memory, at the driver's peak."""
    fits: bool
    """Whether a node has as much."""

    @property
    def limit(self) -> str:
        """Of the run's time; and memory, where the driver has not enough."""
        return self.run.limit if self.fits else f"{self.run.limit}; memory"


def plan(size: Size, costs: Costs, nodes: int) -> Plan:
    """Clips through the simulation; texts spread evenly, as they travel in small batches."""
    texts = 2 * size.texts * costs.encode_text / costs.encoders / nodes
    begin = size.clips * costs.plan_clip + size.texts * costs.plan_text
    run = simulate(shards_of(size, costs), costs, nodes, begin, size.clips * costs.join_clip)
    run = replace(
        run,
        seconds=run.seconds + texts,
        busy={**run.busy, "encoding": run.busy["encoding"] + texts},
    )
    vectors = (size.clips + 2 * size.texts) * costs.vector_bytes * costs.copies
    held = (size.clips + 2 * size.texts * costs.held) * costs.vector_bytes
    driver = costs.driver_base + (size.clips + size.texts) * costs.driver_row + held
    return Plan(
        size,
        nodes,
        run,
        asking_s=size.texts / costs.texts_a_second,
        nodes_usd=run.seconds / 3600 * nodes * costs.usd_node_hour,
        model_usd=size.texts * costs.usd_text,
        gigabytes=(vectors + size.clips * costs.row_bytes) / 1e9,
        driver_gb=driver / 1e9,
        fits=driver <= costs.memory,
    )


def sensible(size: Size, costs: Costs) -> Plan:
    """The largest number of nodes that is still worth it (see `WORTH_IT`)."""
    best = plan(size, costs, 1)
    while (more := plan(size, costs, 2 * best.nodes)).run.seconds * WORTH_IT <= best.run.seconds:
        best = more
    return best


def table(kinds: dict[str, Costs]) -> str:
    """Every size on one node and on as many as make sense, as Markdown."""
    lines = [
        "| size | nodes | time | and asking | nodes, USD | model, USD | GB | driver, GB | limit |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, costs in kinds.items():
        for size in SIZES:
            best = sensible(size, costs)
            for found in [plan(size, costs, 1)] * (best.nodes > 1) + [best]:
                lines.append(
                    f"| {size.name} | {found.nodes} {kind} | {_time(found.run.seconds)} "
                    f"| {_time(found.asking_s)} | {_short(found.nodes_usd)} "
                    f"| {_short(found.model_usd)} | {_short(found.gigabytes)} "
                    f"| {_short(found.driver_gb)} | {found.limit} |"
                )
    return "\n".join(lines)


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{_short(seconds / 3600)} h"


def draw(kinds: dict[str, Costs], target: Path) -> None:
    """Hours against nodes, a panel a kind of node, with the driver's own share as the floor."""
    import altair as alt
    import pandas as pd

    rows = [
        {"node": kind, "size": size.name, "nodes": nodes, "hours": found.run.seconds / 3600,
         "driver": found.run.busy["driver"] / 3600}
        for kind, costs in kinds.items()
        for size in SIZES
        for nodes in NODES
        for found in [plan(size, costs, nodes)]
    ]  # fmt: skip
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("nodes:Q", scale=alt.Scale(type="log", base=2), title="nodes"),
        color=alt.Color("size:N", sort=[size.name for size in SIZES], title=None),
    )
    hours = alt.Scale(type="log")
    lines = base.mark_line(point=True).encode(y=alt.Y("hours:Q", scale=hours, title="hours"))
    floor = base.mark_line(strokeDash=[3, 3], opacity=0.6).encode(
        y=alt.Y("driver:Q", scale=hours, title="hours")
    )
    chart = alt.layer(floor, lines).properties(width=300, height=260)
    target.parent.mkdir(parents=True, exist_ok=True)
    chart.facet(column=alt.Column("node:N", title=None, sort=list(kinds))).save(str(target))


def main() -> None:
    """Print the tables, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plot", type=Path, default=PLOT)
    for cost in fields(Costs):
        flag = f"--{cost.name.replace('_', '-')}"
        parser.add_argument(flag, type=type(cost.default), help=f"default {cost.default:g}")
    given = vars(parser.parse_args())
    target = given.pop("plot")
    chosen = {name: value for name, value in given.items() if value is not None}
    costs = Costs()
    kinds = {
        "of 16 cores": replace(costs, **chosen),
        "with a GPU": replace(on_gpu(costs), **chosen),
    }
    print(table(kinds))
    draw(kinds, target)
    print(f"drawn: {target}")


if __name__ == "__main__":
    main()
