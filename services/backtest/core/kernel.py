"""The fast gear's loop, compiled when it first runs: whole numbers throughout, so that it agrees with the exact gear.

docs/backtest-rules.md says what it does, and why; `exact` does the same with the cores that trade.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import numba  # pyright: ignore[reportMissingTypeStubs]

from services.backtest.core.arrays import Account, Bar, Bars, Entries, Entry, Intent, Intents, Rules
from services.backtest.core.model import ExitReason
from services.backtest.core.tape import UNITS, Integers
from services.strategy.core.strategy import Floats

F = TypeVar("F", bound=Callable[..., Any])

LARGEST = 2**63 - 1
MICROSECONDS_A_DAY = 86_400_000_000
REASONS = (ExitReason.STOP, ExitReason.TARGET, ExitReason.SIGNAL, ExitReason.TIME, ExitReason.END)
"""Why a position ended; below their numbers."""
STOP, TARGET, SIGNAL, TIME, END = range(len(REASONS))
REFUSALS = (
    "no_position", "duplicate_intent", "price_collar", "stop_loss",
    "max_positions", "minimum_size", "max_position_size", "max_order_value",
)  # fmt: skip
"""Codes of the rules that can bite, in the order in which risk asks them; below their numbers."""
(
    NO_POSITION, DUPLICATE_INTENT, PRICE_COLLAR, STOP_LOSS,
    MAX_POSITIONS, MINIMUM_SIZE, MAX_POSITION_SIZE, MAX_ORDER_VALUE,
) = range(len(REFUSALS))  # fmt: skip

OPTIONS: dict[str, Any] = {"error_model": "numpy", "_nrt": False}
"""Of the compiler. No array is made here, so references to arrays need not be counted, which takes a tenth."""


def _inlined(function: F) -> F:
    """For what `_run` calls: put in its place, since to hand over the arrays would cost more than the work itself."""
    return cast(F, numba.njit(forceinline=True, **OPTIONS)(function))  # pyright: ignore


@_inlined
def _floor(price: int, numerator: int, denominator: int, tick: int) -> int:
    """A fraction of a price, on the tick below."""
    return price * numerator // (denominator * tick) * tick


@_inlined
def _move_on(bars: Bars, account: Account, entries: Entries, held: Integers, step: int) -> None:
    """Make the bars that end now the newest of what is held."""
    for place in range(account.open):
        entry = entries[held[place]]
        if entry.exit_bar < entry.last_bar and bars[entry.exit_bar + 1].step == step:
            entry.exit_bar += 1


@_inlined
def _close(
    rules: Rules, account: Account, entries: Entries, held: Integers, place: int, price: int, mid: int, reason: int
) -> None:
    """Sell what is at a place of `held`."""
    entry = entries[held[place]]
    commission = max(rules.commission_minimum, rules.commission_per_share * entry.quantity)
    account.cash += price * entry.quantity - commission
    account.open -= 1
    account.closed += 1
    entry.exit_price, entry.mid_exit, entry.reason, entry.closed = price, mid, reason, account.closed
    entry.commission += commission
    for later in range(place, account.open):
        held[later] = held[later + 1]


@_inlined
def _sell(
    bars: Bars, rules: Rules, account: Account, entries: Entries, held: Integers, place: int, reason: int
) -> None:
    """Sell for a reason, in the newest bar."""
    entry = entries[held[place]]
    bar, entered = bars[entry.exit_bar], entry.entry_bar == entry.exit_bar
    if reason == TARGET:
        mid = price = entry.target if entered else max(bar.open, entry.target)
    elif reason == STOP:
        mid = entry.stop if entered else min(bar.open, entry.stop)
        price = _floor(mid, rules.sold_n, rules.sold_d, rules.tick)
    else:
        mid = bar.open
        bid = _floor(mid, rules.bid_n, rules.bid_d, rules.tick)
        price = _floor(bid, rules.sold_n, rules.sold_d, rules.tick)
    _close(rules, account, entries, held, place, price, mid, reason)


@_inlined
def _reason(entry: Entry, bar: Bar, now: int) -> int:
    """Why a position ends in a bar that begins now, if it does: its age, its stop or its target; -1: it does not."""
    reason = -1
    if now >= entry.too_old_at:
        reason = TIME
    elif bar.low <= entry.stop:
        reason = STOP
    elif entry.target > 0 and bar.high >= entry.target:
        reason = TARGET
    return reason


@_inlined
def _leave(
    bars: Bars, start: Integers, rules: Rules, account: Account, entries: Entries, held: Integers, step: int, old: bool
) -> None:
    """Sell what is too old, which happens at the open, or what reaches its stop or its target, which comes later."""
    place = 0
    while place < account.open:
        entry = entries[held[place]]
        bar = bars[entry.exit_bar]
        reason = _reason(entry, bar, start[step]) if bar.step == step else -1
        if reason >= 0 and old == (reason == TIME):
            _sell(bars, rules, account, entries, held, place, reason)
        else:
            place += 1


@_inlined
def _place(account: Account, entries: Entries, held: Integers, lane: int) -> int:
    """Where in `held` a lane's position is; -1 for nowhere."""
    for place in range(account.open):
        if entries[held[place]].lane == lane:
            return place
    return -1


@_inlined
def _size(rules: Rules, equity: int, ask: int, stop: int) -> int:
    """Shares that risk's sizer gives."""
    shares = equity * rules.position_n // rules.position_d // ask
    return min(shares, equity * rules.risk_n // (rules.risk_d * stop)) if stop else shares


@_inlined
def _refusal(rules: Rules, account: Account, intent: Intent, last: int, ask: int, quantity: int) -> int:
    """The first rule after `duplicate_intent` that an entry breaks, -1 for none."""
    refusal = -1
    if (ask - last) * rules.collar_d > last * rules.collar_n:
        refusal = PRICE_COLLAR
    elif rules.require_stop and not intent.stop:
        refusal = STOP_LOSS
    elif account.open >= rules.max_positions:
        refusal = MAX_POSITIONS
    elif quantity < 1:
        refusal = MINIMUM_SIZE
    elif account.equity <= 0 or quantity > account.equity * rules.position_n // rules.position_d // ask:
        refusal = MAX_POSITION_SIZE
    elif quantity > rules.max_order_value // ask:
        refusal = MAX_ORDER_VALUE
    return refusal


@_inlined
def _enter(
    bar: Bar, rules: Rules, account: Account, entries: Entries, held: Integers, intent: Intent, number: int, now: int
) -> int:
    """Buy at the ask as much as takes part in the bar's volume; returns why not, -1 if risk lets it."""
    ask = -_floor(-bar.open, rules.ask_n, rules.ask_d, rules.tick)
    ordered = intent.quantity if intent.quantity else _size(rules, account.equity, ask, intent.stop)
    refusal = _refusal(rules, account, intent, bar.open, ask, ordered)
    if refusal >= 0:
        return refusal
    quantity = min(ordered, bar.volume * rules.participation_n // rules.participation_d)
    entry = entries[account.entered]
    entry.lane, entry.number, entry.last_bar, entry.entry_price = intent.lane, number, intent.last_bar, ask
    entry.entry_bar, entry.exit_bar, entry.ordered, entry.quantity = intent.bar, intent.bar, ordered, quantity
    entry.too_old_at = now + rules.max_holding_days * MICROSECONDS_A_DAY
    if intent.stop:
        entry.stop = max(-_floor(intent.stop - ask, 1, 1, rules.tick), rules.tick)
        entry.target = -_floor(-ask - (intent.target if intent.target else ask), 1, 1, rules.tick)
    if quantity:
        entry.commission = max(rules.commission_minimum, rules.commission_per_share * quantity)
        account.cash -= ask * quantity + entry.commission
        held[account.open] = account.entered
        account.open += 1
    account.entered += 1
    return -1


@_inlined
def _carry_out(
    bars: Bars, rules: Rules, account: Account, entries: Entries, held: Integers, intent: Intent, number: int, now: int
) -> int:
    """Leave, or enter; returns the number of the rule that forbids it, -1 for none."""
    place = _place(account, entries, held, intent.lane)
    if not intent.leaving:
        if place >= 0:
            return DUPLICATE_INTENT
        return _enter(bars[intent.bar], rules, account, entries, held, intent, number, now)
    if place < 0:
        return NO_POSITION
    _sell(bars, rules, account, entries, held, place, SIGNAL)
    return -1


@_inlined
def _coast_alone(
    bars: Bars, start: Integers, day: Integers, account: Account, entry: Entry,
    step: int, until: int, value: Floats,
) -> int:  # fmt: skip
    """`_coast` where one position is held: with everything in local variables, which is a tenth quicker."""
    worth, cash = account.worth, account.cash
    place, last, quantity = entry.exit_bar, entry.last_bar, entry.quantity
    stop, target, too_old_at = entry.stop, entry.target or LARGEST, entry.too_old_at
    while step < until:
        if place < last and bars[place + 1].step == step:
            place += 1
            if start[step] >= too_old_at or bars[place].low <= stop or bars[place].high >= target:
                break
        total = quantity * bars[place].close
        if day[step] == step:
            account.equity = worth
        worth = cash + total
        value[step] = worth / UNITS
        step += 1
    entry.exit_bar, account.worth = place, worth
    return step


@_inlined
def _coast(
    bars: Bars, start: Integers, day: Integers, account: Account, entries: Entries, held: Integers,
    step: int, until: int, value: Floats,
) -> int:  # fmt: skip
    """Value what is held from `step` up to the first at which something is sold, or to `until`; returns that step.

    Most of the time is spent here: what `_move_on` does is written out.
    """
    worth, cash, opened = account.worth, account.cash, account.open
    if opened == 0:  # all at once
        value[step:until] = worth / UNITS
        if day[step] < until:
            account.equity = worth
        return until
    if opened == 1:
        return _coast_alone(bars, start, day, account, entries[held[0]], step, until, value)
    while step < until:
        total = 0
        for place in range(opened):
            entry = entries[held[place]]
            if entry.exit_bar < entry.last_bar and bars[entry.exit_bar + 1].step == step:
                entry.exit_bar += 1
                if _reason(entry, bars[entry.exit_bar], start[step]) >= 0:
                    account.worth = worth
                    return step
            total += entry.quantity * bars[entry.exit_bar].close
        if day[step] == step:
            account.equity = worth
        worth = cash + total
        value[step] = worth / UNITS
        step += 1
    account.worth = worth
    return step


def _run(
    bars: Bars, start: Integers, day: Integers, intents: Intents, rules: Rules, account: Account, entries: Entries,
    held: Integers, refusals: Integers, value: Floats,
) -> None:  # fmt: skip
    """Trade with the cash of `account`; fills the last five.

    Args:
        start: us since the epoch, one a step, like `value` (USD).
        day: for each step the first one at or after it that begins a New York date.
        held: the open positions as places in `entries`, in the order of opening. refusals: counts of `REFUSALS`.
    """
    signal, step = 0, 0
    account.worth = account.cash
    while step < len(start):
        until = intents[signal].step if signal < len(intents) else len(start)
        step = _coast(bars, start, day, account, entries, held, step, until, value)
        if step == len(start):
            break
        if day[step] == step:
            account.equity = account.worth
        if account.open > 0:
            _move_on(bars, account, entries, held, step)
            _leave(bars, start, rules, account, entries, held, step, True)
        while signal < len(intents) and intents[signal].step == step:
            refusal = _carry_out(bars, rules, account, entries, held, intents[signal], signal + 1, start[step])
            if refusal >= 0:
                refusals[refusal] += 1
            signal += 1
        if account.open > 0:
            _leave(bars, start, rules, account, entries, held, step, False)
        total = 0
        for place in range(account.open):
            entry = entries[held[place]]
            total += entry.quantity * bars[entry.exit_bar].close
        account.worth = account.cash + total
        value[step] = account.worth / UNITS
        step += 1
    for place in range(account.open):
        entry = entries[held[place]]
        entry.exit_price = entry.mid_exit = bars[entry.exit_bar].close
        entry.reason, entry.closed = END, account.closed + 1 + place


@cache
def run() -> Callable[..., None]:
    """`_run`, compiled. The first time ever takes seconds; it is then read from the cache beside this file, or in
    NUMBA_CACHE_DIR."""
    return cast(Callable[..., None], numba.njit(cache=True, nogil=True, **OPTIONS)(_run))  # pyright: ignore
