"""The broker: commands in, events out, on virtual time.

Every command is a plain method that returns the events it caused, in order. The same commands in the same order give
the same ids, fills and balances, which is how a restart rebuilds the state from the journal.

An order id must be higher than all that the client has used before, except to change a live order. An order that is
not transmitted is held here, unseen, until a member of its family (a parent and its children) is.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal

from services.simulator.core.account import ZERO, Account
from services.simulator.core.book import OrderBook
from services.simulator.core.commissions import Commissions
from services.simulator.core.corporate import Instruction, Overnight
from services.simulator.core.exchange import Exchange
from services.simulator.core.hours import EXCHANGE_ZONE
from services.simulator.core.ledger import Ledger
from services.simulator.core.market import Market
from services.simulator.core.orders import (
    Event,
    Executed,
    Execution,
    Order,
    OrderRequest,
    PositionMoved,
    ReceivedOrder,
    Status,
    received,
)
from services.simulator.core.rules import (
    OUTSIDE_IGNORED,
    Refusal,
    ignores_outside_hours,
    refuse_auction,
    refuse_cancel,
    refuse_change,
    refuse_number,
    refuse_terms,
    rejected,
)
from services.simulator.core.valuation import Valuation
from services.simulator.core.what_if import WhatIf, try_order

_FIRST_PERMANENT_ID = 1_400_000_001


class Engine:
    """One simulated broker, which trades `market` alone. Every one of `account_ids` starts with `cash` in USD."""

    def __init__(
        self,
        market: Market,
        account_ids: Sequence[str],
        cash: Decimal,
        commissions: Commissions,
        borrow_fee: Decimal = ZERO,
    ) -> None:
        ledger = Ledger(market, [Account(account_id, cash) for account_id in account_ids], commissions)
        self._overnight = Overnight(market, market.actions, borrow_fee)
        self._exchange = Exchange(market, ledger, self._overnight)
        self._ledger = ledger
        self._commissions = commissions
        self.market = market
        self.accounts: dict[str, Account] = ledger.accounts
        self.book: OrderBook = self._exchange.book
        self.executions: list[Execution] = ledger.executions
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
        return self.now >= self._exchange.end

    @property
    def today(self) -> date:
        return self.now.astimezone(EXCHANGE_ZONE).date()

    def midnight(self) -> datetime:
        """Return the start of the exchange's present day, which executions and completed orders are kept from."""
        return datetime.combine(self.today, time(), EXCHANGE_ZONE)

    def next_order_id(self, client_id: int) -> int:
        return self.book.highest_id.get(client_id, 0) + 1

    def next_manual_id(self) -> int:
        """Return the id of the next order entered by hand: an order of client 0, with a negative id."""
        return min((order_id for client_id, order_id in self.book.orders if client_id == 0 > order_id), default=0) - 1

    def valuation(self, account_id: str = "") -> Valuation:
        """Return an account, by default the first one, at the present prices."""
        return self._exchange.valuation(self._ledger.account(account_id))

    def what_if(self, request: OrderRequest) -> WhatIf | Refusal:
        """Return what an order would do to its account, or why it would be refused. Nothing changes."""
        request = self._normal(request)
        refusal = refuse_terms(request, self.market, self.now)
        if refusal is not None:
            return refusal
        return self._try(request, request.quantity) or rejected("The contract has no price")

    def refuse_exercise(
        self, account_id: str, contract_id: int, contracts: Decimal, lapse: bool, override: bool = False
    ) -> str | None:
        """Return why options cannot be exercised (or left to lapse), None if they can."""
        instruction = Instruction(not lapse, contracts, override)
        return self._overnight.refuse(self._ledger.account(account_id), contract_id, instruction, self.now)

    # -- commands ---------------------------------------------------------------------------------------------------

    def advance(self, to: datetime) -> list[Event]:
        """Move time to `to` (aware), at most to the end of the data, matching orders at every tick on the way."""
        self._exchange.advance(to)
        return self._exchange.taken_events()

    def place(self, request: OrderRequest) -> list[Event]:
        """Receive a new order, or new terms for one of the same client and order id.

        Raises KeyError for a contract or account that there is not.
        """
        request = self._normal(request)
        existing = self.book.orders.get(request.key)
        refusal = self._refuse(request, existing)
        if refusal is not None:
            self._exchange.notice(request.key, refusal)
        elif existing is not None and existing.live:
            self._change(existing, request)
        else:
            self._receive(request)
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
        """Cancel every live order of every client. Each can be cancelled here, so IBKR's error 161 never comes."""
        self.received.append(ReceivedOrder(self.now, "cancel_all"))
        for order in self.book.live():
            self._exchange.cancel(order)  # does nothing to those cancelled with their parents
        return self._exchange.taken_events()

    def drop_held(self, client_id: int) -> list[Event]:
        """Forget a client's orders that were never transmitted: they live only as long as its connection.

        Their ids are free again, so that a client that lost its connection in the middle of a bracket can send it
        once more under the same ids.
        """
        dropped = {order.request.order_id for order in self.book.held() if order.request.client_id == client_id}
        for order_id in dropped:
            self.book.remove((client_id, order_id))
        while self.book.highest_id.get(client_id, 0) in dropped:
            self.book.highest_id[client_id] -= 1
        return []

    def exercise(
        self, account_id: str, contract_id: int, contracts: Decimal, lapse: bool, override: bool = False
    ) -> list[Event]:
        """Have options exercised in the next night, or not at expiry; does nothing if that cannot be."""
        if self.refuse_exercise(account_id, contract_id, contracts, lapse, override) is None:
            instruction = Instruction(not lapse, contracts, override)
            self._overnight.instruct(self._ledger.account(account_id), contract_id, instruction)
        return self._exchange.taken_events()

    def edit_position(
        self, account_id: str, contract_id: int, quantity: Decimal, average_price: Decimal
    ) -> list[Event]:
        """Set a position as if it had been traded or transferred somewhere else, without commissions."""
        account = self._ledger.account(account_id)
        account.edit(self.market.instrument(contract_id), quantity, average_price)
        self._exchange.tell(PositionMoved(account.account_id, contract_id))
        return self._exchange.taken_events()

    def correct(self, execution_id: str, price: Decimal) -> list[Event]:
        """Let the exchange correct the price of an execution; does nothing to a combination's or an unknown one."""
        before = next((item for item in self.executions if item.execution_id == execution_id), None)
        order = None if before is None else self.book.orders.get(before.order.request.key)
        if before is not None and order is not None and not before.combo:
            self._exchange.tell(Executed(self._ledger.correct(before, order, price)))
        return self._exchange.taken_events()

    # -- receiving --------------------------------------------------------------------------------------------------

    def _normal(self, request: OrderRequest) -> OrderRequest:
        """Return the request with its account named; which must be there."""
        return replace(request, account=self._ledger.account(request.account).account_id)

    def _refuse(self, request: OrderRequest, existing: Order | None) -> Refusal | None:
        if existing is not None and existing.status is not Status.HELD:
            return (
                refuse_change(existing, request)
                or self._refuse_terms(request)
                or self._refuse_growth(request, existing)
            )
        by_hand = request.client_id == 0 and request.order_id == self.next_manual_id()
        if existing is None and request.order_id < self.next_order_id(request.client_id) and not by_hand:
            return Refusal(103, "Duplicate order id")
        if request.parent_id:
            parent = self.book.orders.get((request.client_id, request.parent_id))
            if parent is None:
                return Refusal(135, f"Can't find order with id ={request.parent_id}")
            if parent.status in (Status.CANCELLED, Status.INACTIVE):
                return rejected(f"Parent order {request.parent_id} is {parent.status}")
        if any(member.status is Status.FILLED for member in self.book.group(request.oca_group)):
            return rejected(f"OCA group {request.oca_group} is filled already")
        return self._refuse_terms(request) or refuse_number(self.book.active(request))

    def _refuse_terms(self, request: OrderRequest) -> Refusal | None:
        return refuse_terms(request, self.market, self.now) or refuse_auction(request, self.market, self.now)

    def _refuse_growth(self, request: OrderRequest, order: Order) -> Refusal | None:
        """Return a margin refusal for a working order that is made larger; one that was reduced cannot be."""
        if order.waits_for_parent or order.reduced or request.quantity <= order.request.quantity:
            return None
        tried = self._try(request, request.quantity - order.filled)
        return tried.refusal() if tried else None

    def _try(self, request: OrderRequest, quantity: Decimal) -> WhatIf | None:
        account = self._ledger.account(request.account)
        return try_order(request, quantity, account, self._commissions, self.market.instrument, self._exchange.price)

    def _receive(self, request: OrderRequest) -> None:
        parent = self.book.orders.get((request.client_id, request.parent_id)) if request.parent_id else None
        replaced = self.book.orders.get(request.key)
        order = Order(
            request=request,
            permanent_id=replaced.permanent_id if replaced else _FIRST_PERMANENT_ID + self._sequence,
            status=Status.HELD,
            oca_group=request.oca_group or (str(parent.permanent_id) if parent else ""),
            root=parent.root if parent else request.key,
            sequence=replaced.sequence if replaced else self._sequence,
            waits_for_parent=parent is not None and not parent.filled,
        )
        if replaced is None:
            self._sequence += 1
        self.book.add(order)
        if request.transmit:
            family = [member for member in self.book.family(order) if member.status is Status.HELD]
            self._transmit(sorted(family, key=lambda member: member.sequence))

    def _transmit(self, family: Sequence[Order]) -> None:
        """Send a parent and its children, or a single order, to the exchange."""
        for order in family:
            self._record("place", order.request)
        first = family[0]
        tried = None if first.waits_for_parent else self._try(first.request, first.request.quantity)
        refusal = tried.refusal() if tried else None
        for order in family:
            if refusal is not None:
                self._exchange.reject(order, refusal)
            else:
                self._ignore_outside_hours(order)
                self._exchange.accept(order)

    def _ignore_outside_hours(self, order: Order) -> None:
        request = order.request
        instrument = None if request.legs else self.market.instrument(request.contract_id)
        if ignores_outside_hours(request, instrument):
            self._exchange.notice(request.key, OUTSIDE_IGNORED)
            order.request = replace(request, outside_regular_hours=False)

    def _change(self, order: Order, request: OrderRequest) -> None:
        self._record("modify", request)
        self._exchange.accept_change(order, request)

    def _record(self, what: str, request: OrderRequest) -> None:
        parent = self.book.orders.get((request.client_id, request.parent_id)) if request.parent_id else None
        symbol = "" if request.legs else self.market.instrument(request.contract_id).symbol
        parent_ref = parent.request.order_ref if parent else ""
        self.received.append(received(self.now, what, request, symbol, parent_ref))
