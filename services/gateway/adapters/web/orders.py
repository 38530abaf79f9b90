"""Orders over the Web API: requests, the questions they raise, and what came of them."""

import asyncio
from collections.abc import Mapping, Sequence

from services.gateway.adapters.web import convert, order_form
from services.gateway.adapters.web.connection import Connection
from services.gateway.adapters.web.contracts import Contracts
from services.gateway.adapters.web.exchange import Exchange
from services.gateway.adapters.web.order_form import Form
from services.gateway.adapters.web.order_words import OrderWords
from services.gateway.adapters.web.rest import SERVER_ERROR
from services.gateway.adapters.web.session import Session
from services.gateway.core.book import blank_report
from services.gateway.ports import BrokerLost, RequestRefused, Urgency
from shared.clock import Clock
from shared.messages.broker import BrokerErrorReported, ErrorEffect, OrderPreviewed, OrderReported
from shared.messages.broker_commands import ModifyOrder, OrderTerms
from shared.types import OrderStatus

ALL_ORDERS = -1
"""In the place of an order id: cancel every open order of the account."""
NOT_FOUND = 10147
"""The TWS API's code for an order to cancel that it does not know."""
_REGISTERED = "Local order ID="  # begins IBKR's answer to a cOID that was used before


class Orders:
    """Implements `ports.Orders`."""

    def __init__(self, connection: Connection, contracts: Contracts, clock: Clock) -> None:
        self._connection = connection
        self._contracts = contracts
        self._clock = clock
        self._references: dict[int, str] = {}
        self._forms: dict[str, Form] = {}
        self._words: OrderWords | None = None
        self._exchange = Exchange()
        self._unanswered: list[tuple[list[str], list[Form]]] = []

    def begin(self, session: Session) -> None:
        """A new connection: nothing was said on it yet."""
        self._words = OrderWords(
            session, self._contracts, self._clock, self._references, self._exchange.turn, self.list_trades
        )

    @property
    def words(self) -> OrderWords:
        """What was said on the present connection. Raises BrokerLost when there is none."""
        if self._words is None:
            raise BrokerLost("not connected")
        return self._words

    async def list_trades(self) -> list[convert.Row]:
        return await self._connection.ask(Urgency.ACCOUNT, "trades")

    def adopt(self) -> None:
        """All orders are listed: find the children of those brackets whose answer was lost."""
        words = self.words
        listed = [(refs, forms) for refs, forms in self._unanswered if refs[0] in words.reports]
        for refs, forms in listed:
            for number, order_ref in order_form.children(refs, forms, words.strangers()).items():
                words.taken(order_ref, {"orderId": number})
        self._unanswered = [family for family in self._unanswered if family not in listed]

    # What is known

    def recall(self, ids: Mapping[int, str]) -> None:
        self._references |= ids

    def next_order_id(self) -> int:
        """Any number will do: IBKR chooses its own."""
        return max(self._references, default=0) + 1

    def known(self, order_ref: str) -> OrderReported | None:
        return self._words.reports.get(order_ref) if self._words is not None else None

    def answered(self, order_ref: str) -> "asyncio.Future[None]":
        return self._connection.session.answered(order_ref)

    def _id_of(self, order_ref: str) -> int | None:
        return next((number for number, ref in reversed(self._references.items()) if ref == order_ref), None)

    # Requests

    async def submit(self, orders: Sequence[OrderTerms], ids: Mapping[str, int], account: str) -> None:
        """As `ports.Orders.submit`, but returns when IBKR's questions are answered, too; `ids` are not sent."""
        del ids
        forms = await self._written(orders, account)
        words, session = self.words, self._connection.session
        refs = [order.order_ref for order in orders]

        async def place(sent: "asyncio.Future[None]") -> None:
            try:
                rows = await self._exchange.agreed(
                    session, refs, f"iserver/account/{account}/orders", {"orders": forms}, sent
                )
            except BrokerLost:
                self._unanswered.append((refs, forms))
                raise
            except RequestRefused as error:
                if error.code >= SERVER_ERROR:
                    self._unanswered.append((refs, forms))
                    raise BrokerLost(f"what became of order {refs[0]} is not known: {error}") from None
                for order in orders:
                    words.refused(_refused(order, str(error)))
                return
            for order, form, row in zip(orders, forms, rows, strict=False):
                if "order_id" in row:
                    self._taken(words, order.order_ref, form, row)
                else:
                    words.refused(_refused(order, str(row.get("error") or row)))

        await self._exchange.in_turn(session, place)

    def _taken(self, words: OrderWords, order_ref: str, form: Form, row: convert.Row) -> None:
        """IBKR has an order now, under the number in its answer."""
        self._forms[order_ref] = form
        words.taken(order_ref, order_form.row(form) | {"orderId": row["order_id"], "status": row.get("order_status")})

    async def _written(self, orders: Sequence[OrderTerms], account: str) -> list[Form]:
        order_form.check(orders)
        made: list[Form] = []
        for order in orders:
            legs = {leg.symbol: (await self._contracts.find(leg.symbol)).contract_id for leg in order.legs}
            contract_id = 0 if legs else (await self._contracts.find(order.symbol)).contract_id
            group = len(orders) > 1 and order.oca_group is not None
            made.append(order_form.form(order, contract_id, legs, account, group=group))
        return made

    async def modify(self, change: ModifyOrder) -> None:
        words, session = self.words, self._connection.session
        row, number = words.rows.get(change.order_ref), self._id_of(change.order_ref)
        if row is None or number is None:
            raise RequestRefused(f"order {change.order_ref} is not known to the broker, so it can't be changed")
        form = order_form.changed(self._forms.get(change.order_ref) or order_form.of_row(row), change)
        path = f"iserver/account/{form['acctId']}/order/{number}"

        async def place(sent: "asyncio.Future[None]") -> None:
            try:
                await self._exchange.agreed(session, [change.order_ref], path, form, sent)
            except RequestRefused as error:
                if error.code >= SERVER_ERROR:
                    raise BrokerLost(f"whether order {change.order_ref} is changed is not known: {error}") from None
                self._not_taken(session, change.order_ref, error)
                return
            self._forms[change.order_ref] = form
            words.told(order_form.row(form) | {"orderId": number})

        await self._exchange.in_turn(session, place)

    async def cancel(self, order_ref: str, order_id: int) -> None:
        """As `ports.Orders.cancel`; an order whose id is not known is looked for among the live ones first."""
        del order_id  # not IBKR's
        session = self._connection.session
        number = self._id_of(order_ref)
        if number is None:
            told = await self._connection.ask(Urgency.CANCEL, "live_orders")
            for row in convert.rows(told, "orders"):
                self.words.told(row)
            number = self._id_of(order_ref)
        if number is None:
            self._not_taken(session, order_ref, RequestRefused("IBKR lists no such order", NOT_FOUND))
            return
        row = self.words.rows.get(order_ref) or {}
        account = str(row.get("acct") or self._connection.account)
        try:
            await self._connection.ask(Urgency.CANCEL, "cancel_order", str(number), account)
        except RequestRefused as error:
            self._not_taken(session, order_ref, error)

    async def cancel_all(self) -> None:
        account = self._connection.account
        await self._connection.ask(Urgency.CANCEL, "cancel_order", str(ALL_ORDERS), account)

    async def preview(self, order: OrderTerms, order_id: int, account: str) -> OrderPreviewed:
        del order_id  # not sent
        (form,) = await self._written([order], account)
        if "conid" in form:  # IBKR wants its quote asked for once before
            await self._connection.ask(Urgency.DATA, "live_marketdata_snapshot", [str(form["conid"])], fields=["31"])
        path = f"iserver/account/{account}/orders/whatif"
        told = await self._connection.ask(Urgency.ORDER, "post", path, {"orders": [form]})
        return convert.preview(order.order_ref, told)

    def _not_taken(self, session: Session, order_ref: str, error: RequestRefused) -> None:
        """A change or a cancel was refused: the order lives on as it was, as far as IBKR says."""
        session.listener.heard(
            BrokerErrorReported(code=error.code, text=str(error), effect=ErrorEffect.STILL_ALIVE, order_ref=order_ref)
        )
        session.word_on(order_ref)


def _refused(order: OrderTerms, why: str) -> OrderReported:
    """An order that IBKR did not take; one whose reference was used before may have been taken then."""
    status = OrderStatus.UNKNOWN if _REGISTERED in why else OrderStatus.REJECTED
    return blank_report(order.order_ref, 0, order.quantity).model_copy(update={"status": status, "reason": why})
