"""Orders over the TWS API."""

import asyncio
from collections.abc import Mapping, Sequence

from ib_async.contract import Contract
from ib_async.order import OrderState

from services.gateway.adapters.tws import reports, terms
from services.gateway.adapters.tws.connection import Connection
from services.gateway.adapters.tws.names import COMBINATION, name_of
from services.gateway.adapters.tws.requests import Requests
from services.gateway.config import Settings
from services.gateway.core.book import blank_report
from services.gateway.core.error_codes import Context
from services.gateway.ports import RequestRefused, TimedOut, Urgency
from shared.messages.broker import OrderPreviewed, OrderReported
from shared.messages.broker_commands import ModifyOrder, OrderTerms


class Orders:
    """Implements `ports.Orders`."""

    def __init__(self, connection: Connection, requests: Requests, settings: Settings) -> None:
        self._connection = connection
        self._requests = requests
        self._settings = settings

    def next_order_id(self) -> int:
        client, book = self._connection.client, self._connection.session.orders.book
        client.updateReqId(book.incarnations.highest_id + 1)
        next_id: int = client.getReqId()
        return next_id

    def known(self, order_ref: str) -> OrderReported | None:
        return self._connection.session.orders.book.known(order_ref)

    def recall(self, ids: Mapping[int, str]) -> None:
        """Nothing to do: the TWS API tells the orderRef with every order."""

    def answered(self, order_ref: str) -> "asyncio.Future[None]":
        return self._connection.session.orders.expect(order_ref)

    async def submit(self, orders: Sequence[OrderTerms], ids: Mapping[str, int], account: str) -> None:
        contracts = await self._contracts(orders)
        made = terms.family(orders, ids, account, contracts)

        def write() -> None:
            client, told = self._connection.client, self._connection.session.orders
            with self._connection.in_one_piece():
                for order, written in zip(orders, made, strict=True):
                    client.placeOrder(written.orderId, terms.contract_of(order, contracts), written)
            client.updateReqId(max(ids.values()) + 1)
            told.combinations |= {order.order_ref for order in orders if order.legs}
            for order in orders:
                told.book.sent(blank_report(order.order_ref, ids[order.order_ref], order.quantity))

        await self._connection.send(Urgency.ORDER, write, len(made))

    async def modify(self, change: ModifyOrder) -> None:
        book = self._connection.session.orders.book
        working = book.working(change.order_ref)
        if len(working) != 1:
            numbers = [one.perm_id for one in working]
            raise RequestRefused(
                f"order {change.order_ref}: {len(working)} orders work at the broker, permIds {numbers}; "
                "exactly one can be changed"
            )
        echo = self._connection.session.orders.echoes.get(working[0].perm_id)
        if echo is None:
            raise RequestRefused(f"order {change.order_ref}: the broker has not told its terms yet")
        combination = echo[0].secType == COMBINATION
        order = terms.changed(echo[1], change, combination=combination)
        contract = _echoed_combination(echo[0]) if combination else await self._qualified(name_of(echo[0]))

        def write() -> None:
            self._connection.session.orders.book.asked(change.order_ref, Context.CHANGE)
            self._connection.client.placeOrder(order.orderId, contract, order)

        await self._connection.send(Urgency.ORDER, write)

    async def cancel(self, order_ref: str, order_id: int) -> None:
        """Cancel every order that works at the broker for this orderRef; where none is known, the id it was sent with.

        Raises:
            RequestRefused: the broker uses that id for another order of ours.
        """
        book = self._connection.session.orders.book
        ids = [one.broker_order_id for one in book.working(order_ref) if one.broker_order_id]
        if not ids and book.incarnations.holder(order_id) not in (None, order_ref):
            raise RequestRefused(f"order {order_ref}: its id {order_id} is another order's at the broker")
        ids = ids or [order_id]

        def write() -> None:
            self._connection.session.orders.book.asked(order_ref, Context.CANCEL)
            for number in ids:
                self._connection.client.cancelOrder(number)

        await self._connection.send(Urgency.CANCEL, write, len(ids))

    async def cancel_all(self) -> None:
        await self._connection.send(Urgency.CANCEL, lambda: self._connection.client.reqGlobalCancel())

    async def preview(self, order: OrderTerms, order_id: int, account: str) -> OrderPreviewed:
        contracts = await self._contracts([order])
        asked = terms.order_of(order, order_id, account, contracts)
        asked.whatIf = True
        contract = terms.contract_of(order, contracts)
        answers, answer = self._connection.session.answers, list[asyncio.Future[list[OrderState]]]()

        def write() -> None:
            self._connection.client.updateReqId(order_id + 1)
            answer.append(answers.expect(order_id))
            self._connection.client.placeOrder(order_id, contract, asked)

        await self._connection.send(Urgency.ORDER, write)
        seconds = self._settings.order_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                states = await answer[0]
        except TimeoutError:
            answers.forget(order_id)
            raise TimedOut(f"the broker did not answer the what-if order within {seconds:g} s") from None
        return reports.preview(order.order_ref, states[-1])

    async def _contracts(self, orders: Sequence[OrderTerms]) -> dict[str, Contract]:
        return {symbol: await self._qualified(symbol) for symbol in terms.symbols_of(orders)}

    async def _qualified(self, symbol: str) -> Contract:
        try:
            return await self._requests.qualified(symbol, Urgency.ORDER)
        except RequestRefused as refusal:
            raise type(refusal)(f"{symbol}: {refusal}", refusal.code) from None


def _echoed_combination(echo: Contract) -> Contract:
    """The contract of an echoed combination, without what a gateway adds to it."""
    return Contract(
        symbol=echo.symbol,
        secType=COMBINATION,
        currency=echo.currency,
        exchange=echo.exchange,
        comboLegs=echo.comboLegs,
    )
