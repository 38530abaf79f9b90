"""Questions with one answer, asked of the TWS API."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from ib_async.contract import Contract, TagValue
from ib_async.objects import ScannerSubscription

from services.gateway.adapters.tws import bars, names
from services.gateway.adapters.tws.answers import NEWS_PROVIDERS, Key
from services.gateway.adapters.tws.connection import Connection
from services.gateway.adapters.tws.contracts import Contracts
from services.gateway.adapters.tws.convert import decimal
from services.gateway.config import Settings
from services.gateway.core.times import parse_time
from services.gateway.ports import NoAnswer, Paced, RequestRefused, TimedOut, Urgency
from shared.clock import Clock
from shared.messages.market import Bar, NewsHeadline
from shared.messages.market_requests import ContractFacts, FetchHistory, OptionChain, ScanMarket

HISTORY_ERROR = 162
_UTC = ZoneInfo("UTC")
_log = structlog.get_logger()


class Requests:
    """Implements `ports.Requests`. A question without an answer in time raises TimedOut, and the session goes on."""

    def __init__(self, connection: Connection, settings: Settings, clock: Clock) -> None:
        self._connection = connection
        self._settings = settings
        self._contracts = Contracts(connection, clock)
        self._scanning = asyncio.Lock()

    async def qualified(self, symbol: str, urgency: Urgency = Urgency.DATA) -> Contract:
        """As `Contracts.qualified`."""
        try:
            return await self._contracts.qualified(symbol, urgency)
        except NoAnswer as error:
            raise TimedOut(f"the contract of {symbol}: {error}") from None

    async def contract(self, symbol: str) -> ContractFacts:
        try:
            return await self._contracts.facts(symbol)
        except NoAnswer as error:
            raise TimedOut(f"the contract of {symbol}: {error}") from None

    async def option_chain(self, symbol: str) -> OptionChain:
        """The chain that SMART routes to; of several trading classes the one with the most expiries."""
        underlying, request = await self.qualified(symbol), self._connection.request_id()
        told = await self._ask(
            request,
            lambda: self._connection.client.reqSecDefOptParams(
                request, underlying.symbol, "", underlying.secType, underlying.conId
            ),
        )
        routed = [one for one in told if one[0] == names.SMART]
        if not routed:
            raise RequestRefused(f"no options on {symbol} are listed at {names.SMART}")
        exchange, trading_class, multiplier, expiries, strikes = max(routed, key=lambda one: len(one[3]))
        return OptionChain(
            symbol=symbol,
            exchange=exchange,
            trading_class=trading_class,
            multiplier=Decimal(multiplier),
            expiries=tuple(sorted(datetime.strptime(day, "%Y%m%d").date() for day in expiries)),  # noqa: DTZ007
            strikes=tuple(sorted(decimal(strike) for strike in strikes)),
        )

    async def history(self, request: FetchHistory, until: datetime) -> Sequence[Bar]:
        contract, number = await self.qualified(request.symbol), self._connection.request_id()
        client = self._connection.client
        end, duration = bars.end_and_duration(request, until)
        size, show, regular = request.timeframe.value, request.kind.value, int(request.regular_hours)
        try:
            told = await self._ask(
                number,
                lambda: client.reqHistoricalData(
                    number, contract, end, duration, size, show, regular, bars.EPOCH_SECONDS, False, []
                ),
                seconds=self._settings.history_timeout_seconds,
            )
        except TimedOut:
            # the error that says "cancelled" is the answer that was waited for
            await self._connection.send(Urgency.DATA, lambda: client.cancelHistoricalData(number))
            raise
        except RequestRefused as refusal:
            if refusal.code != HISTORY_ERROR:
                raise
            if "pacing violation" in str(refusal).lower():
                raise Paced(str(refusal), refusal.code) from None
            if "no data" not in str(refusal).lower():
                raise
            return ()
        found, doubtful = bars.closed(request, told, until)
        if doubtful:
            _log.warning("bars without a session, or a date, are left out", symbol=request.symbol, dates=doubtful[:5])
        return found

    async def scan(self, request: ScanMarket) -> Sequence[str]:
        """The first list of a scanner subscription, which ends with it; one at a time, since IBKR allows ten."""
        async with self._scanning:
            number, client = self._connection.request_id(), self._connection.client
            options = [TagValue(tag, value) for tag, value in request.filters.items()]
            subscription = _subscription(request)
            try:
                told = await self._ask(number, lambda: client.reqScannerSubscription(number, subscription, [], options))
            finally:
                await self._end(number, lambda: client.cancelScannerSubscription(number))
        return [names.name_of(contract) for _, contract in sorted(told, key=lambda row: row[0])]

    async def news(self, symbol: str, count: int) -> Sequence[NewsHeadline]:
        contract, number = await self.qualified(symbol), self._connection.request_id()
        client = self._connection.client
        providers = await self._ask(NEWS_PROVIDERS, client.reqNewsProviders)
        if not providers:
            raise RequestRefused("the account has no news provider; subscribe to one in IBKR's Client Portal")
        told = await self._ask(
            number,
            lambda: client.reqHistoricalNews(number, contract.conId, "+".join(providers), "", "", count, []),
        )
        found = [headline for row in told if (headline := _headline(symbol, *row)) is not None]
        return sorted(found, key=lambda headline: headline.time, reverse=True)[:count]

    async def _ask(self, key: Key, write: Callable[[], None], seconds: float | None = None) -> list[Any]:
        try:
            return await self._connection.ask(key, write, Urgency.DATA, seconds)
        except NoAnswer as error:
            raise TimedOut(str(error)) from None

    async def _end(self, number: int, cancel: Callable[[], None]) -> None:
        """Cancel something; the error that says so is for nobody."""

        def write() -> None:
            ended = self._connection.session.answers.expect(number)
            ended.add_done_callback(lambda done: done.cancelled() or done.exception())
            cancel()

        await self._connection.send(Urgency.DATA, write)


def _subscription(request: ScanMarket) -> ScannerSubscription:
    found = ScannerSubscription(
        numberOfRows=request.rows,
        instrument=request.instrument,
        locationCode=request.location,
        scanCode=request.scan_code,
    )
    if request.above_price is not None:
        found.abovePrice = float(request.above_price)
    if request.below_price is not None:
        found.belowPrice = float(request.below_price)
    if request.above_volume is not None:
        found.aboveVolume = request.above_volume
    return found


def _headline(symbol: str, told: str, provider: str, article_id: str, text: str) -> NewsHeadline | None:
    """A headline; None if its time, `yyyy-mm-dd hh:mm:ss.f` in UTC, can't be read."""
    time = parse_time(told, _UTC)
    if time is None:
        _log.warning("a headline without a time is left out", symbol=symbol, time=told, article=article_id)
        return None
    return NewsHeadline(symbol=symbol, time=time, provider=provider, article_id=article_id, headline=text)
