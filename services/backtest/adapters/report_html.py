"""A result as one HTML file that needs nothing else: no network, no second file. Import it only to write one."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # pyright: ignore[reportUnknownVariableType] - plotly has no types

from services.backtest.adapters import report_figures as figures
from services.backtest.adapters.report_candles import candles
from services.backtest.adapters.report_figures import Figure
from services.backtest.core.honesty import Honesty
from services.backtest.core.metrics import METRICS, text, value
from services.backtest.core.model import History, Trade
from services.backtest.core.returns import by_day, monthly_returns
from services.backtest.core.stored import Stored
from services.backtest.core.tables import ACCOUNT, TRADES, Table, group_tables, notices

HEADLINES = ("cagr", "sharpe", "max_drawdown", "net", "calmar", "win_rate", "profit_factor", "trades")
MOST_SYMBOLS = 4  # with a picture of their bars
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def write_html(path: Path, stored: Stored, histories: Sequence[History], honesty: Honesty | None = None) -> None:
    """Write the report, whole or not at all. `histories` are the bars to draw; without them there are no candles."""
    templates = PackageLoader("services.backtest.adapters")
    page = Environment(loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True).get_template(
        "report.html"
    )
    content = page.render(
        stored=stored,
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - a library, not data
        headlines=[_figure(stored, name) for name in HEADLINES],
        notices=notices(stored.result),
        pictures={name: _embedded(figure) for name, figure in _pictures(stored, honesty)},
        charts=[(history.symbol, _embedded(picture)) for history, picture in _candles(stored, histories)],
        months=MONTHS,
        years=_years(stored),
        tables=group_tables(stored.statistics),
        meanings=[_figure(stored, name) for name in (*ACCOUNT, *TRADES)],
        honesty=honesty,
        beliefs=_beliefs(honesty),
        labels={name: metric.label for name, metric in METRICS.items()},
        folds=_folds(honesty),
        config=stored.config.model_dump_json(indent=2),
    )
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(content, encoding="utf-8")
    draft.replace(path)


def _figure(stored: Stored, name: str) -> dict[str, Any]:
    number = value(stored.statistics, name)
    return {
        "label": METRICS[name].label,
        "text": text(name, number),
        "meaning": METRICS[name].meaning,
        "lost": METRICS[name].higher_is_better is True and number is not None and number < 0,
    }


def _pictures(stored: Stored, honesty: Honesty | None) -> Iterator[tuple[str, Figure]]:
    result, cash = stored.result, float(stored.result.cash)
    if len(result.curve.time):
        yield "equity", figures.equity(result.curve, cash)
    if half_years := figures.rolling(result.curve, cash):
        yield "rolling", half_years
    if result.trades:
        yield "trade_sizes", figures.trade_sizes(result.trades)
        yield "mid_versus_filled", figures.mid_versus_filled(result.trades)
    if honesty and honesty.monte_carlo:
        yield "monte_carlo", figures.drawdown_lottery(honesty.monte_carlo)
    if honesty and honesty.walk_forward:
        yield "walk_forward", figures.out_of_sample(honesty.walk_forward, result)
    for number, found in enumerate(honesty.sensitivity if honesty else ()):
        yield f"sensitivity_{number}", figures.sensitivity(found)


def _candles(stored: Stored, histories: Sequence[History]) -> Iterator[tuple[History, Figure]]:
    """The most traded symbols; of several timeframes of one symbol, the first."""
    by_symbol: dict[str, list[Trade]] = {}
    for trade in stored.result.trades:
        by_symbol.setdefault(trade.symbol, []).append(trade)
    first = {history.symbol: history for history in reversed(histories)}
    counts = Counter({symbol: len(trades) for symbol, trades in by_symbol.items() if symbol in first})
    for symbol, _ in counts.most_common(MOST_SYMBOLS):
        yield first[symbol], candles(_from_first_day(first[symbol], stored), by_symbol[symbol])


def _from_first_day(history: History, stored: Stored) -> History:
    """Without the bars on which indicators warmed up."""
    bars = history.bars
    begin = int(np.searchsorted(bars.end, np.datetime64(stored.config.first, "us")))
    rest = type(bars)(*(getattr(bars, name)[begin:] for name in bars.__dataclass_fields__))
    return History(history.symbol, history.timeframe, history.start[begin:], rest)


def _years(stored: Stored) -> list[dict[str, Any]]:
    """Rows of the heat map: each month's return as text, and how strong its colour is, -1 to 1."""
    months = monthly_returns(by_day(stored.result.curve, float(stored.result.cash)))
    largest = max((abs(found) for year in months.values() for found in year.values()), default=0) or 1
    rows: list[dict[str, Any]] = []
    for year, found in sorted(months.items(), reverse=True):
        cells = [
            {"text": f"{found[month] * 100:.1f}", "strength": round(found[month] / largest, 2)}
            if month in found
            else None
            for month in range(1, 13)
        ]
        total = float(np.prod([1 + gain for gain in found.values()]) - 1)
        rows.append({"year": year, "cells": cells, "total": f"{total * 100:z.1f}"})
    return rows


def _beliefs(honesty: Honesty | None) -> list[tuple[str, str, str]]:
    """What there is of probabilities and of other orders of the trades: label, text, meaning."""
    if honesty is None:
        return []
    found: list[tuple[str, str | None, str]] = [
        ("Probabilistic Sharpe", _percent(honesty.probabilistic_sharpe), "probability that the true ratio is above 0")
    ]
    if honesty.trials and honesty.trials > 1:
        sets = f"{honesty.trials:,} parameter sets"
        lucky = None if honesty.lucky_sharpe is None else f"{honesty.lucky_sharpe:.2f}"
        found += [
            ("Deflated Sharpe", _percent(honesty.deflated_sharpe), f"the same, after a search among {sets}"),
            ("Sharpe of pure luck", lucky, f"what the best of {sets} is expected to show if all are worthless"),
        ]
    if lots := honesty.monte_carlo:
        fallen, values = lots.percentiles(lots.max_drawdowns)[95], lots.percentiles(lots.final_values)
        final = f"{values[5]:,.0f} to {values[95]:,.0f}"
        found += [
            ("Max drawdown to expect", _percent(fallen), "19 of 20 other orders of the same trades fall less"),
            ("Final value to expect", final, "USD; 9 of 10 accounts whose trades are drawn from these"),
        ]
    return [(label, shown, meaning) for label, shown, meaning in found if shown is not None]


def _folds(honesty: Honesty | None) -> Table | None:
    found = honesty.walk_forward if honesty else None
    if found is None:
        return None
    rows = tuple(
        (
            f"{one.fold.train_first} to {one.fold.train_last}",
            f"{one.fold.test_first} to {one.fold.test_last}",
            ", ".join(f"{name} = {chosen}" for name, chosen in one.parameters.items()),
            *("-" if score is None else f"{score:.2f}" for score in (one.in_sample, one.out_of_sample)),
        )
        for one in found.folds
    )
    label = METRICS[found.objective].label
    columns = ("chosen on", "traded on", "parameters", f"{label} in sample", "out of sample")
    return Table("Walk-forward", columns, rows, text=3)


def _percent(probability: float | None) -> str | None:
    return None if probability is None else f"{probability * 100:.1f} %"


def _embedded(figure: Figure) -> Markup:
    """As JSON inside a script element; a "<" of a name could end that early."""
    return Markup(json.dumps(figure, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))  # noqa: S704
