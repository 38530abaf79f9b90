"""Commands -> the broker. Each waits for a READY session; a session lost on the way is waited for again."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import structlog
from prometheus_client import Counter

from services.gateway.config import Settings
from services.gateway.core.book import ZERO, blank_report
from services.gateway.core.order_ids import BracketIds, claimed_ids, references, reserve
from services.gateway.ports import BrokerLost, RequestRefused
from services.gateway.publisher import SOURCE, subject
from services.gateway.session import Session
from shared.clock import Clock
from shared.db import tables
from shared.db.store import Row
from shared.messages.base import Envelope, Message, follow
from shared.messages.broker import (
    BrokerErrorReported,
    CancelOrder,
    ErrorEffect,
    HistoryFetched,
    ModifyOrder,
    OrderReported,
    RequestSnapshot,
    SubmitOrder,
)
from shared.messages.market import FetchHistory, Subscribe
from shared.transactor import Effects, Transactor
from shared.types import OrderStatus

ORDERS_SENT = Counter("millrace_gateway_order_requests_total", "Order requests sent to the broker", ["kind"])
T = TypeVar("T")
_log = structlog.get_logger()


class Handlers:
    """`claimed`: every broker order id ever claimed, by orderRef, as in the table broker_orders."""

    def __init__(
        self, session: Session, transactor: Transactor, settings: Settings, clock: Clock, claimed: dict[str, int]
    ) -> None:
        self._session = session
        self._broker = session.broker
        self._transactor = transactor
        self._settings = settings
        self._clock = clock
        self._claimed = claimed

    async def on_broker_command(self, command: Envelope[Any]) -> Effects:
        match command.data:
            case SubmitOrder():
                answer = await self._connected(lambda: self._submit(command.data))
            case ModifyOrder():
                answer = await self._connected(lambda: self._modify(command.data))
            case CancelOrder():
                answer = await self._connected(lambda: self._cancel(command.data))
            case RequestSnapshot():
                answer = await self._connected(lambda: self._snapshot(command))
            case _:
                raise TypeError(f"broker.commands carries no {command.type}")
        return Effects(messages=[self._answer(command, answer)] if answer else [])

    async def on_market_command(self, command: Envelope[Any]) -> Sequence[Envelope[Any]]:
        match command.data:
            case Subscribe(symbols=symbols):
                await self._connected(lambda: self._session.subscribe(symbols))
                return ()
            case FetchHistory():
                return [self._answer(command, await self._connected(lambda: self._history(command.data)))]
            case _:
                raise TypeError(f"market.commands carries no {command.type}")

    async def _connected(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something that needs the broker; when the session is lost meanwhile, do it again on the next."""
        while True:
            await self._session.until_ready()
            try:
                return await work()
            except BrokerLost as error:
                _log.warning("waiting for the broker", reason=str(error))
                self._session.give_up()

    def _answer(self, command: Envelope[Any], message: Message) -> Envelope[Any]:
        return follow(command, message, source=SOURCE, time=self._clock.now(), subject=subject(message))

    # Orders

    async def _submit(self, order: SubmitOrder) -> OrderReported | None:
        """Send a bracket once.

        The claim is committed before a byte is sent. Where a claim is found, an earlier attempt may have sent the
        order, so the broker is asked: the session has just listed all it knows. Should that still be wrong, the same
        order ids make a second order impossible: IBKR refuses an id that was used
        (https://interactivebrokers.github.io/tws-api/order_submission.html).
        """
        ids = claimed_ids(order.order_id, self._claimed)
        if ids is not None and any(self._broker.known(order_ref) for order_ref in references(order.order_id)):
            _log.info("sent before", order_ref=order.order_id)
            return self._broker.known(order.order_id)
        if self._clock.now() >= order.expires_at:
            return _unsent(order, ids, OrderStatus.EXPIRED, f"expired at {order.expires_at.isoformat()}")
        try:
            await self._broker.qualify(order.symbol)
        except RequestRefused as error:
            return _unsent(order, ids, OrderStatus.REJECTED, f"{order.symbol}: {error}")
        if ids is None:
            ids = await self._claim(order)
        ORDERS_SENT.labels("submit").inc()
        if await self._broker.submit(order, ids, self._session.account):
            return None
        return _unsent(order, ids, OrderStatus.UNKNOWN, "the broker did not answer")

    async def _claim(self, order: SubmitOrder) -> BracketIds:
        ids = reserve(self._broker.next_order_id(), self._claimed)
        claims = dict(zip(references(order.order_id), ids, strict=True))
        rows = [
            Row(
                tables.broker_orders,
                {
                    "order_ref": order_ref,
                    "broker_order_id": broker_order_id,
                    "symbol": order.symbol,
                    "claimed_at": self._clock.now(),
                },
            )
            for order_ref, broker_order_id in claims.items()
        ]
        await self._transactor.perform(Effects(rows))
        self._claimed |= claims
        return ids

    async def _modify(self, change: ModifyOrder) -> Message | None:
        known = self._broker.known(change.order_ref)
        if known is None or known.status.is_final or known.limit_price == change.limit_price:
            return known or self._unknown(change.order_ref)
        ORDERS_SENT.labels("modify").inc()
        answered = await self._broker.modify(change.order_ref, change.limit_price)
        return None if answered else _silence(change.order_ref, "a change")

    async def _cancel(self, cancel: CancelOrder) -> Message | None:
        known = self._broker.known(cancel.order_ref)
        if known is None or known.status.is_final:
            return known or self._unknown(cancel.order_ref)
        ORDERS_SENT.labels("cancel").inc()
        answered = await self._broker.cancel(cancel.order_ref)
        return None if answered else _silence(cancel.order_ref, "a cancel")

    def _unknown(self, order_ref: str) -> OrderReported:
        report = blank_report(order_ref, self._claimed.get(order_ref, 0), ZERO)
        return report.model_copy(update={"reason": "the broker does not know this order"})

    async def _snapshot(self, command: Envelope[RequestSnapshot]) -> Message:
        """Everything the broker knows; all it said before is on its stream when this is."""
        try:
            snapshot = await self._broker.snapshot(self._session.account, command.id)
        except RequestRefused as error:
            raise BrokerLost(str(error)) from error
        await self._session.publisher.flush()
        return snapshot

    # History

    async def _history(self, request: FetchHistory) -> HistoryFetched:
        until = await self._session.beat()
        bars, error = (), None
        try:
            bars = tuple(await self._broker.history(request.symbol, request.timeframe, request.count, until))
        except RequestRefused as refusal:
            error = f"{request.symbol}: {refusal}"
        if not bars and error is None:
            error = f"the broker has no closed {request.timeframe} bars of {request.symbol}"
        return HistoryFetched(symbol=request.symbol, timeframe=request.timeframe, bars=bars, error=error)


def _unsent(order: SubmitOrder, ids: BracketIds | None, status: OrderStatus, reason: str) -> OrderReported:
    """Our own word on an entry, where the broker has none."""
    report = blank_report(order.order_id, ids.entry if ids else 0, order.quantity)
    return report.model_copy(update={"status": status, "reason": reason, "limit_price": order.limit_price})


def _silence(order_ref: str, request: str) -> BrokerErrorReported:
    """Its order is as it was, for all we know."""
    text = f"the broker did not answer {request} of {order_ref}"
    return BrokerErrorReported(code=0, text=text, effect=ErrorEffect.UNKNOWN, order_ref=order_ref)
