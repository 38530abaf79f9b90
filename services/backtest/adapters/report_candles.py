"""The picture of one symbol: its bars, and every trade from entry to exit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.backtest.adapters.report_figures import BLUE, GREEN, GREY, RED, Figure, layout
from services.backtest.core.model import History, Trade
from services.strategy.core.strategy import Floats
from shared.calendar import NEW_YORK
from shared.types import Timeframe

MOST_CANDLES = 800  # more are narrower than a pixel; neighbours are then drawn as one
CLOSE_UPS = (250, 60)  # candles


@dataclass(frozen=True, slots=True, eq=False)
class _Candles:
    """Candles of one or more bars each, arrays of one shape; `label` is the end in New York."""

    end: NDArray[np.datetime64]
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    label: list[str]

    def mark(self, time: datetime, price: Decimal) -> tuple[str, float]:
        """The candle in which that was, the first that ends then or later, and the nearest price inside of it:
        the net price of an option combination has no place on the axis of its underlying."""
        moment = np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us")
        place = min(int(np.searchsorted(self.end, moment)), len(self.label) - 1)
        return self.label[place], float(np.clip(float(price), self.low[place], self.high[place]))


def candles(history: History, trades: Sequence[Trade]) -> Figure:
    """At least one bar, drawn without gaps for nights and weekends. `trades` are those of the symbol."""
    together = -(-len(history.bars) // MOST_CANDLES)
    made = _joined(history, together)
    shown = {
        "type": "candlestick",
        "x": made.label,
        "open": np.round(made.open, 4).tolist(),
        "high": np.round(made.high, 4).tolist(),
        "low": np.round(made.low, 4).tolist(),
        "close": np.round(made.close, 4).tolist(),
        "name": history.symbol if together == 1 else f"{together} bars a candle",
        "increasing": {"line": {"color": GREY, "width": 1}, "fillcolor": "white"},
        "decreasing": {"line": {"color": GREY, "width": 1}, "fillcolor": GREY},
    }
    won = [trade for trade in trades if trade.net > 0]
    lost = [trade for trade in trades if trade.net <= 0]
    lines = [_paths(made, won, "profit", GREEN), _paths(made, lost, "loss", RED)]
    # Categories: a time axis would leave gaps where the exchange is closed.
    axis = {"type": "category", "nticks": 4, "tickangle": 0, "rangeslider": {"visible": False}, "showgrid": False}
    axes = {"xaxis": axis | {"range": [-1, len(made.label)]}, "yaxis": {"tickprefix": "$"}}
    drawing = layout(450, dragmode="zoom", updatemenus=[_views(made)], **axes)
    drawing["margin"]["b"] = 56
    return {"data": [shown, *lines, _entries(made, trades)], "layout": drawing}


def _joined(history: History, together: int) -> _Candles:
    bars = history.bars
    first = np.arange(0, len(bars), together)
    last = np.append(first[1:], len(bars)) - 1
    ends = bars.end[last].astype("datetime64[s]").tolist()
    form = "%Y-%m-%d" if history.timeframe is Timeframe.DAY else "%Y-%m-%d %H:%M"
    return _Candles(
        bars.end[last],
        bars.open[first],
        np.maximum.reduceat(bars.high, first),
        np.minimum.reduceat(bars.low, first),
        bars.close[last],
        [end.replace(tzinfo=UTC).astimezone(NEW_YORK).strftime(form) for end in ends],
    )


def _views(made: _Candles) -> dict[str, Any]:
    """Buttons that show all candles, or the newest so large that their bodies can be seen."""
    total = len(made.label)
    buttons: list[dict[str, Any]] = []
    for count in (total, *(few for few in CLOSE_UPS if few < total)):
        bottom, top = float(made.low[-count:].min()), float(made.high[-count:].max())
        air = (top - bottom) / 20
        view = {"xaxis.range": [total - count - 1, total], "yaxis.range": [bottom - air, top + air]}
        label = "all" if count == total else f"newest {count}"
        buttons.append({"label": label, "method": "relayout", "args": [view]})
    place = {"x": 0, "xanchor": "left", "y": -0.08, "yanchor": "top"}
    return {"type": "buttons", "direction": "right", "buttons": buttons, **place}


def _paths(made: _Candles, trades: Sequence[Trade], outcome: str, colour: str) -> dict[str, Any]:
    """From entry to exit and a mark at the exit; None between trades lifts the pen."""
    x: list[str | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    for trade in trades:
        start, bought = made.mark(trade.opened_at, trade.entry_price)
        end, sold = made.mark(trade.closed_at, trade.exit_price)
        x += [start, end, None]
        y += [bought, sold, None]
        left = f"{trade.reason.value} at {trade.exit_price:,.2f}: {trade.net:+,.2f} USD"
        texts += ["", f"{trade.closed_at.astimezone(NEW_YORK):%Y-%m-%d %H:%M}<br>{left}", ""]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": x,
        "y": y,
        "text": texts,
        "hoverinfo": "text",
        "name": f"exit with {outcome}",
        "line": {"color": colour, "width": 1.5, "dash": "dot"},
        "marker": {"symbol": "triangle-down", "size": [0, 10, 0] * len(trades), "color": colour},
    }


def _entries(made: _Candles, trades: Sequence[Trade]) -> dict[str, Any]:
    marks = [made.mark(trade.opened_at, trade.entry_price) for trade in trades]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [label for label, _ in marks],
        "y": [price for _, price in marks],
        "text": [
            f"{trade.opened_at.astimezone(NEW_YORK):%Y-%m-%d %H:%M}<br>"
            f"{trade.strategy}: {trade.side} {trade.quantity:,} at {trade.entry_price:,.2f}"
            for trade in trades
        ],
        "hoverinfo": "text",
        "name": "entry",
        "marker": {"symbol": "triangle-up", "size": 10, "color": BLUE},
    }
