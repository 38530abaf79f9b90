"""The account through time, from its fills."""

from dataclasses import dataclass

import numpy as np

from services.backtest.core.model import Curve
from services.backtest.core.tape import UNITS, Integers, Series, Tape
from services.strategy.core.strategy import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """What every fill moved: arrays of one shape (f,). `step` and `series` count the tape's; `quantity` is in shares,
    negative for sales; `money` is what cash became more or less by, commission included, in PRICE_UNIT."""

    step: Integers
    series: Integers
    quantity: Integers
    money: Integers


def make_curve(tape: Tape, cash: int, flows: Flows, benchmark: str | None) -> Curve:
    """Cash (in PRICE_UNIT at first) and what is held at its last known close, at each step's end."""
    steps = len(tape.end)
    value = np.cumsum(_by_step(flows.step, flows.money, steps)) + cash
    gross = np.zeros(steps, dtype=np.int64)
    for place in np.unique(flows.series):
        own = flows.series == place
        held = np.cumsum(_by_step(flows.step[own], flows.quantity[own], steps))
        worth = held * _last_known(tape.series[int(place)], steps)
        value += worth
        gross += np.abs(worth)
    exposure = np.full(steps, np.nan)
    np.divide(gross, value, out=exposure, where=value > 0)
    return Curve(tape.end, value / UNITS, exposure, benchmark_of(tape, cash / UNITS, benchmark))


def _by_step(step: Integers, amounts: Integers, steps: int) -> Integers:
    sums = np.zeros(steps, dtype=np.int64)
    np.add.at(sums, step, amounts)
    return sums


def _last_known(series: Series, steps: int) -> Integers:
    """The close of the newest bar at each step; before the first bar that bar's open."""
    if len(series.step) == steps:
        return series.close
    newest = np.searchsorted(series.step, np.arange(steps), side="right") - 1
    return np.where(newest < 0, series.open[0], series.close[np.maximum(newest, 0)])


def benchmark_of(tape: Tape, cash: float, symbol: str | None) -> Floats:
    """The cash in one symbol, or in equal parts in all, bought at the first open of each."""
    steps = len(tape.end)
    chosen = [
        series for series in tape.series if len(series.step) and (symbol is None or series.history.symbol == symbol)
    ]
    if not chosen:
        return np.full(steps, np.nan)
    growth = np.zeros(steps)
    for series in chosen:
        growth += _last_known(series, steps) / series.open[0]
    return growth * (cash / len(chosen))
