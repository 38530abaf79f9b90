"""The exact gear on bars: every intent through risk and execution, against a broker that fills at the bars' prices.

Time goes from event to event, not from bar to bar: what costs time is orders, not bars. The order of events is that of
docs/backtest-rules.md: in each step first positions that are too old, then the lanes' signals, then stops and targets.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple
from uuid import UUID

import numpy as np

from services.backtest.config import RunConfig
from services.backtest.core.bar_broker import BarBroker
from services.backtest.core.bar_fills import BarFills, first_hit, to_price
from services.backtest.core.curve import Flows, make_curve
from services.backtest.core.lanes import Evidence, Lanes, make_lanes
from services.backtest.core.model import ExitReason, Fills, Gear, History, Result, Trade
from services.backtest.core.signals import Signal, in_order
from services.backtest.core.tape import UNITS, Series, Tape, make_tape, to_datetime
from services.backtest.core.terms import assumptions, check_terms
from services.execution.core.books import Books
from services.risk.core.judge import Judge
from services.strategy.core.confluence import Blocked
from services.strategy.core.host import Instance, make_intent
from services.strategy.core.vertical import refuse_spreads
from shared.calendar import NEW_YORK
from shared.messages.broker import AccountValues
from shared.messages.market import Quote
from shared.messages.order import ClosePosition, PlaceOrder, Reconciled
from shared.messages.strategy import OrderIntent
from shared.types import Side

TOO_OLD, SIGNAL, REACHED = range(3)
"""What happens within a step, in this order."""
PHASES = 3


def run_bars_exact(
    config: RunConfig, instances: Sequence[Instance], histories: Sequence[History], evidence: Evidence | None = None
) -> Result:
    """Trade these instances on these bars, one timeframe, from `config.first` to `config.last`, both included.

    Raises:
        ConfigError: settings, bars or instances do not allow it.
    """
    check_terms(config)
    refuse_spreads(instances, "fills = bars has no options; use fills = simulator")
    evidence = evidence or Evidence()
    tape = make_tape(histories, config.first, config.last, config.risk.tick_size)
    return _Run(config, tape, make_lanes(tape, instances, evidence), evidence).result()


class _Position(NamedTuple):
    """What an entry bought; `number` is its place in the order of opening."""

    number: int
    entry: Signal
    order: PlaceOrder
    quantity: Decimal
    price: Decimal
    commission: Decimal


class _Exit(NamedTuple):
    """How a position ended; `mid` is the price without costs, `bars` how many it was open in."""

    time: datetime
    price: Decimal
    mid: Decimal
    bars: int
    reason: ExitReason


class _Run:
    def __init__(self, config: RunConfig, tape: Tape, lanes: Lanes, evidence: Evidence) -> None:
        self._config, self._tape, self._lanes, self._evidence = config, tape, lanes, evidence
        self._fills = BarFills(config.costs, config.risk.tick_size)
        self._judge = Judge(config.risk, explain=False)
        self._broker = BarBroker(Books(explain=False), self._judge, self._fills, config.cash)
        self._open: dict[str, _Position] = {}  # by order id, in the order of opening
        self._events: list[tuple[int, int, _Position]] = []  # a heap of (step * PHASES + phase, number, position)
        self._next_day = 0  # the first step of the date after the present one
        self._intents, self._numbers = count(1), count()
        self._refusals = Counter(lanes.blocked)
        self._trades: list[Trade] = []

    def result(self) -> Result:
        config, broker = self._config, self._broker
        for signal in in_order(self._tape, self._lanes.lanes, config.risk.max_holding_days):
            self._until(signal.step * PHASES + SIGNAL)
            if signal.step >= self._next_day:
                self._begin_day(signal.step)
            self._carry_out(signal)
        self._until(len(self._tape.end) * PHASES)
        for position in self._open.values():
            self._value_at_end(position)
        flows = Flows(*np.array(broker.flows, dtype=np.int64).reshape(-1, 4).T)
        return Result(
            gear=Gear.EXACT,
            fills=Fills.BARS,
            cash=config.cash,
            trades=tuple(self._trades),
            orders=tuple(broker.orders),
            curve=make_curve(self._tape, int(config.cash * UNITS), flows, config.benchmark),
            assumptions=assumptions(config),
            turnover=broker.turnover,
            refusals=self._refusals,
            failures=self._lanes.failures,
        )

    # Time

    def _until(self, moment: int) -> None:
        """Let happen what open positions wait for before a step and phase."""
        while self._events and self._events[0][0] < moment:
            when = self._events[0][0]
            waiting: list[_Position] = []
            while self._events and self._events[0][0] == when:
                waiting.append(heappop(self._events)[2])
            due = [position for position in waiting if position.order.order_id in self._open]
            step, phase = divmod(when, PHASES)
            if due and step >= self._next_day:
                self._begin_day(step)
            if due and phase == TOO_OLD:
                self._too_old(due, step)
            elif phase == REACHED:
                for position in due:
                    self._reached(position, step)

    def _begin_day(self, step: int) -> None:
        """Have risk take over what the account was worth before the first step of a date."""
        days, cash = self._tape.days, self._broker.cash
        day = int(np.searchsorted(days, step, side="right")) - 1
        self._next_day = int(days[day + 1]) if day + 1 < len(days) else len(self._tape.end)
        worth = sum((self._worth(position, int(days[day])) for position in self._open.values()), cash)
        account = AccountValues(account="backtest", net_liquidation=worth, cash=cash, buying_power=worth)
        now = to_datetime(self._tape.start[step])
        session = now.astimezone(NEW_YORK).date().isoformat()
        self._judge.reconciled(Reconciled(request_id=None, account=account, breaks=()), session, now, {})

    def _worth(self, position: _Position, step: int) -> Decimal:
        """USD at the last close before a step."""
        series = self._series(position)
        return position.quantity * to_price(int(series.close[int(np.searchsorted(series.step, step)) - 1]))

    def _series(self, position: _Position) -> Series:
        return self._tape.series[position.entry.lane.series]

    # At the open

    def _carry_out(self, signal: Signal) -> None:
        quote = self._fills.quote(signal.known.symbol, signal.opening, signal.time)
        intent_id, intent = UUID(int=next(self._intents) << 96), self._intent(signal)
        verdict, messages = self._judge.judge(intent_id, intent, {quote.symbol: quote}, signal.time, market_open=True)
        if verdict.code is not None:
            self._refusals[verdict.code] += 1
            return
        if verdict.placed is not None:
            self._enter(verdict.placed, signal)
            return
        for message in messages:
            if isinstance(message, ClosePosition):
                self._leave(message, quote, signal.step, signal.bar, ExitReason.SIGNAL)

    def _intent(self, signal: Signal) -> OrderIntent:
        intent = make_intent(
            signal.lane.instance,
            signal.known,
            leaving=signal.leaving,
            strength=signal.strength,
            stop_distance=signal.stop,
            target_distance=signal.target,
            confluence=self._evidence.confluence,
            readings=self._evidence.readings,
            at=signal.time,
            job_run_id=None,
        )
        assert not isinstance(intent, Blocked)  # noqa: S101 - the lanes have left those out
        return intent

    def _enter(self, order: PlaceOrder, signal: Signal) -> None:
        """Buy at the ask what the bar's volume allows, and then wait."""
        price, series = order.limit_price, signal.lane.series
        assert price is not None  # noqa: S101 - only combinations have none
        self._broker.place(order, signal.time)
        quantity = self._fills.entered(order.quantity, int(self._tape.series[series].volume[signal.bar]))
        if not quantity:
            for order_ref in (order.order_id, f"{order.order_id}.stop", f"{order.order_id}.target"):
                self._broker.cancel(order_ref, signal.time)
            return
        commission = self._broker.fill(order.order_id, quantity, price, signal.time, signal.step, series)
        position = _Position(next(self._numbers), signal, order, quantity, price, commission)
        self._open[order.order_id] = position
        self._wait(position)

    def _wait(self, position: _Position) -> None:
        """Note when it gets too old or reaches stop or target, unless an exit signal comes before."""
        entry, order, series = position.entry, position.order, self._series(position)
        if entry.too_old_at <= entry.leaves_at and entry.too_old_at < len(series.step):
            self._note(position, entry.too_old_at, TOO_OLD)
        if order.stop_price is None or order.target_price is None:
            return
        stop, target = int(order.stop_price * UNITS), int(order.target_price * UNITS)
        hit = first_hit(series.low, series.high, entry.bar, min(entry.too_old_at, entry.leaves_at), stop, target)
        if hit is not None:
            self._note(position, hit, REACHED)

    def _note(self, position: _Position, bar: int, phase: int) -> None:
        moment = int(self._series(position).step[bar]) * PHASES + phase
        heappush(self._events, (moment, position.number, position))

    def _too_old(self, positions: Sequence[_Position], step: int) -> None:
        now, quotes = to_datetime(self._tape.start[step]), dict[str, Quote]()
        for position in positions:
            symbol, opening = position.order.symbol, self._series(position).open[position.entry.too_old_at]
            quotes[symbol] = self._fills.quote(symbol, to_price(int(opening)), now)
        for message in self._judge.check_exits(quotes, now):
            if isinstance(message, ClosePosition):
                bar = self._open[message.order_id].entry.too_old_at
                self._leave(message, quotes[message.symbol], step, bar, ExitReason.TIME)

    def _leave(self, command: ClosePosition, quote: Quote, step: int, bar: int, reason: ExitReason) -> None:
        position, now = self._open[command.order_id], quote.time
        assert quote.bid is not None  # noqa: S101 - at an open there is always one
        assert quote.last is not None  # noqa: S101
        price = self._fills.sold(quote.bid)
        left = _Exit(now, price, quote.last, bar - position.entry.bar, reason)
        self._sell(position, self._broker.close(command, now), step, left)

    # Within the bar

    def _reached(self, position: _Position, step: int) -> None:
        """Sell at the stop, if the bar reaches it, else at the target; at the open where that is beyond."""
        series, order, entry = self._series(position), position.order, position.entry
        stop, target = order.stop_price, order.target_price
        assert stop is not None  # noqa: S101 - else nobody waits for it
        assert target is not None  # noqa: S101
        bar, end = int(np.searchsorted(series.step, step)), to_datetime(self._tape.end[step])
        bars, opening = bar - entry.bar + 1, to_price(int(series.open[bar]))
        if to_price(int(series.low[bar])) <= stop:
            level = stop if bar == entry.bar else min(opening, stop)
            left = _Exit(end, self._fills.sold(level), level, bars, ExitReason.STOP)
            self._sell(position, f"{order.order_id}.stop", step, left)
        else:
            level = target if bar == entry.bar else max(opening, target)
            self._sell(position, f"{order.order_id}.target", step, _Exit(end, level, level, bars, ExitReason.TARGET))

    # Afterwards

    def _sell(self, position: _Position, order_ref: str, step: int, left: _Exit) -> None:
        order_id, series = position.order.order_id, position.entry.lane.series
        del self._open[order_id]
        commission = self._broker.fill(order_ref, position.quantity, left.price, left.time, step, series)
        if position.order.stop_price is not None:
            for child in ("stop", "target"):  # whichever did not fill
                self._broker.cancel(f"{order_id}.{child}", left.time)
        self._trades.append(_trade(position, left, commission))

    def _value_at_end(self, position: _Position) -> None:
        series = self._series(position)
        price, bars = to_price(int(series.close[-1])), len(series.step) - position.entry.bar
        left = _Exit(to_datetime(self._tape.end[-1]), price, price, bars, ExitReason.END)
        self._trades.append(_trade(position, left, Decimal(0)))


def _trade(position: _Position, left: _Exit, commission: Decimal) -> Trade:
    order, entry, quantity = position.order, position.entry, position.quantity
    return Trade(
        order_id=order.order_id,
        strategy=order.strategy,
        symbol=order.symbol,
        side=Side.BUY,
        quantity=quantity,
        opened_at=entry.time,
        entry_price=position.price,
        closed_at=left.time,
        exit_price=left.price,
        profit=(left.price - position.price) * quantity,
        commission=position.commission + commission,
        mid_profit=(left.mid - entry.opening) * quantity,
        reason=left.reason,
        bars=left.bars,
    )
