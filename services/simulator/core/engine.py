"""The broker: commands in, events out, on virtual time.

Every command is a plain method that returns the events it caused, in order. The same commands in the same order give
the same ids, fills and balances, which is how a restart rebuilds the state from the journal.

An order id must be higher than all that the client has used before, except to change a live order. An order that is
not transmitted is held here, unseen, until a member of its family (a parent and its children) is.
"""

from datetime import date, datetime, time
from decimal import Decimal

from services.simulator.core.account import Account, CommissionSchedule, Valuation
from services.simulator.core.exchange import EXCHANGE_ZONE, Exchange
from services.simulator.core.instruments import Instruments
from services.simulator.core.market import Market
from services.simulator.core.matching import market_price
from services.simulator.core.orders import (
    Event,
    Execution,
    Order,
    OrderBook,
    OrderRequest,
    ReceivedOrder,
    Status,
    received,
)
from services.simulator.core.rules import Refusal, refuse_cancel, refuse_change, refuse_margin, refuse_terms

_FIRST_PERMANENT_ID = 1_400_000_001


class Engine:
    """One account at one simulated broker, which trades `market` alone."""

    def __init__(self, market: Market, cash: Decimal, commissions: CommissionSchedule) -> None:
        self._exchange = Exchange(market, cash, commissions)
        self.market = market
        self.instruments: Instruments = self._exchange.instruments
        self.account: Account = self._exchange.account
        self.book: OrderBook = self._exchange.book
        self.executions: list[Execution] = self._exchange.executions
        self.received: list[ReceivedOrder] = []
        self._sequence = 0

    # -- queries ----------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """Virtual time, UTC."""
        return self._exchange.now

    @property
    def finished(self) -> bool:
        """True when the data have ended."""
        return self.now >= self.market.last_close

    @property
    def today(self) -> date:
        return self.now.astimezone(EXCHANGE_ZONE).date()

    def midnight(self) -> datetime:
        """Return the start of the exchange's present day, which executions and completed orders are kept from."""
        return datetime.combine(self.today, time(), EXCHANGE_ZONE)

    def next_order_id(self, client_id: int) -> int:
        return self.book.highest_id.get(client_id, 0) + 1

    def last_price(self, symbol: str) -> Decimal | None:
        quote = self.market.quote(symbol, self.now)
        return quote.last if quote else None

    def valuation(self) -> Valuation:
        """Return the account at the present last prices."""
        return self._exchange.valuation()

    # -- commands ---------------------------------------------------------------------------------------------------

    def advance(self, to: datetime) -> list[Event]:
        """Move time to `to` (aware), at most to the end of the data, matching orders at every tick on the way."""
        self._exchange.advance(to)
        return self._exchange.taken_events()

    def place(self, request: OrderRequest) -> list[Event]:
        """Receive a new order, or new terms for one of the same client and order id."""
        existing = self.book.orders.get(request.key)
        refusal = self._refuse(request, existing)
        if refusal is None and existing is not None and existing.live:
            self._change(existing, request)
        elif refusal is None:
            self._receive(request)
        else:
            self._exchange.notice(request.key, refusal)
        highest = self.book.highest_id.get(request.client_id, 0)
        self.book.highest_id[request.client_id] = max(highest, request.order_id)
        return self._exchange.taken_events()

    def cancel(self, client_id: int, order_id: int) -> list[Event]:
        """Cancel one order of a client, and its children."""
        order = self.book.orders.get((client_id, order_id))
        refusal = refuse_cancel(order, order_id)
        if order is not None and order.status is not Status.HELD:
            self._record("cancel", order.request)
        if refusal is not None:
            self._exchange.notice((client_id, order_id), refusal)
        elif order is not None:
            self._exchange.cancel(order)
        return self._exchange.taken_events()

    def cancel_all(self) -> list[Event]:
        """Cancel every live order of every client."""
        self.received.append(ReceivedOrder(self.now, "cancel_all"))
        for order in self.book.live():
            if order.live:  # not yet cancelled with its parent
                self._exchange.cancel(order)
        return self._exchange.taken_events()

    def drop_held(self, client_id: int) -> list[Event]:
        """Forget a client's orders that were never transmitted: they live only as long as its connection.

        Their ids are free again, so that a client that lost its connection in the middle of a bracket can send it
        once more under the same ids.
        """
        dropped: set[int] = set()
        for key, order in list(self.book.orders.items()):
            if order.status is Status.HELD and order.request.client_id == client_id:
                dropped.add(order.request.order_id)
                del self.book.orders[key]
        while self.book.highest_id.get(client_id, 0) in dropped:
            self.book.highest_id[client_id] -= 1
        return []

    # -- receiving --------------------------------------------------------------------------------------------------

    def _refuse(self, request: OrderRequest, existing: Order | None) -> Refusal | None:
        if existing is not None and existing.status is not Status.HELD:
            return refuse_change(existing, request) or refuse_terms(request)
        if existing is None and request.order_id < self.next_order_id(request.client_id):
            return Refusal(103, "Duplicate order id")
        if request.parent_id:
            parent = self.book.orders.get((request.client_id, request.parent_id))
            if parent is None:
                return Refusal(135, f"Can't find order with id ={request.parent_id}")
            if parent.status in (Status.CANCELLED, Status.INACTIVE):
                return Refusal(201, f"Order rejected - reason:Parent order {request.parent_id} is {parent.status}")
        return refuse_terms(request)

    def _receive(self, request: OrderRequest) -> None:
        parent = self.book.orders.get((request.client_id, request.parent_id)) if request.parent_id else None
        replaced = self.book.orders.pop(request.key, None)
        order = Order(
            request=request,
            permanent_id=replaced.permanent_id if replaced else _FIRST_PERMANENT_ID + self._sequence,
            status=Status.HELD,
            oca_group=str(parent.permanent_id) if parent else request.oca_group,
            root=parent.root if parent else request.key,
            sequence=replaced.sequence if replaced else self._sequence,
            waits_for_parent=parent is not None and parent.status is not Status.FILLED,
        )
        if replaced is None:
            self._sequence += 1
        self.book.orders[request.key] = order
        if request.transmit:
            family = [member for member in self.book.family(order) if member.status is Status.HELD]
            self._transmit(sorted(family, key=lambda member: member.sequence))

    def _transmit(self, family: list[Order]) -> None:
        """Send a parent and its children, or a single order, to the exchange."""
        for order in family:
            self._record("place", order.request)
        refusal = self._refuse_margin(family[0])
        if refusal is None:
            self._exchange.accept(family)
            return
        for order in family:
            self._exchange.reject(order, refusal)

    def _refuse_margin(self, order: Order) -> Refusal | None:
        request = order.request
        quote = self.market.quote(request.symbol, self.now)
        price = request.limit_price or request.stop_price or (quote and market_price(request, quote))
        if order.waits_for_parent or price is None:
            return None
        return refuse_margin(request, self.account.quantity(request.symbol), price, self.valuation())

    def _change(self, order: Order, request: OrderRequest) -> None:
        self._record("modify", request)
        order.request = request
        self._exchange.accept_change(order)

    def _record(self, what: str, request: OrderRequest) -> None:
        parent = self.book.orders.get((request.client_id, request.parent_id)) if request.parent_id else None
        self.received.append(received(self.now, what, request, parent.request.order_ref if parent else ""))
