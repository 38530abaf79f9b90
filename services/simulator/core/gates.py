"""What an order must pass before it works: its parent, its time, its conditions, its hours, a locate.

Once it has passed, it works to its end (until it is changed). Assumption: shares for a short sale are looked for when
nothing else keeps the order from working, and again at the start of each trading day.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from services.simulator.core.conditions import Conditions
from services.simulator.core.corporate import CorporateAction
from services.simulator.core.hours import EXCHANGE_ZONE, Stretch
from services.simulator.core.instruments import SecurityType
from services.simulator.core.ledger import Ledger
from services.simulator.core.order_types import ORDER_TYPES, PEGGED, Trading
from services.simulator.core.orders import Order, Status
from services.simulator.core.tape import Prices
from services.simulator.core.work import awaits_trigger


class TradedPrices(Prices, Protocol):
    """Prices of a market in which shares can be borrowed, and whose companies pay dividends and split shares."""

    def shortable(self, contract_id: int, day: date) -> int:
        """Return how many shares can be borrowed that day."""
        ...

    def actions(self, contract_id: int) -> Sequence[CorporateAction]: ...


class Gates:
    def __init__(self, prices: TradedPrices, ledger: Ledger, cushion: Callable[[str], Decimal]) -> None:
        self._prices = prices
        self._ledger = ledger
        self._conditions = Conditions(prices, ledger.executions, cushion)
        self._passed: set[int] = set()

    def forget(self, order: Order) -> None:
        """Let a changed order pass again; conditions that were met stay so."""
        self._passed.discard(order.sequence)

    def passed(self, order: Order) -> bool:
        return order.sequence in self._passed

    def admit(self, order: Order, stretch: Stretch | None, now: datetime) -> bool:
        """Return whether an order may work now, and keep in the order how far it has got."""
        if self.passed(order):
            return True
        if self._must_wait(order, now) or stretch is None or stretch.start > now:
            return False
        if not order.located and now > stretch.start:
            return False
        order.located = self._is_located(order, now)
        if order.located:
            self._passed.add(order.sequence)
        return order.located

    def status(self, order: Order, stretch: Stretch | None, now: datetime) -> Status:
        """Return a live order's status: submitted once it rests at the exchange, and so over night."""
        if order.filled or order.triggered:
            return Status.SUBMITTED
        trading = ORDER_TYPES[order.request.order_type].trading
        rests = trading is Trading.LIMIT or trading in PEGGED
        if not rests or awaits_trigger(order) or order.request.time_in_force == "OPG":
            return Status.PRE_SUBMITTED
        if self.passed(order) and order.status is Status.SUBMITTED:
            return Status.SUBMITTED
        trades = stretch is not None and stretch.start <= now and order.located
        return Status.SUBMITTED if trades and not self._must_wait(order, now) else Status.PRE_SUBMITTED

    def is_cancelled_by_conditions(self, order: Order, now: datetime) -> bool:
        request = order.request
        return request.conditions_cancel and bool(request.conditions) and self._conditions.met(order, now)

    def next_moment(self, order: Order, stretch: Stretch | None, now: datetime) -> datetime | None:
        """Return when the answers to the questions above may change, apart from a parent's fill; None if never."""
        request = order.request
        if request.conditions_cancel and request.conditions:
            return now if self._conditions.met(order, now) else self._conditions.next_time(order, now)
        if self.passed(order) or order.waits_for_parent:
            return None
        if request.good_after is not None and request.good_after > now:
            return request.good_after
        if self._must_wait(order, now):
            return self._conditions.next_time(order, now)
        return now if order.located and stretch is not None and stretch.start <= now else None

    def _must_wait(self, order: Order, now: datetime) -> bool:
        request = order.request
        if order.waits_for_parent or (request.good_after is not None and request.good_after > now):
            return True
        if request.conditions and not request.conditions_cancel and not order.conditions_met:
            order.conditions_met = self._conditions.met(order, now)
            return not order.conditions_met
        return False

    def _is_located(self, order: Order, now: datetime) -> bool:
        """Return whether a sale is covered by shares held or to be borrowed."""
        request = order.request
        if request.action == "BUY" or request.legs:
            return True
        if self._prices.instrument(request.contract_id).security_type is not SecurityType.STOCK:
            return True
        held = self._ledger.account(request.account).quantity(request.contract_id)
        wanted = order.remaining - max(held, Decimal(0))
        day = now.astimezone(EXCHANGE_ZONE).date()
        return wanted <= 0 or wanted <= self._prices.shortable(request.contract_id, day)
