"""The pictures of a report, as figures for plotly.js: plain dictionaries with `data` and `layout`.

Written by hand and not by plotly's Python classes, which are untyped and take seconds to import.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.backtest.core.model import Curve, Result, Trade
from services.backtest.core.monte_carlo import MonteCarlo
from services.backtest.core.returns import by_day, drawdowns, rolling_sharpe
from services.backtest.core.sensitivity import Sensitivity
from services.backtest.core.walk_forward import WalkForward
from services.strategy.core.strategy import Floats

Figure: TypeAlias = dict[str, Any]

BLUE, GREY, GREEN, RED, INK, GRID = "#2457c5", "#98a2b3", "#12805c", "#c4320a", "#1d2939", "#eaecf0"
PALE_RED, PALE_GREEN = "rgba(196,50,10,0.2)", "rgba(18,128,92,0.2)"
FEW_DAYS = 60  # with fewer, every point of the curve is drawn, else one a day
ROLLING = 126  # sessions: half a year


def layout(height: int, **more: Any) -> dict[str, Any]:
    """What all pictures share; axes can be overridden."""
    axis = {"gridcolor": GRID, "zerolinecolor": GREY, "automargin": True, "linecolor": GREY}
    shared: dict[str, Any] = {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 30 if more.get("showlegend", True) else 12, "b": 8},
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        "dragmode": False,
        "hovermode": "closest",
    }
    axes = {name: axis | more.pop(name, {}) for name in ("xaxis", "yaxis")}
    return shared | axes | more


def equity(curve: Curve, cash: float) -> Figure:
    """The account against its benchmark; below it the drawdown and what was invested."""
    time, value, benchmark, exposure = _points(curve, cash)
    data = [_line(time, value, "account", BLUE, width=2)]
    if np.isfinite(benchmark).any():
        data.append(_line(time, benchmark, "benchmark", GREY))
    fallen = -100 * drawdowns(value, cash)
    data.append(_line(time, fallen, "drawdown, %", RED, yaxis="y2", fill="tozeroy", fillcolor=PALE_RED))
    data.append(_line(time, 100 * exposure, "invested, %", GREEN, yaxis="y3", fill="tozeroy", fillcolor=PALE_GREEN))
    lower = {"gridcolor": GRID, "automargin": True, "ticksuffix": " %", "nticks": 4}
    return {
        "data": data,
        "layout": layout(
            520,
            xaxis={"anchor": "y3"},
            yaxis={"domain": [0.44, 1], "tickformat": "$~s"},
            yaxis2=lower | {"domain": [0.2, 0.4]},
            yaxis3=lower | {"domain": [0, 0.16], "rangemode": "tozero"},
            hovermode="x unified",
        ),
    }


def rolling(curve: Curve, cash: float) -> Figure | None:
    """The Sharpe ratio of each half year; None where there was none."""
    days = by_day(curve, cash)
    ratios = rolling_sharpe(days.returns, ROLLING)
    if not np.isfinite(ratios).any():
        return None
    line = _line(_texts(days.date[ROLLING - 1 :]), ratios[ROLLING - 1 :], f"Sharpe of {ROLLING} sessions", BLUE)
    return {"data": [line], "layout": layout(280, showlegend=False)}


def trade_sizes(trades: Sequence[Trade]) -> Figure:
    """How many trades won and lost how much, in USD."""
    nets = np.array([float(trade.net) for trade in trades])
    edges = np.histogram_bin_edges(nets, bins=min(40, max(10, len(nets) // 4)))
    size = float(edges[1] - edges[0])
    start = float(np.floor(edges[0] / size) * size)  # a multiple, so that no bar holds both winners and losers
    bins = {"start": start, "end": float(edges[-1]) + size, "size": size}
    bars = [
        {"type": "histogram", "x": np.round(part, 2).tolist(), "xbins": bins, "name": name, "marker": {"color": colour}}
        for part, name, colour in ((nets[nets > 0], "profit", GREEN), (nets[nets <= 0], "loss", RED))
    ]
    axes = {"xaxis": {"tickformat": "$~s"}, "yaxis": {"title": {"text": "trades"}}}
    return {"data": bars, "layout": layout(280, barmode="overlay", bargap=0.05, **axes)}


def mid_versus_filled(trades: Sequence[Trade]) -> Figure:
    """The sum of all trades at mid prices and as they were filled: the distance is what trading cost."""
    ordered = sorted(trades, key=lambda trade: trade.closed_at)
    time = [f"{trade.closed_at:%Y-%m-%dT%H:%M}" for trade in ordered]
    mid, net = ([float(getattr(trade, name)) for trade in ordered] for name in ("mid_profit", "net"))
    lines = [
        _line(time, np.cumsum(mid), "at mid prices", GREY, dash="dot"),
        _line(time, np.cumsum(net), "as filled, after commissions", BLUE),
    ]
    for line in lines:
        line["line"]["shape"] = "hv"  # nothing is earned between two exits
    axes = {"yaxis": {"tickformat": "$~s"}}
    return {"data": lines, "layout": layout(280, hovermode="x unified", **axes)}


def drawdown_lottery(lots: MonteCarlo) -> Figure:
    """The maximal drawdowns of the same trades in other orders, and the one there was."""
    bars = {
        "type": "histogram",
        "x": np.round(100 * lots.max_drawdowns, 3).tolist(),
        "nbinsx": 40,
        "name": "other orders",
        "marker": {"color": GREY},
    }
    real = 100 * lots.observed_drawdown
    line = {"type": "line", "x0": real, "x1": real, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": RED}}
    note = {"x": real, "y": 1, "yref": "paper", "text": "real order", "showarrow": False, "yanchor": "bottom"}
    axes = {"xaxis": {"ticksuffix": " %"}, "yaxis": {"title": {"text": "runs"}}}
    return {"data": [bars], "layout": layout(280, shapes=[line], annotations=[note], bargap=0.05, **axes)}


def out_of_sample(found: WalkForward, result: Result) -> Figure:
    """The account that only ever traded parameters chosen before."""
    time, value, _, _ = _points(found.curve, float(result.cash))
    axes = {"yaxis": {"tickformat": "$~s"}}
    return {"data": [_line(time, value, "out of sample", BLUE, width=2)], "layout": layout(280, **axes)}


def sensitivity(found: Sensitivity) -> Figure:
    """A map of the objective over two parameters, the chosen set marked."""
    values = [[None if np.isnan(cell) else round(float(cell), 4) for cell in row] for row in found.values]
    texts = [["" if cell is None else f"{cell:z.2f}" for cell in row] for row in values]
    heat = {
        "type": "heatmap",
        "x": [_label(x) for x in found.x_values],
        "y": [_label(y) for y in found.y_values],
        "z": values,
        "text": texts,
        "texttemplate": "%{text}",
        "colorscale": [[0, "#ffffff"], [1, GREEN]],
        "reversescale": not found.higher_is_better,
        "showscale": False,
        "xgap": 1,
        "ygap": 1,
    }
    column, row = found.x_values.index(found.best[0]), found.y_values.index(found.best[1])
    chosen = {
        "type": "rect",
        "x0": column - 0.5,
        "x1": column + 0.5,
        "y0": row - 0.5,
        "y1": row + 0.5,
        "line": {"color": INK, "width": 2},
    }
    axes = {
        "xaxis": {"title": {"text": found.x_name}, "type": "category", "showgrid": False},
        "yaxis": {"title": {"text": found.y_name}, "type": "category", "showgrid": False},
    }
    return {"data": [heat], "layout": layout(340, showlegend=False, shapes=[chosen], **axes)}


def _label(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _points(curve: Curve, cash: float) -> tuple[list[str], Floats, Floats, Floats]:
    """Times as text, value, benchmark and exposure: one a day, or all where days are few."""
    days = by_day(curve, cash)
    if len(days.date) < FEW_DAYS:
        return _texts(curve.time), curve.value, curve.benchmark, curve.exposure
    return _texts(days.date), days.value, days.benchmark, days.exposure


def _line(
    x: Sequence[Any],
    y: Floats,
    name: str,
    colour: str,
    *,
    width: float = 1.5,
    dash: str = "solid",
    **more: Any,
) -> dict[str, Any]:
    points = [round(float(point), 4) if np.isfinite(point) else None for point in y]
    style = {"color": colour, "width": width, "dash": dash}
    return {"type": "scatter", "mode": "lines", "x": x, "y": points, "name": name, "line": style, **more}


def _texts(times: NDArray[np.datetime64]) -> list[str]:
    return np.datetime_as_string(times, unit="auto").tolist()
