"""The exchange: working orders against the market, session by session, and what a fill or a cancel leads to.

Assumptions beside those in `market` and `matching`:
- A bracket's children become active when their parent has filled whole; the quote that filled the parent is not
  compared with them. A child's fill cancels its siblings (OCA type 3: with full fills there is nothing to reduce).
- A DAY order still working after the closing tick is cancelled. GTC orders live on.
- Orders received while the exchange is closed rest until its next open.
"""

from collections.abc import Sequence
from datetime import datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from services.simulator.core.account import Account, CommissionSchedule, Valuation, value
from services.simulator.core.instruments import Instruments
from services.simulator.core.market import Market, Quote, Session
from services.simulator.core.matching import fill_price, first_match, priority
from services.simulator.core.orders import (
    Event,
    Executed,
    Execution,
    Notice,
    Order,
    OrderBook,
    OrderCancelled,
    OrderChanged,
    OrderKey,
    Status,
)
from services.simulator.core.rules import Refusal, closed_warning

EXCHANGE_ZONE = ZoneInfo("America/New_York")
_START_OF_DAY = time(9, 0)
_FIRST_EXECUTION_SERIAL = 0x50000001


class Exchange:
    """Virtual time, the book of orders, and the account that their fills are booked to.

    Starts at 09:00 exchange time on the first session's day. What happens is collected until `taken_events`.
    """

    def __init__(self, market: Market, cash: Decimal, commissions: CommissionSchedule) -> None:
        self.market = market
        self.instruments = Instruments(market.symbols)
        self.account = Account(cash)
        self.book = OrderBook()
        self.executions: list[Execution] = []
        first = market.sessions[0]
        self.now = datetime.combine(first.day, _START_OF_DAY, EXCHANGE_ZONE).astimezone(first.open.tzinfo)
        self._commissions = commissions
        self._events: list[Event] = []

    def valuation(self) -> Valuation:
        """Return the account at the present last prices."""
        prices: dict[str, Decimal] = {}
        for symbol, position in self.account.positions.items():
            quote = self.market.quote(symbol, self.now) if position.quantity else None
            if quote is not None:
                prices[symbol] = quote.last
        return value(self.account, prices)

    def taken_events(self) -> list[Event]:
        """Return what has happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def notice(self, key: OrderKey, refusal: Refusal) -> None:
        self._events.append(Notice(*key, refusal.code, refusal.text))

    def accept(self, family: Sequence[Order]) -> None:
        """Let new orders work: a parent and its children, or a single one."""
        for order in family:
            self._open(order)
        for order in family:
            self._match_on_arrival(order)

    def accept_change(self, order: Order) -> None:
        """Let a live order work on its new terms."""
        self._show(order)
        self._match_on_arrival(order)

    def reject(self, order: Order, refusal: Refusal) -> None:
        self.notice(order.request.key, refusal)
        self._complete(order, Status.INACTIVE, refusal.text)
        self._events.append(OrderChanged(order.copy()))

    def cancel(self, order: Order) -> None:
        """Cancel a live order and its live children."""
        self._cancel(order)
        for child in self.book.children(order):
            if child.live:
                self.cancel(child)

    def advance(self, to: datetime) -> None:
        """Move time to `to` (aware), at most to the end of the data, matching orders at every tick on the way."""
        end = min(to, self.market.last_close)
        for session in self.market.sessions_between(self.now, end):
            self._run_session(session, end)
        self.now = max(self.now, end)

    def _open(self, order: Order) -> None:
        opens = self.market.next_open(self.now)
        if self.market.session_at(self.now) is None and opens is not None:
            # before the status, since clients take the later of the two as the order's state
            listing = self.instruments.by_symbol[order.request.symbol]
            self.notice(order.request.key, closed_warning(order.request, listing, opens.astimezone(EXCHANGE_ZONE)))
        self._show(order)

    def _show(self, order: Order) -> None:
        """Set the status of a live order that rests, and tell about it."""
        working = (
            order.request.order_type == "LMT"
            and not order.waits_for_parent
            and self.market.session_at(self.now) is not None
        )
        order.status = Status.SUBMITTED if working else Status.PRE_SUBMITTED
        self._events.append(OrderChanged(order.copy()))

    # -- time -------------------------------------------------------------------------------------------------------

    def _run_session(self, session: Session, end: datetime) -> None:
        """Process the session's ticks after `now` up to `end`, and its close."""
        first = self.market.last_tick(session, self.now) + 1
        if self.now < session.open:
            self._open_session(session)
        beyond = self.market.last_tick(session, end) + 1
        while (index := self._next_match(session, first, beyond)) is not None:
            self.now = self.market.tick_time(session, index)
            self._match_tick(session, index)
            first = index + 1
        if end >= session.close:
            self.now = session.close
            self._close_session()

    def _open_session(self, session: Session) -> None:
        self.account.previous_net_liquidation = self.valuation().net_liquidation
        self.now = session.open
        for order in self.book.live():
            working = order.request.order_type == "LMT" and not order.waits_for_parent
            if working and order.status is Status.PRE_SUBMITTED:
                self._show(order)

    def _working(self) -> list[Order]:
        return [order for order in self.book.live() if not order.waits_for_parent]

    def _next_match(self, session: Session, first: int, beyond: int) -> int | None:
        """Return the next tick that fills an order; no other needs a look, since nobody acts inside one advance."""
        found: list[int] = []
        for order in self._working():
            path = self.market.path(order.request.symbol, session.day)
            if path is not None:
                index = first_match(order.request, path.last[first:beyond], self.market.spread_cents)
                if index is not None:
                    found.append(first + index)
        return min(found, default=None)

    def _match_tick(self, session: Session, index: int) -> None:
        quotes: dict[str, Quote | None] = {}
        for order in sorted(self._working(), key=priority):
            symbol = order.request.symbol
            if symbol not in quotes:
                quotes[symbol] = self.market.quote_at_tick(symbol, session, index)
            quote = quotes[symbol]
            if quote is not None and order.live:
                self._match(order, quote, arriving=False)

    def _match_on_arrival(self, order: Order) -> None:
        session = self.market.session_at(self.now)
        if session is None or not order.live or order.waits_for_parent:
            return
        index = self.market.last_tick(session, self.now)
        quote = self.market.quote_at_tick(order.request.symbol, session, index)
        if quote is not None:
            self._match(order, quote, arriving=True)

    def _match(self, order: Order, quote: Quote, *, arriving: bool) -> None:
        if order.active_after is not None and quote.time <= order.active_after:
            return
        price = fill_price(order.request, quote, arriving=arriving)
        if price is None:
            return
        if order.request.order_type == "STP":
            order.status = Status.SUBMITTED
            self._events.append(OrderChanged(order.copy()))
        self._fill(order, order.remaining, price)

    def _close_session(self) -> None:
        for order in self.book.live():
            if order.request.time_in_force == "DAY" and order.live:
                self.cancel(order)

    # -- outcomes ---------------------------------------------------------------------------------------------------

    def _fill(self, order: Order, shares: Decimal, price: Decimal) -> None:
        request = order.request
        order.filled += shares
        order.filled_value += shares * price
        order.last_fill_price = price
        commission = self._commissions.of_order(order.filled, order.filled_value) - order.commission
        order.commission += commission
        realized = self.account.trade(request.symbol, request.sign * shares, price, commission)
        if not order.remaining:
            self._complete(order, Status.FILLED, f"Filled Size: {order.filled:f}")
        execution = Execution(
            execution_id=f"0000e0d5.{_FIRST_EXECUTION_SERIAL + len(self.executions):08x}.01.01",
            order=order.copy(),
            symbol=request.symbol,
            time=self.now,
            side="BOT" if request.sign > 0 else "SLD",
            shares=shares,
            price=price,
            venue=self.instruments.by_symbol[request.symbol].primary_exchange,
            commission=commission,
            realized=realized,
        )
        self.executions.append(execution)
        self._events.append(Executed(execution))
        if not order.remaining:
            self._after_fill(order)

    def _after_fill(self, order: Order) -> None:
        for sibling in self.book.oca_siblings(order):
            self._cancel(sibling)
        for child in self.book.children(order):
            if not (child.live and child.waits_for_parent):
                continue
            child.waits_for_parent = False
            child.active_after = self.now
            self._show(child)

    def _cancel(self, order: Order) -> None:
        self._complete(order, Status.CANCELLED, "")
        self._events.append(OrderCancelled(order.copy()))

    def _complete(self, order: Order, status: Status, reason: str) -> None:
        order.status = status
        order.completed_at = self.now
        order.completed_reason = reason
