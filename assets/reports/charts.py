"""Charts of the report: altair drawings as static SVG that follow the page's colours.

Every chart is small enough for a phone and comes with a text alternative and its data. A page
needs no script to show them. Colours are drawn as placeholders and replaced by the page's own
variables, so that light and dark need one drawing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from assets.reports.tables import DIRECTION_NAMES, METRIC_NAMES, interval, number, signed

if TYPE_CHECKING:
    import altair as alt

WIDTH = 236
ROW_WIDTH = 290
"""Width of a drawing whose rows have their names above them, and no axis beside them."""
_VEGA_LITE = "6.1"
_INK, _MUTED, _GRID, _FLOOR = "#010101", "#020202", "#030303", "#040404"
_SERIES = tuple(f"#0500{number:02d}" for number in range(1, 7))
_VARIABLES = {
    _INK: "var(--ink)",
    _MUTED: "var(--muted)",
    _GRID: "var(--line)",
    _FLOOR: "var(--floor)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(_SERIES, start=1)},
}
_LEVELS = ["low", "moderate", "high"]
_RECALL_AT = (1, 5, 10, 50)
_TRAIT_NAMES = {
    "words": "words",
    "vocabulary": "distinct words",
    "sound_words": "share of words for sounds",
    "visual_words": "share of words for sights",
    "audiocaps_similarity": "likeness to AudioCaps captions",
    "clotho_similarity": "likeness to Clotho captions",
}
_DRAWN = (
    "variant",
    "trait",
    "subset",
    "rho",
    "value",
    "delta",
    "ci_low",
    "ci_high",
    "floor",
    "zero",
    "k",
    "cost_usd_per_1000_texts",
)


@dataclass(frozen=True)
class Chart:
    """One drawing with its title, text alternative and data."""

    title: str
    encoder: str
    svg: str
    alternative: str
    data: pd.DataFrame


@dataclass(frozen=True)
class Figure:
    """Drawings that belong together, and the sentence that says what they show."""

    anchor: str
    title: str
    sentence: str
    charts: list[Chart]
    legend: dict[str, str] = field(default_factory=dict)
    """What each colour means: name to CSS class."""
    absent: str = ""
    """Said in place of the drawings where there are none."""
    dashed: str = "chance"
    """What the dashed line means."""

    @property
    def data(self) -> pd.DataFrame:
        """The rows of all drawings."""
        return pd.concat([chart.data for chart in self.charts], ignore_index=True)


def standing(headline: pd.DataFrame) -> Figure:
    """Each text's main score with its interval, against chance (`headline_scores`)."""
    shown = headline[headline["direction"] != "mean"]
    return Figure(
        "standing",
        "Where each text stands",
        "The main score of each text with its 95 % interval; the dashed line is what random "
        "similarities reach, so only what lies right of it was found by ear.",
        _charts(shown, ["direction"], ["value", "ci_low", "ci_high", "floor"], _interval_rows),
        _legend(shown),
        "No scores yet.",
    )


def gain(lift: pd.DataFrame) -> Figure:
    """What rewriting gains over the visual text (`lift_over_visual`, main metrics)."""
    shown = lift[
        (lift["subset"] == "all") & lift["metric"].isin(_MAIN) & (lift["direction"] != "mean")
    ]
    return Figure(
        "gain",
        "What rewriting gains",
        "Points gained over the visual text on the same queries, with the 95 % interval of the "
        "difference; an interval that crosses the dashed line is no gain that can be claimed.",
        _charts(shown, ["direction"], ["delta", "ci_low", "ci_high"], _gain_rows),
        _legend(shown),
        "No comparison yet: there is no description beside the visual text.",
        "no difference",
    )


def informativeness(curve: pd.DataFrame) -> Figure:
    """Score by informativeness level against that level's floor (`informativeness_curve`)."""
    same = curve["protocol"].isna() | (curve["protocol"] == "subset_gallery")
    shown = curve[same & curve["metric"].isin(_MAIN) & (curve["direction"] != "mean")]
    several = ["grader"] if shown["grader"].nunique() > 1 else []
    return Figure(
        "informativeness",
        "Is what can be heard easier to find?",
        "Score by how well the action can be told from its sound, with 95 % intervals; the dashed "
        "line is each level's own random floor, which moves with the size of its gallery.",
        _charts(shown, ["direction", *several], ["value", "ci_low", "ci_high", "floor"], _curve),
        _legend(shown),
        "No text has been graded yet.",
    )


def recall(cells: pd.DataFrame) -> Figure:
    """Recall against k, duplicates counted as right (`score_cells`)."""
    shown = cells[
        cells["metric"].str.startswith("recall_at_")
        & (cells["subset"] == "all")
        & (cells["recall_rule"] == "duplicates")
        & (cells["similarity"] == "cosine")
        & cells["relevance_kind"].isin(["caption", "pairs"])
        & (cells["direction"] != "mean")
    ]
    shown = shown.assign(k=shown["metric"].str.removeprefix("recall_at_").astype(int))
    return Figure(
        "recall",
        "How far down the list",
        "Share of queries with a right candidate among the first k; clips that share a text count "
        "as right. The dashed line is chance.",
        _charts(shown.assign(metric="recall"), ["direction"], ["value", "floor"], _recall),
        _legend(shown),
        "No retrieval benchmark yet.",
    )


def style(correlations: pd.DataFrame) -> Figure:
    """What a change of wording has to do with the gain (`style_against_gain`)."""
    shown = correlations.dropna(subset=["rho"])
    return Figure(
        "style",
        "Which wording gains",
        "Rank correlation, over texts, between what rewriting changed in the wording and what it "
        "gained over the visual text, with its 95 % interval: right of the dashed line, more of it "
        "went with more gain. Of many, one in twenty misses the line by chance.",
        _charts(shown, ["direction"], ["rho", "ci_low", "ci_high"], _style_rows),
        _legend(shown),
        "No comparison yet: there is no description beside the visual text.",
        "no relation",
    )


def cost(costs: pd.DataFrame, lift: pd.DataFrame) -> Figure:
    """What a prompt costs against what it gains (`cost_by_prompt`, `lift_over_visual`)."""
    gains = lift[
        (lift["subset"] == "all")
        & lift["metric"].isin(_MAIN)
        & (lift["direction"].isna() | (lift["direction"] == "mean"))
    ]
    paid = costs[costs["cost_usd_per_1000_texts"].notna() & (costs["purpose"] == "describe")]
    shown = gains.merge(
        paid[["benchmark", "variant", "cost_usd_per_1000_texts"]], on=["benchmark", "variant"]
    )
    return Figure(
        "cost",
        "What a gain costs",
        "Points gained over the visual text against the price of rewriting 1,000 texts, in US "
        "dollars, with the 95 % interval of the gain.",
        _charts(shown, [], ["delta", "ci_low", "ci_high"], _cost),
        _legend(shown),
        "No request was paid for: the answers came from a file, or no price is known.",
        "no difference",
    )


_MAIN = ("map_published", "accuracy_inter", "accuracy_intra")


def _charts(
    frame: pd.DataFrame,
    keys: list[str],
    measured: list[str],
    draw: Callable[[pd.DataFrame, str, alt.Scale], Chart],
) -> list[Chart]:
    """One small drawing an encoder for each benchmark, metric and combination of keys.

    Drawings of one benchmark and metric share the scale of what is measured, and the text queries
    come first.
    """
    import altair as alt

    order = frame["direction"].map({"text_to_audio": 0, "audio_to_text": 1})
    frame = frame.assign(_order=order).sort_values(["benchmark", "metric", "_order"], kind="stable")
    charts = []
    for _, comparable in frame.groupby(["benchmark", "metric"], sort=False):
        ends = [0.0, comparable[measured].min().min(), comparable[measured].max().max()]
        scale = alt.Scale(domain=[min(ends), max(ends)], nice=True)
        groups: Any = comparable.groupby([*keys, "encoder"], dropna=False, sort=False)
        for _, rows in groups:
            title = _title(rows.iloc[0], ["benchmark", "metric", *keys])
            charts.append(draw(rows.drop(columns="_order"), title, scale))
    return charts


def _title(row: pd.Series, parts: list[str]) -> str:
    names = {**METRIC_NAMES, **DIRECTION_NAMES}
    said = [str(row[part]) for part in parts if not pd.isna(row[part])]
    return " · ".join(names.get(name, name) for name in said)


def _rows(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    return frame.to_dict("records")


def _interval_rows(rows: pd.DataFrame, title: str, scale: alt.Scale) -> Chart:
    import altair as alt

    base = alt.Chart()
    drawing = alt.layer(
        base.mark_rule(color=_FLOOR, strokeDash=[3, 3], size=1.5).encode(x=_x("floor", "%", scale)),
        base.mark_rule(size=2.5).encode(
            x=_x("ci_low", "%", scale), x2="ci_high:Q", y=_y_variant(rows), color=_colour(rows)
        ),
        base.mark_point(filled=True, size=75, opacity=1).encode(
            x=_x("value", "%", scale), y=_y_variant(rows), color=_colour(rows)
        ),
        _row_names(rows),
        data=_inline(rows),
    ).properties(width=ROW_WIDTH, height=alt.Step(40))
    said = "; ".join(
        f"{row['variant']} {number(row['value'])} % "
        f"(interval {interval(row['ci_low'], row['ci_high'])})"
        for row in _rows(rows)
    )
    return Chart(
        title,
        rows["encoder"].iloc[0],
        _svg(drawing),
        f"{said}. Random similarities reach {number(rows['floor'].max())} %.",
        _data(rows, "value", "ci_low", "ci_high", "floor", "queries", "candidates"),
    )


def _gain_rows(rows: pd.DataFrame, title: str, scale: alt.Scale) -> Chart:
    import altair as alt

    base = alt.Chart()
    drawing = alt.layer(
        base.mark_rule(color=_FLOOR, strokeDash=[3, 3], size=1.5).encode(
            x=_x("zero", "points", scale)
        ),
        base.mark_rule(size=2.5).encode(
            x=_x("ci_low", "points", scale), x2="ci_high:Q", y=_y_variant(rows), color=_colour(rows)
        ),
        base.mark_point(filled=True, size=75, opacity=1).encode(
            x=_x("delta", "points", scale), y=_y_variant(rows), color=_colour(rows)
        ),
        _row_names(rows),
        data=_inline(rows.assign(zero=0.0)),
    ).properties(width=ROW_WIDTH, height=alt.Step(40))
    said = "; ".join(
        f"{row['variant']} {signed(row['delta'])} points "
        f"(interval {interval(row['ci_low'], row['ci_high'])}, "
        f"{'significant' if row['mark'] else 'not significant'})"
        for row in _rows(rows)
    )
    return Chart(
        title,
        rows["encoder"].iloc[0],
        _svg(drawing),
        f"{said}.",
        _data(rows, "visual_value", "value", "delta", "ci_low", "ci_high", "p_holm", "queries"),
    )


def _style_rows(rows: pd.DataFrame, title: str, scale: alt.Scale) -> Chart:
    import altair as alt

    base = alt.Chart()
    rows = rows.assign(trait=rows["trait"].map(_TRAIT_NAMES))
    traits = [name for name in _TRAIT_NAMES.values() if name in set(rows["trait"])]
    lines = 12 * rows["variant"].nunique()  # under the trait's name, which takes 26
    spaced = alt.Scale(paddingInner=26 / (26 + lines), paddingOuter=13 / (26 + lines))
    y = alt.Y("trait:N", sort=traits, axis=None, scale=spaced)
    offset = alt.YOffset("variant:N", sort=_variants(rows))
    above = {"baseline": "bottom", "dy": -lines / 2 - 2}
    names = alt.Chart().mark_text(align="left", fontSize=12, color=_MUTED, **above)
    drawing = alt.layer(
        base.mark_rule(color=_FLOOR, strokeDash=[3, 3], size=1.5).encode(
            x=_x("zero", "rank correlation", scale)
        ),
        base.mark_rule(size=2.5).encode(
            x=_x("ci_low", "rank correlation", scale),
            x2="ci_high:Q",
            y=y,
            yOffset=offset,
            color=_colour(rows),
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            x=_x("rho", "rank correlation", scale), y=y, yOffset=offset, color=_colour(rows)
        ),
        names.transform_aggregate(drawn="count()", groupby=["trait"]).encode(
            x=alt.value(0), y=y, text="trait:N"
        ),
        data=_inline(rows.assign(zero=0.0)),
    ).properties(width=ROW_WIDTH, height=len(traits) * (26 + lines))
    said = "; ".join(
        f"{row['variant']}, {row['trait']}: {row['rho']:+.2f} "
        f"(interval {row['ci_low']:+.2f} to {row['ci_high']:+.2f})"
        for row in _rows(rows)
    )
    return Chart(
        title,
        rows["encoder"].iloc[0],
        _svg(drawing),
        f"{said}.",
        _data(rows, "trait", "texts", "mean_change", "mean_gain", "rho", "ci_low", "ci_high"),
    )


def _curve(rows: pd.DataFrame, title: str, scale: alt.Scale) -> Chart:
    import altair as alt

    base = alt.Chart()
    x = alt.X("subset:N", sort=_LEVELS, title=None, axis=alt.Axis(labelAngle=0))
    offset = alt.XOffset("variant:N", sort=_variants(rows), scale=alt.Scale(paddingOuter=0.8))
    drawing = alt.layer(
        base.mark_line(color=_FLOOR, strokeDash=[3, 3], size=1.5).encode(
            x=x, y=_y("mean(floor)", "%", scale)
        ),
        base.mark_rule(size=2.5).encode(
            x=x, xOffset=offset, y=_y("ci_low", "%", scale), y2="ci_high:Q", color=_colour(rows)
        ),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            x=x, xOffset=offset, y=_y("value", "%", scale), color=_colour(rows)
        ),
        data=_inline(rows),
    ).properties(width=WIDTH, height=150)
    said = "; ".join(
        f"{row['variant']}, {row['subset']}: {number(row['value'])} % "
        f"(chance {number(row['floor'])} %)"
        for row in _rows(rows)
    )
    return Chart(
        title,
        rows["encoder"].iloc[0],
        _svg(drawing),
        f"{said}.",
        _data(rows, "subset", "value", "ci_low", "ci_high", "floor", "queries", "candidates"),
    )


def _recall(rows: pd.DataFrame, title: str, scale: alt.Scale) -> Chart:
    import altair as alt

    base = alt.Chart()
    x = alt.X("k:O", sort=list(_RECALL_AT), title="k", axis=alt.Axis(labelAngle=0))
    drawing = alt.layer(
        base.mark_line(color=_FLOOR, strokeDash=[3, 3], size=1.5).encode(
            x=x, y=_y("mean(floor)", "%", scale)
        ),
        base.mark_line(size=2).encode(x=x, y=_y("value", "%", scale), color=_colour(rows)),
        base.mark_point(filled=True, size=45, opacity=1).encode(
            x=x, y=_y("value", "%", scale), color=_colour(rows)
        ),
        data=_inline(rows),
    ).properties(width=WIDTH, height=150)
    said = "; ".join(
        f"{variant}: " + ", ".join(f"{row.value:.1f} % at {row.k}" for row in group.itertuples())
        for variant, group in rows.sort_values("k").groupby("variant", sort=True)
    )
    return Chart(
        title,
        rows["encoder"].iloc[0],
        _svg(drawing),
        f"{said}.",
        _data(rows.sort_values(["variant", "k"]), "k", "value", "ci_low", "ci_high", "floor"),
    )


def _cost(rows: pd.DataFrame, title: str, scale: alt.Scale) -> Chart:
    import altair as alt

    base = alt.Chart()
    x = alt.X(
        "cost_usd_per_1000_texts:Q",
        title="US$ per 1,000 texts",
        axis=alt.Axis(tickCount=4),
        scale=alt.Scale(zero=True),
    )
    drawing = alt.layer(
        base.mark_rule(color=_FLOOR, strokeDash=[3, 3], size=1.5).encode(
            y=_y("zero", "points", scale)
        ),
        base.mark_rule(size=2.5).encode(
            x=x, y=_y("ci_low", "points", scale), y2="ci_high:Q", color=_colour(rows)
        ),
        base.mark_point(filled=True, size=75, opacity=1).encode(
            x=x, y=_y("delta", "points", scale), color=_colour(rows)
        ),
        data=_inline(rows.assign(zero=0.0)),
    ).properties(width=WIDTH, height=150)
    said = "; ".join(
        f"{row['variant']}: {signed(row['delta'])} points for "
        f"{row['cost_usd_per_1000_texts']:.2f} US$ per 1,000 texts"
        for row in _rows(rows)
    )
    return Chart(
        title,
        rows["encoder"].iloc[0],
        _svg(drawing),
        f"{said}.",
        _data(rows, "cost_usd_per_1000_texts", "delta", "ci_low", "ci_high", "queries"),
    )


def _inline(rows: pd.DataFrame) -> alt.InlineData:
    import altair as alt

    drawn = rows[[name for name in _DRAWN if name in rows]]
    return alt.InlineData(values=drawn.astype(object).where(drawn.notna(), None).to_dict("records"))


def _data(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """What the reader gets under the chart: who it is about, then the drawn columns."""
    keys = ["benchmark", "encoder", "variant", "direction", "grader", "metric"]
    return rows[[name for name in keys if name in rows] + list(columns)]


def _variants(rows: pd.DataFrame) -> list[str]:
    """The visual text first, then the others by name."""
    return sorted(set(rows["variant"]), key=lambda name: (name != "visual", name))


def _palette(rows: pd.DataFrame) -> dict[str, str]:
    """A colour for each text. The first is the visual text's, here or not."""
    others = [name for name in _variants(rows) if name != "visual"]
    colours = {name: _SERIES[1 + i % (len(_SERIES) - 1)] for i, name in enumerate(others)}
    return {"visual": _SERIES[0], **colours}


def _legend(rows: pd.DataFrame) -> dict[str, str]:
    if rows.empty:
        return {}
    shown = set(rows["variant"])
    return {
        name: f"series-{_SERIES.index(colour) + 1}"
        for name, colour in _palette(rows).items()
        if name in shown
    }


def _colour(rows: pd.DataFrame) -> alt.Color:
    import altair as alt

    palette = _palette(rows)
    scale = alt.Scale(domain=list(palette), range=list(palette.values()))
    return alt.Color("variant:N", scale=scale, legend=None)


def _x(name: str, title: str, scale: alt.Scale) -> alt.X:
    import altair as alt

    return alt.X(f"{name}:Q", title=title, axis=alt.Axis(tickCount=4), scale=scale)


def _y(name: str, title: str, scale: alt.Scale) -> alt.Y:
    import altair as alt

    return alt.Y(f"{name}:Q", title=title, axis=alt.Axis(tickCount=4), scale=scale)


def _y_variant(rows: pd.DataFrame) -> alt.Y:
    import altair as alt

    return alt.Y("variant:N", sort=_variants(rows), axis=None)


def _row_names(rows: pd.DataFrame) -> alt.Chart:
    """Each row's name above it, where it has room in whatever font the reader has."""
    import altair as alt

    names = alt.Chart().mark_text(align="left", baseline="bottom", dy=-7, fontSize=12, color=_MUTED)
    return names.encode(x=alt.value(0), y=_y_variant(rows), text="variant:N")


def _svg(drawing: alt.LayerChart) -> str:
    """A drawing as SVG without outer colours, background or ids."""
    import vl_convert

    axis = {
        "labelColor": _MUTED,
        "titleColor": _MUTED,
        "domainColor": _GRID,
        "tickColor": _GRID,
        "gridColor": _GRID,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    }
    drawing = drawing.configure(background="transparent", font="sans-serif", axis=axis)
    drawing = drawing.configure_view(stroke=None)
    svg = vl_convert.vegalite_to_svg(drawing.to_json(), vl_version=_VEGA_LITE)
    svg = re.sub(r"#0[1-5][0-9a-f]{4}", lambda match: _VARIABLES[match[0]], svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
