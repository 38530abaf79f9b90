"""The exchange and virtual time: working orders against the market, and what a fill or a cancel leads to.

Time goes from one moment that matters to the next: the next tick that does something to an order, the end of an
order, the start of a trading day, a night. Between them nothing can happen, since nobody acts inside one advance.

Assumptions beside those in `matching` and the modules it names:
- Orders received while their instrument does not trade rest until it does.
- The end of the data ends no order: what still works then stays.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time
from decimal import Decimal

from services.simulator.core.account import Account
from services.simulator.core.agenda import Agenda
from services.simulator.core.book import OrderBook
from services.simulator.core.corporate import Overnight
from services.simulator.core.days import Days
from services.simulator.core.families import Families
from services.simulator.core.gates import Gates, TradedPrices
from services.simulator.core.hours import EXCHANGE_ZONE, last_moment
from services.simulator.core.ledger import Ledger
from services.simulator.core.matching import Fill, Matcher, priority
from services.simulator.core.order_types import ORDER_TYPES, Trading
from services.simulator.core.orders import (
    ConditionKind,
    Event,
    Executed,
    Notice,
    Order,
    OrderCancelled,
    OrderChanged,
    OrderKey,
    OrderRequest,
    Status,
)
from services.simulator.core.places import Places
from services.simulator.core.rules import LOCATING, Refusal, closed_warning
from services.simulator.core.triggers import elected_limit
from services.simulator.core.valuation import Valuation, mark, value
from services.simulator.core.work import Work, awaits_trigger

_START_OF_DAY = time(9, 0)
_ONE_DAY = frozenset({"DAY", "IOC", "FOK", "OPG"})
_TRIGGER_TERMS = ("order_type", "aux_price", "trail_stop_price", "trailing_percent")
_AT_ONCE = frozenset({"IOC", "FOK"})


class Exchange:
    """Starts at 09:00 exchange time on the first session's day. What happens is collected until `taken_events`."""

    def __init__(self, prices: TradedPrices, ledger: Ledger, overnight: Overnight) -> None:
        self.prices = prices
        self.ledger = ledger
        self.book = OrderBook()
        first = prices.sessions[0]
        self.now = datetime.combine(first.day, _START_OF_DAY, EXCHANGE_ZONE).astimezone(first.open.tzinfo)
        self._agenda = Agenda()
        self._matcher = Matcher(prices)
        self._families = Families(self.book, self)
        self._gates = Gates(prices, ledger, lambda account_id: self.valuation(ledger.account(account_id)).cushion)
        self._days = Days(prices, ledger, overnight, self.book, self)
        self._places = Places(self._matcher)
        self._watching_executions: dict[int, Order] = {}
        self._events: list[Event] = []

    # -- what the engine asks ---------------------------------------------------------------------------------------

    @property
    def end(self) -> datetime:
        """When the data end: nothing moves after it."""
        return self.prices.sessions[-1].close

    def price(self, contract_id: int) -> Decimal | None:
        """Return the price that a position has now."""
        return mark(self.prices, contract_id, self.now)

    def valuation(self, account: Account) -> Valuation:
        return value(account, self.prices.instrument, self.price)

    def taken_events(self) -> list[Event]:
        """Return what has happened since the last call, in order."""
        self._run(self.now)
        events, self._events = self._events, []
        return events

    def tell(self, event: Event) -> None:
        self._events.append(event)

    def notice(self, key: OrderKey, refusal: Refusal) -> None:
        self.tell(Notice(*key, refusal.code, refusal.text))

    # -- what happens to orders -------------------------------------------------------------------------------------

    def accept(self, order: Order) -> None:
        """Let a new order work."""
        order.expires = last_moment(order.request, self.now)
        order.stop = order.request.trail_stop_price
        order.executions_before = len(self.ledger.executions)
        if any(condition.kind is ConditionKind.EXECUTION for condition in order.request.conditions):
            self._watching_executions[order.sequence] = order
        self._warn_if_closed(order)
        self._show(order)
        self._agenda.enter(order, self.now)

    def accept_change(self, order: Order, request: OrderRequest) -> None:
        """Let a live order work on its new terms: in its place if only its quantity is less, else as if it came now.

        What has been triggered stays so, unless the trigger is another.
        """
        request = self._families.within_reduction(order, request)
        before, order.request = order.request, request
        if any(getattr(before, name) != getattr(request, name) for name in _TRIGGER_TERMS):
            order.triggered, order.stop, order.working_limit = False, request.trail_stop_price, None
        if order.working_limit is not None and before.limit_price != request.limit_price:
            order.working_limit = request.limit_price
        order.expires = last_moment(request, self.now)
        if request.quantity > before.quantity or replace(before, quantity=request.quantity) != request:
            self._places.leave(order)
            self._gates.forget(order)
        self._show(order)
        self._agenda.enter(order, self.now)

    def reject(self, order: Order, refusal: Refusal) -> None:
        self.notice(order.request.key, refusal)
        self._complete(order, Status.INACTIVE, refusal.text)
        self.tell(OrderChanged(order.copy()))

    def cancel(self, order: Order, reason: str = "") -> None:
        """Cancel a live order, and what depends on it."""
        if order.live:
            self._complete(order, Status.CANCELLED, reason)
            self.tell(OrderCancelled(order.copy(), reason))
            self._families.after_cancel(order)

    def reconsider(self, order: Order) -> None:
        """Tell about an order that has become smaller; it may still be compared with the present tick."""
        self._show(order)
        self._agenda.enter(order, self.now)

    def activate(self, order: Order) -> None:
        """Let a child fill (more) from the next tick on."""
        order.active_after = self.now
        self._places.catch_up(order, self.now)
        if order.waits_for_parent:
            order.waits_for_parent = False
            self._show(order)
        self._schedule(order)

    # -- time -------------------------------------------------------------------------------------------------------

    def advance(self, to: datetime) -> None:
        """Move time to `to` (aware), at most to the end of the data, through everything that happens on the way."""
        end = min(to, self.end)
        self._run(end)
        self.now = max(self.now, end)
        self._places.trail(self.now)

    def _run(self, end: datetime) -> None:
        while True:
            due = self._agenda.next()
            moment = end if due is None else min(due, end)
            calendar = self._days.next(self.now, moment)
            if calendar is not None:
                self.now, happen = calendar
                happen(self.now)
            elif due is None or due > end:
                return
            else:
                self.now = max(self.now, due)
                self._attend(self._agenda.take(self.now))

    def _attend(self, orders: Sequence[Order]) -> None:
        """Give all orders that are due their moment: matches first, then ends, then what is next."""
        for order in sorted(orders, key=priority):
            if order.live:
                self._consider(order)
        for order in orders:
            if order.live and order.expires is not None and order.expires <= self.now:
                self.cancel(order)
        for order in orders:
            self._schedule(order)

    def _schedule(self, order: Order) -> None:
        """Enter the next moment that matters to an order."""
        if not order.live:
            return
        stretch = self._places.stretch(order, self.now)
        if stretch is not None and stretch.end <= self.now:
            self._places.leave(order)
            stretch = self._places.stretch(order, self.now)
        if order.expires is None and order.request.time_in_force in _ONE_DAY:
            order.expires = self._days.next_close(self.now) if stretch is None else stretch.end
        if stretch is None:
            self._end_if_expired(order)
        moments = (
            order.expires,
            self._places.next_moment(order, self.now, self._families.allowance(order)),
            self._gates.next_moment(order, stretch, self.now),
        )
        self._agenda.enter(order, min((moment for moment in moments if moment is not None), default=None))

    def _end_if_expired(self, order: Order) -> None:
        """Let an order on a contract that will never trade again end now."""
        expiry = None if order.request.legs else self.prices.instrument(order.request.contract_id).expiry
        if expiry is not None and expiry <= self.now.astimezone(EXCHANGE_ZONE).date():
            order.expires = self.now

    # -- working ----------------------------------------------------------------------------------------------------

    def _consider(self, order: Order) -> None:
        """Let an order through its gates, and compare it with the present tick."""
        if self._gates.is_cancelled_by_conditions(order, self.now):
            self.cancel(order)
        elif self._admit(order):
            work, begins = self._places.work(order, self.now)
            if work is None:
                return
            if begins and order.status is not self._status(order):
                self._show(order)
            index = work.tape.index(self.now)
            if work.considered < index < work.beyond and not work.tape.halted(index):
                self._compare(order, work, index)

    def _admit(self, order: Order) -> bool:
        was_located = order.located
        admitted = self._gates.admit(order, self._places.stretch(order, self.now), self.now)
        if was_located and not order.located:
            self.notice(order.request.key, LOCATING)
            self._show(order)
        return admitted

    def _compare(self, order: Order, work: Work, index: int) -> None:
        self._matcher.pass_over(work, index - 1)
        if index and work.tape.halted(index - 1):
            work.fresh = True
        if self._matcher.reached(work, index):
            if awaits_trigger(order):
                self._elect(order, work)
            for fill in self._matcher.take(work, index, self._families.allowance(order)):
                self._execute(order, fill)
            if order.live and order.request.time_in_force in _AT_ONCE:
                self.cancel(order)
        if order.live:
            self._matcher.rest(work, index)

    def _elect(self, order: Order, work: Work) -> None:
        order.working_limit = elected_limit(work)
        order.triggered = work.fresh = True
        order.status = Status.SUBMITTED
        self.tell(OrderChanged(order.copy()))

    def _execute(self, order: Order, fill: Fill) -> None:
        order.filled += fill.quantity
        order.filled_value += fill.quantity * fill.price
        order.last_fill_price = fill.price
        if ORDER_TYPES[order.request.order_type].trading is Trading.MARKET_TO_LIMIT:
            order.working_limit = fill.price
        order.status = Status.SUBMITTED
        if not order.remaining:
            self._complete(order, Status.FILLED, f"Filled Size: {order.filled:f}")
        if fill.legs:
            executions = self.ledger.fill_combination(order, fill.quantity, fill.price, fill.legs, self.now)
        else:
            executions = [self.ledger.fill(order, fill.quantity, fill.price, self.now, resting=fill.resting)]
        for execution in executions:
            self.tell(Executed(execution))
        self._families.after_fill(order, fill.quantity)
        for other in self._watching_executions.values():
            self._agenda.enter(other, self.now)

    def _complete(self, order: Order, status: Status, reason: str) -> None:
        order.status = status
        order.completed_at = self.now
        order.completed_reason = reason
        self._places.leave(order)
        self._watching_executions.pop(order.sequence, None)
        self._agenda.enter(order, None)

    # -- telling ----------------------------------------------------------------------------------------------------

    def _show(self, order: Order) -> None:
        """Set the status of a live order, and tell about it."""
        order.status = self._status(order)
        self.tell(OrderChanged(order.copy()))

    def _status(self, order: Order) -> Status:
        return self._gates.status(order, self._places.stretch(order, self.now), self.now)

    def _warn_if_closed(self, order: Order) -> None:
        stretch = self._places.stretch(order, self.now)
        if stretch is not None and stretch.start > self.now and order.request.good_after is None:
            # before the status, since clients take the later of the two as the order's state
            legs, lookup = order.request.legs, self.prices.instrument
            instrument = None if legs else lookup(order.request.contract_id)
            opens = stretch.start.astimezone(EXCHANGE_ZONE)
            self.notice(order.request.key, closed_warning(order.request, instrument, opens))
