"""The fast gear: the trades of the exact gear from one compiled loop, for sweeps of many parameter sets.

It imports numba, which takes a while: import it where it is used, not where a service or the command line starts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from services.backtest.config import RunConfig
from services.backtest.core.arrays import Account, Bar, Entry, Intent, Rules, records
from services.backtest.core.curve import benchmark_of
from services.backtest.core.kernel import END, REASONS, REFUSALS, SIGNAL, TIME, run
from services.backtest.core.lanes import Evidence, Lane, make_lanes
from services.backtest.core.model import PRICE_UNIT, Curve, ExitReason, Fills, Gear, History, Result, Trade
from services.backtest.core.tape import UNITS, Integers, Tape, make_tape, to_datetime
from services.backtest.core.terms import assumptions, check_terms
from services.strategy.core.host import Instance
from services.strategy.core.strategy import Floats
from services.strategy.core.vertical import refuse_spreads
from shared.config import ConfigError
from shared.types import Side

LARGEST = 2**53
"""Units; what is less is exact as a float64, and 64 bits hold the products that are made of it."""
AT_OPEN = (ExitReason.SIGNAL, ExitReason.TIME)
"""Reasons to leave at a bar's open; else it is within the bar or, when the data ends, at its close."""
FINEST = 1_000_000
"""Parts of one that a fraction among the settings may be given in."""
LARGEST_FACTOR = 2**62 // (2 * FINEST)
"""Units or shares; a product with the numerator of such a fraction, or of half of one, needs less than 64 bits."""


def run_bars_fast(
    config: RunConfig, instances: Sequence[Instance], histories: Sequence[History], evidence: Evidence | None = None
) -> Result:
    """What `run_bars_exact` does and raises, except that the result lists no orders."""
    check_terms(config)
    refuse_spreads(instances, "fills = bars has no options; use fills = simulator")
    tape = make_tape(histories, config.first, config.last, config.risk.tick_size)
    lanes = make_lanes(tape, instances, evidence or Evidence())
    gear = FastGear(tape, config)
    found = gear.run(lanes.lanes)
    benchmark = benchmark_of(tape, float(config.cash), config.benchmark)
    refused = {code: int(times) for code, times in zip(REFUSALS, found.refusals, strict=True) if times}
    return Result(
        gear=Gear.FAST,
        fills=Fills.BARS,
        cash=config.cash,
        trades=tuple(trades_of(tape, lanes.lanes, found)),
        orders=(),
        curve=Curve(tape.end, found.value, gear.exposure(found), benchmark),
        assumptions=(*assumptions(config), "The orders themselves are not listed: gear = fast counts them only."),
        turnover=found.turnover * PRICE_UNIT,
        refusals=Counter(lanes.blocked) + Counter(refused),
        failures=lanes.failures,
    )


@dataclass(frozen=True, slots=True, eq=False)
class FastRun:
    """What one run did. `value` (USD) has one element a step of the tape; `entries` are records of `arrays.Entry`, in
    the order in which they were sent; `refusals` has a count for each of `kernel.REFUSALS`."""

    value: Floats
    entries: NDArray[np.void]
    refusals: Integers

    @property
    def trades(self) -> int:
        """How many positions were opened."""
        return int(np.count_nonzero(self.entries["quantity"]))

    @property
    def orders(self) -> int:
        """How many messages about orders the broker got: three for an entry with a stop, one for an exit."""
        left = self.entries["reason"][self.entries["quantity"] > 0]
        exits = np.count_nonzero((left == SIGNAL) | (left == TIME))
        return len(self.entries) + 2 * int(np.count_nonzero(self.entries["stop"])) + int(exits)

    @property
    def turnover(self) -> int:
        """Bought and sold, in PRICE_UNIT."""
        quantity, sold = self.entries["quantity"], self.entries["reason"] != END
        return int((quantity * self.entries["entry_price"]).sum() + (quantity * self.entries["exit_price"])[sold].sum())


class FastGear:
    """Prices, costs and limits, made ready once for any number of runs. Runs may go on in several threads at once.

    Raises:
        ConfigError: prices or settings are too large or too fine for whole numbers of 64 bits.
    """

    def __init__(self, tape: Tape, config: RunConfig) -> None:
        self._start, steps = tape.start.astype(np.int64), np.arange(len(tape.start))
        self._day = np.append(tape.days, len(steps))[np.searchsorted(tape.days, steps)]
        self._begin = _begin([len(series.step) for series in tape.series])
        self._bars = _bars(tape, self._begin)
        self._rules = _rules(config)
        self._cash = _units(config.cash)
        most = max(self._rules.position_n, self._rules.risk_n)
        self._most = min(LARGEST, (2**63 - 1) // most) / UNITS

    def run(self, lanes: Sequence[Lane]) -> FastRun:
        """Trade the signals of `make_lanes` of the same tape.

        Raises:
            ConfigError: the account grew too large.
        """
        intents = self._intents(lanes)
        entered, steps = len(intents) - int(np.count_nonzero(intents["leaving"])), len(self._start)
        account, entries = records(Account, 1), records(Entry, entered)
        account["cash"] = self._cash
        held, refusals = np.zeros(entered, np.int64), np.zeros(len(REFUSALS), np.int64)
        value = np.empty(steps)
        arrays: tuple[Any, ...] = (account[0], entries, held, refusals, value)
        run()(cast(Any, self._bars), self._start, self._day, cast(Any, intents), self._rules, *arrays)
        if value.size and value.max() > self._most:
            raise ConfigError(
                f"the account grew beyond {self._most:.0f} USD, more than gear = fast can count; use gear = exact"
            )
        return FastRun(value, entries[: account["entered"][0]], refusals)

    def exposure(self, found: FastRun) -> Floats:
        """What a run held as a fraction of its value, one element a step; NaN where the value is not above zero."""
        filled = found.entries[found.entries["quantity"] > 0]
        sold = filled["reason"] != END
        commission = filled["commission"] // (1 + sold)  # as much at either end
        cost, proceeds = (filled[name] * filled["quantity"] for name in ("entry_price", "exit_price"))
        moved = np.zeros(len(found.value), np.int64)
        np.subtract.at(moved, self._bars["step"][filled["entry_bar"]], cost + commission)
        np.add.at(moved, self._bars["step"][filled["exit_bar"][sold]], (proceeds - commission)[sold])
        value = np.rint(found.value * UNITS)
        exposure = np.full(len(value), np.nan)
        return np.divide(value - self._cash - np.cumsum(moved), value, out=exposure, where=value > 0)

    def _intents(self, lanes: Sequence[Lane]) -> NDArray[np.void]:
        """The signals of all lanes, sorted by step, and within one by lane."""
        begin = _begin([len(lane.bar) for lane in lanes])
        intents = records(Intent, int(begin[-1]))
        for place, lane in enumerate(lanes):
            own = intents[begin[place] : begin[place + 1]]
            own["lane"], own["last_bar"] = place, self._begin[lane.series + 1] - 1
            own["bar"] = lane.bar + self._begin[lane.series]
            own["leaving"], own["stop"], own["target"] = lane.leaving, lane.stop, lane.target
            own["quantity"] = lane.quantity
        intents["step"] = self._bars["step"][intents["bar"]]
        return intents if len(lanes) == 1 else intents[np.argsort(intents["step"], kind="stable")]


def trades_of(tape: Tape, lanes: Sequence[Lane], found: FastRun) -> Iterator[Trade]:
    """The positions in the order in which they closed."""
    bought = np.sort(found.entries[found.entries["quantity"] > 0], order="closed")
    begin: list[int] = _begin([len(series.step) for series in tape.series]).tolist()
    for row in bought.tolist():
        entry: dict[str, int] = dict(zip(Entry.__annotations__, row, strict=True))
        lane, reason = lanes[entry["lane"]], REASONS[entry["reason"]]
        series, offset = tape.series[lane.series], begin[lane.series]
        first, last = entry["entry_bar"] - offset, entry["exit_bar"] - offset
        opened_at, within = to_datetime(tape.start[int(series.step[first])]), reason not in AT_OPEN
        closed_at = to_datetime((tape.end if within else tape.start)[int(series.step[last])])
        price, exit_price, quantity = entry["entry_price"], entry["exit_price"], entry["quantity"]
        yield Trade(
            order_id=f"{series.history.symbol[:12]}-{opened_at:%y%m%d}-{entry['number']:08x}",
            strategy=lane.instance.name,
            symbol=series.history.symbol,
            side=Side.BUY,
            quantity=Decimal(quantity),
            opened_at=opened_at,
            entry_price=price * PRICE_UNIT,
            closed_at=to_datetime(tape.end[-1]) if reason is ExitReason.END else closed_at,
            exit_price=exit_price * PRICE_UNIT,
            profit=(exit_price - price) * quantity * PRICE_UNIT,
            commission=entry["commission"] * PRICE_UNIT,
            mid_profit=(entry["mid_exit"] - int(series.open[first])) * quantity * PRICE_UNIT,
            reason=reason,
            bars=last - first + within,
        )


def _bars(tape: Tape, begin: Integers) -> NDArray[np.void]:
    bars = records(Bar, int(begin[-1]))
    for place, series in enumerate(tape.series):
        for name, values in (("price", series.high), ("volume", series.volume)):
            if len(values) and int(values.max()) >= LARGEST_FACTOR:
                raise ConfigError(
                    f"{series.history.symbol}: its highest {name} is more than gear = fast can count with; use"
                    " gear = exact"
                )
        for name in Bar.__annotations__:
            bars[name][begin[place] : begin[place + 1]] = getattr(series, name)
    return bars


def _begin(lengths: Sequence[int]) -> Integers:
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])


def _rules(config: RunConfig) -> Rules:
    costs, risk = config.costs, config.risk
    spread, slippage = _fraction("costs.spread", costs.spread), _fraction("costs.slippage", costs.slippage)
    position = _fraction("risk.max_position_fraction", risk.max_position_fraction)
    at_risk = _fraction("risk.risk_per_trade", risk.risk_per_trade)
    fractions = (
        1 + spread / 2, 1 - spread / 2, 1 - slippage, _fraction("costs.participation", costs.participation),
        at_risk, position, _fraction("risk.price_collar", risk.price_collar),
    )  # fmt: skip
    ask, bid, sold, participation, at_risk, position, collar = (part.as_integer_ratio() for part in fractions)
    return Rules(
        tick=_units(risk.tick_size),
        ask_n=ask[0], ask_d=ask[1], bid_n=bid[0], bid_d=bid[1], sold_n=sold[0], sold_d=sold[1],
        commission_per_share=_units(costs.commission_per_share),
        commission_minimum=_units(costs.commission_minimum),
        participation_n=participation[0], participation_d=participation[1],
        risk_n=at_risk[0], risk_d=at_risk[1], position_n=position[0], position_d=position[1],
        collar_n=collar[0], collar_d=collar[1],
        max_order_value=min(_units(risk.max_order_value), LARGEST),
        max_positions=risk.max_positions,
        max_holding_days=risk.max_holding_days,
        require_stop=int(risk.require_stop),
    )  # fmt: skip


def _fraction(name: str, value: Decimal) -> Fraction:
    fraction = Fraction(value)
    if FINEST % fraction.denominator:
        raise ConfigError(f"{name} = {value} has more than 6 decimals, too many for gear = fast; round it")
    return fraction


def _units(amount: Decimal) -> int:
    """Whole multiples of PRICE_UNIT; what is left over is left out."""
    return int(amount / PRICE_UNIT)
