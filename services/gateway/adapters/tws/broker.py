"""The broker through ib_async's `Client` (connection, encoder, decoder, rate limit), with callbacks of our own."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from ib_async.client import Client
from ib_async.contract import Contract
from ib_async.objects import ExecutionFilter

from services.gateway.adapters import convert
from services.gateway.adapters.callbacks import (
    COMPLETED_ORDERS,
    CURRENT_TIME,
    OPEN_ORDERS,
    POSITIONS,
    Callbacks,
    Key,
    order_key,
)
from services.gateway.adapters.quotes import Lines
from services.gateway.config import Settings
from services.gateway.core.book import blank_report
from services.gateway.core.order_ids import BracketIds
from services.gateway.ports import BrokerLost, Listener, RequestRefused
from shared.clock import Clock
from shared.messages.broker import (
    AccountValues,
    BrokerErrorReported,
    BrokerPosition,
    BrokerSnapshot,
    ErrorEffect,
    OrderReported,
    SubmitOrder,
)
from shared.messages.market import Bar, Quote
from shared.types import Mode, Timeframe

_SUMMARY_TAGS = {"NetLiquidation": "net_liquidation", "TotalCashValue": "cash", "BuyingPower": "buying_power"}
_log = structlog.get_logger()


class IbBroker:
    """One connection after another to one IB Gateway or TWS; implements `ports.Broker`."""

    def __init__(self, settings: Settings, mode: Mode, clock: Clock) -> None:
        self._settings = settings
        self._simulated = mode is Mode.SIMULATED
        self._clock = clock
        self._contracts: dict[str, Contract] = {}
        self._callbacks: Callbacks | None = None
        self._listing = asyncio.Lock()
        self._closed = asyncio.Event()
        self._closed.set()
        # It writes two errors for every attempt to connect; the session says once why it is not connected.
        logging.getLogger("ib_async.client").setLevel(logging.CRITICAL)

    # The connection

    @property
    def closed(self) -> asyncio.Event:
        return self._closed

    async def connect(self, listener: Listener) -> Sequence[str]:
        """A new client for each connection: nothing of the one before is left."""
        lines = Lines(self._clock.now, trade_time=self._simulated)
        callbacks = Callbacks(listener, self._clock, lines)
        client: Any = Client(callbacks)
        client.MaxRequests = self._settings.requests_per_second
        ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def note_end(reason: str) -> None:
            if not ended.done():
                ended.set_result(reason or "the broker closed the connection")

        client.conn.disconnected += note_end
        handshake = asyncio.ensure_future(
            client.connectAsync(self._settings.host, self._settings.port, self._settings.client_id, 0)
        )
        try:
            await asyncio.wait(
                (handshake, ended),
                timeout=self._settings.connect_timeout_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not client.isReady():
                raise BrokerLost(_why_not_connected(handshake, callbacks, ended))
        except BaseException:
            handshake.cancel()
            await asyncio.gather(handshake, return_exceptions=True)
            raise
        callbacks.client = client
        self._callbacks, self._closed = callbacks, callbacks.closed
        return list(client.getAccounts())

    def disconnect(self) -> None:
        if self._callbacks is not None:
            self._callbacks.close("disconnected")
            if self._callbacks.client.isConnected():
                self._callbacks.client.disconnect()

    @property
    def _session(self) -> Callbacks:
        if self._callbacks is None or self._callbacks.closed.is_set() or not self._callbacks.client.isReady():
            raise BrokerLost("not connected")
        return self._callbacks

    @property
    def _client(self) -> Any:
        """ib_async's Client; it carries few types."""
        return self._session.client

    async def _ask(self, key: Key, send: Callable[[], None], seconds: float | None = None) -> list[Any]:
        """Send a request and wait for its whole answer.

        Raises:
            RequestRefused: the broker answered with an error.
            BrokerLost: the connection ended, or there was no answer in time.
        """
        answer = self._session.expect(key)
        send()
        try:
            # not wait_for: in Python 3.11 it can lose a cancellation that comes together with the answer
            async with asyncio.timeout(seconds or self._settings.answer_timeout_seconds):
                return await answer
        except TimeoutError:
            raise BrokerLost(f"no answer to a request for {key}") from None

    # Questions

    async def current_time(self) -> datetime:
        (now,) = await self._ask(CURRENT_TIME, self._client.reqCurrentTime)
        return now

    async def snapshot(self, account: str, request_id: UUID | None) -> BrokerSnapshot:
        async with self._listing:
            book = self._session.book
            while True:
                fills = self._session.live_executions
                book.begin_listing()
                positions, values, *_ = await asyncio.gather(
                    self._positions(account), self._account_values(account), self._orders(), self._executions()
                )
                await self.current_time()  # commissions may follow the end of the executions
                if fills == self._session.live_executions:
                    break  # else a fill came in between, and positions may be older than executions
            book.end_listing()
            return BrokerSnapshot(
                request_id=request_id,
                account=values,
                positions=positions,
                orders=tuple(book.orders.values()),
                executions=tuple(book.executions.values()),
                commissions=tuple(book.commissions.values()),
            )

    async def _positions(self, account: str) -> tuple[BrokerPosition, ...]:
        told = await self._ask(POSITIONS, self._client.reqPositions)
        self._client.cancelPositions()
        newest = {held.symbol: held for owner, held in told if owner == account}
        return tuple(held for held in newest.values() if held.quantity)

    async def _orders(self) -> None:
        await self._ask(OPEN_ORDERS, self._client.reqOpenOrders)
        await self._ask(COMPLETED_ORDERS, lambda: self._client.reqCompletedOrders(False))

    async def _executions(self) -> None:
        request = self._client.getReqId()
        await self._ask(request, lambda: self._client.reqExecutions(request, ExecutionFilter()))

    async def _account_values(self, account: str) -> AccountValues:
        client, request = self._client, self._client.getReqId()
        told = await self._ask(request, lambda: client.reqAccountSummary(request, "All", ",".join(_SUMMARY_TAGS)))
        client.cancelAccountSummary(request)
        found = {
            _SUMMARY_TAGS[tag]: Decimal(value)
            for owner, tag, value, currency in told
            if owner == account and tag in _SUMMARY_TAGS and currency == "USD"
        }
        if missing := set(_SUMMARY_TAGS.values()) - found.keys():
            raise RequestRefused(f"the account summary of {account} has no USD value for {sorted(missing)}")
        return AccountValues(account=account, **found)

    async def qualify(self, symbol: str) -> None:
        if symbol in self._contracts:
            return
        client, request = self._client, self._client.getReqId()
        found = await self._ask(request, lambda: client.reqContractDetails(request, convert.stock(symbol)))
        if len(found) != 1:
            raise RequestRefused(f"{len(found)} US stocks have this name; exactly one is needed")
        found[0].exchange = "SMART"
        self._contracts[symbol] = found[0]

    async def history(self, symbol: str, timeframe: Timeframe, count: int, until: datetime) -> Sequence[Bar]:
        await self.qualify(symbol)
        client, request = self._client, self._client.getReqId()
        span = convert.duration(timeframe, count)
        told = await self._ask(
            request,
            lambda: client.reqHistoricalData(
                request, self._contracts[symbol], "", span, timeframe.value, "TRADES", 1, 2, False, []
            ),
            self._settings.history_timeout_seconds,
        )
        bars = [convert.bar(symbol, timeframe, one) for one in told]
        if None in bars:
            _log.warning("bars on days without a session are left out", symbol=symbol, bars=bars.count(None))
        closed = [one for one in bars if one is not None and one.end <= until]
        return closed[-count:]

    # Market data

    async def subscribe(self, symbols: Iterable[str]) -> None:
        lines = self._session.lines
        for symbol in symbols:
            if symbol in lines:
                continue
            try:
                await self.qualify(symbol)
            except RequestRefused as error:
                report = BrokerErrorReported(code=200, text=f"{symbol}: {error}", effect=ErrorEffect.DATA)
                self._session.listener.heard(report)
                continue
            request = self._client.getReqId()
            lines.open(request, symbol)
            self._client.reqMktData(request, self._contracts[symbol], "", False, False, [])

    def take_quotes(self, now: float) -> Sequence[Quote]:
        return self._callbacks.lines.take(now) if self._callbacks else ()

    # Orders

    def next_order_id(self) -> int:
        next_id: int = self._client.getReqId()
        return next_id

    async def submit(self, order: SubmitOrder, ids: BracketIds, account: str) -> bool:
        session, contract = self._session, self._contracts[order.symbol]
        self._client.updateReqId(max(ids) + 1)
        legs = convert.bracket(order, ids, account)
        for leg in legs:
            session.orders[leg.orderRef] = (contract, leg)
            session.book.sent(blank_report(leg.orderRef, leg.orderId, order.quantity))

        def send() -> None:
            for leg in legs:
                self._client.placeOrder(leg.orderId, contract, leg)

        return await self._order_answered(order.order_id, send)

    async def modify(self, order_ref: str, limit_price: Decimal) -> bool:
        contract, order = self._session.orders[order_ref]
        contract.exchange = "SMART"  # the broker names the exchange where the order rests
        changed = convert.with_limit(order, limit_price)
        return await self._order_answered(order_ref, lambda: self._client.placeOrder(order.orderId, contract, changed))

    async def cancel(self, order_ref: str) -> bool:
        _, order = self._session.orders[order_ref]
        return await self._order_answered(order_ref, lambda: self._client.cancelOrder(order.orderId))

    async def _order_answered(self, order_ref: str, send: Callable[[], None]) -> bool:
        answer = self._session.expect(order_key(order_ref))
        send()
        done, _ = await asyncio.wait((answer,), timeout=self._settings.order_timeout_seconds)
        if done:
            answer.result()  # raises BrokerLost when the connection ended instead
        return bool(done)

    def known(self, order_ref: str) -> OrderReported | None:
        return self._session.book.known(order_ref)


def _why_not_connected(handshake: "asyncio.Future[None]", callbacks: Callbacks, ended: "asyncio.Future[str]") -> str:
    if callbacks.refused_login:
        return callbacks.refused_login
    if handshake.done() and not handshake.cancelled() and (error := handshake.exception()):
        return f"{type(error).__name__}: {error}"
    return ended.result() if ended.done() else "no answer to the handshake"
