"""Conditions of orders: whether they hold, and when that may change next.

Assumptions:
- "and" binds closer than "or". All must hold at the same moment; once they have, the order works (or is cancelled) for
  good.
- Price, volume and change are compared with the instrument's last tick while it trades: in regular hours, or in all
  hours if the order says so. "More" means at or above, "less" at or below; volume is that of the trading day; change
  is in percent of the last price of the trading day before.
- The margin cushion, excess liquidity in percent of net liquidation, is looked at every whole minute of the main
  exchange's hours.
- An execution condition holds after any of the account's executions in that symbol since the order was received.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from services.simulator.core.orders import Condition, ConditionKind, Execution, Order
from services.simulator.core.tape import IntegerArray, Prices, Tape
from services.simulator.core.work import first_true, signed_units

_MINUTE = timedelta(minutes=1)
_INSTANT = timedelta(microseconds=1)


class Conditions:
    """Looks at conditions for the exchange. `cushion` returns an account's margin cushion in percent."""

    def __init__(self, prices: Prices, executions: Sequence[Execution], cushion: Callable[[str], Decimal]) -> None:
        self._prices = prices
        self._executions = executions
        self._cushion = cushion

    def met(self, order: Order, now: datetime) -> bool:
        """Return whether the conditions of an order hold."""
        holds, group = False, True
        for condition in order.request.conditions:
            group = group and self._holds(condition, order, now)
            if condition.conjunction == "o":
                holds, group = holds or group, True
        last = order.request.conditions[-1:]
        return holds or (group and not (last and last[0].conjunction == "o"))

    def next_time(self, order: Order, now: datetime) -> datetime | None:
        """Return the next moment at which conditions that do not hold now may do so; None if time does not tell.

        No condition turns from false to true between two such moments, so the whole cannot either.
        """
        times = [
            self._next_time(condition, order, now)
            for condition in order.request.conditions
            if not self._holds(condition, order, now)
        ]
        return min((time for time in times if time is not None), default=None)

    def _holds(self, condition: Condition, order: Order, now: datetime) -> bool:
        match condition.kind:
            case ConditionKind.TIME:
                assert condition.time is not None  # noqa: S101 - validated on arrival
                return now >= condition.time if condition.is_more else now < condition.time
            case ConditionKind.MARGIN:
                return _compare(condition, self._cushion(order.request.account))
            case ConditionKind.EXECUTION:
                return any(
                    self._is_meant(condition, execution) and execution.account == order.request.account
                    for execution in self._executions[order.executions_before :]
                )
            case _:
                return self._holds_in_market(condition, order, now)

    def _is_meant(self, condition: Condition, execution: Execution) -> bool:
        if execution.combo:
            return False
        instrument = self._prices.instrument(execution.contract_id)
        return instrument.symbol == condition.symbol and condition.security_type in ("", instrument.security_type)

    def _holds_in_market(self, condition: Condition, order: Order, now: datetime) -> bool:
        tape = self._prices.tape_at(condition.contract_id, now)
        if tape is None:
            return False
        index = tape.index(now)
        first, beyond = _hours(tape, order)
        return first <= index < beyond and self._first_hit(condition, tape, index, index + 1) is not None

    def _next_time(self, condition: Condition, order: Order, now: datetime) -> datetime | None:
        match condition.kind:
            case ConditionKind.TIME:
                return condition.time if condition.is_more else None
            case ConditionKind.MARGIN:
                return self._next_minute(now)
            case ConditionKind.EXECUTION:
                return None
            case _:
                return self._next_in_market(condition, order, now)

    def _next_minute(self, now: datetime) -> datetime | None:
        sessions = self._prices.sessions
        index = bisect_right(sessions, now, key=lambda session: session.close)
        if index == len(sessions):
            return None
        return max(sessions[index].open, now.replace(second=0, microsecond=0) + _MINUTE)

    def _next_in_market(self, condition: Condition, order: Order, now: datetime) -> datetime | None:
        """Return the next tick at which it holds, or the start of the next day's hours, to look again there."""
        tape = self._prices.next_tape(condition.contract_id, now)
        while tape is not None:
            first, beyond = _hours(tape, order)
            index = tape.index(now)
            if index < first:
                return tape.time(first)
            hit = self._first_hit(condition, tape, index + 1, beyond)
            if hit is not None:
                return tape.time(hit)
            tape = self._prices.next_tape(condition.contract_id, tape.end)
        return None

    def _first_hit(self, condition: Condition, tape: Tape, first: int, beyond: int) -> int | None:
        assert condition.value is not None  # noqa: S101 - validated on arrival
        values: IntegerArray = tape.volume if condition.kind is ConditionKind.VOLUME else tape.last
        unit = Decimal(1) if condition.kind is ConditionKind.VOLUME else tape.unit
        bound = condition.value
        if condition.kind is ConditionKind.PERCENT_CHANGE:
            before = self._prices.latest(tape.contract_id, tape.start - _INSTANT)
            if before is None:
                return None
            bound = before[0].price(int(before[0].last[before[1]])) * (1 + condition.value / 100)
        window = values[first:beyond]
        if condition.is_more:
            return first_true(window >= -signed_units(bound, unit, -1), first)
        return first_true(window <= signed_units(bound, unit, 1), first)


def _hours(tape: Tape, order: Order) -> tuple[int, int]:
    if order.request.conditions_outside_regular_hours:
        return 0, len(tape)
    return tape.regular[0], tape.regular[1] + 1


def _compare(condition: Condition, value: Decimal) -> bool:
    assert condition.value is not None  # noqa: S101 - validated on arrival
    return value >= condition.value if condition.is_more else value <= condition.value
