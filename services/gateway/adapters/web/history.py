"""Historical bars over the Web API, by as many requests as they need."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from services.gateway.adapters.web import convert
from services.gateway.adapters.web.connection import Connection
from services.gateway.adapters.web.contracts import Contracts
from services.gateway.adapters.web.limits import HISTORY_AT_ONCE
from services.gateway.ports import NoAnswer, RequestRefused, TimedOut, Unsupported, Urgency
from shared import instruments
from shared.messages.market import Bar
from shared.messages.market_requests import FetchHistory, HistoryKind
from shared.types import Timeframe

BAR_SIZES = {
    Timeframe.MINUTE: "1min",
    Timeframe.FIVE_MINUTES: "5min",
    Timeframe.FIFTEEN_MINUTES: "15min",
    Timeframe.THIRTY_MINUTES: "30min",
    Timeframe.HOUR: "1h",
    Timeframe.DAY: "1d",
}
WINDOW_DAYS = {
    Timeframe.MINUTE: 1,
    Timeframe.FIVE_MINUTES: 3,
    Timeframe.FIFTEEN_MINUTES: 10,
    Timeframe.THIRTY_MINUTES: 20,
    Timeframe.HOUR: 40,
    Timeframe.DAY: 900,
}
"""Asked for at once: fewer than the 1,000 bars that IBKR sends, also where trading goes on round the clock."""
_EMPTY_DAYS = 12  # without a bar, after which there are none: no market is closed for so long
_NO_DATA = "No data"
_log = structlog.get_logger()


class History:
    """Five requests at once, as IBKR allows."""

    def __init__(self, connection: Connection, contracts: Contracts) -> None:
        self._connection = connection
        self._contracts = contracts
        self._places = asyncio.Semaphore(HISTORY_AT_ONCE)

    async def fetch(self, request: FetchHistory, until: datetime) -> Sequence[Bar]:
        """As `ports.Requests.history`. Windows go back in time from `until` until there are enough closed bars."""
        if request.kind is not HistoryKind.TRADES:
            raise Unsupported(f"kind = {request.kind} is not there over the Web API, only TRADES; use adapter = tws")
        if request.timeframe not in BAR_SIZES:
            raise Unsupported(f"timeframe = {request.timeframe} is not there over the Web API; use adapter = tws")
        contract = await self._contracts.find(request.symbol)
        window = timedelta(days=WINDOW_DAYS[request.timeframe])
        found: dict[datetime, Bar] = {}
        until = min(until, request.end or until)
        end, empty = until, timedelta(0)
        while len(found) < request.count and empty <= timedelta(days=_EMPTY_DAYS):
            bars = await self._window(contract.contract_id, request, end)
            new = {bar.start: bar for bar in bars if bar.end <= until and bar.start not in found}
            found |= new
            empty = timedelta(0) if new else empty + window
            end = min([end - window, *(bar.start for bar in bars)]) if not new else min(new)
        return [found[start] for start in sorted(found)][-request.count :]

    async def _window(self, contract_id: int, request: FetchHistory, end: datetime) -> list[Bar]:
        """The bars of one window that ends at `end`: `startTime` is its end, as IBKR's own example shows."""
        try:
            async with self._places:
                told = await self._connection.ask(
                    Urgency.DATA,
                    "marketdata_history_by_conid",
                    str(contract_id),
                    BAR_SIZES[request.timeframe],
                    period=f"{WINDOW_DAYS[request.timeframe]}d",
                    outside_rth=not request.regular_hours,
                    start_time=end,
                )
        except NoAnswer as error:
            raise TimedOut(str(error)) from None
        except RequestRefused as error:
            if _NO_DATA in str(error):
                return []
            raise
        factor = convert.number(told.get("volumeFactor")) or Decimal(1)
        wanted = instruments.parse(request.symbol)
        bars = [
            convert.bar(wanted, request.timeframe, row, factor, regular=request.regular_hours)
            for row in told.get("data") or ()
        ]
        if None in bars:
            _log.warning("bars on days without a session are left out", symbol=request.symbol, bars=bars.count(None))
        return [bar for bar in bars if bar is not None]
