"""Historical bars and the market scanner.

`startTime` is the end of the time that is asked for, as in IBKR's own example ("Historical Market Data": a request with
startTime 20230821-13:30:00 and period 1d is answered with bars from 20230818). A bar of a day or more bears the
opening of its trading day.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from math import ceil
from typing import Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from services.simulator.core.calendars import NEW_YORK
from services.simulator.core.history import BAR_SECONDS
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.scans import INSTRUMENTS, LOCATIONS, SCANS
from services.simulator.web.call import Call, Handler, WebError
from services.simulator.web.limits import MOST_HISTORIES
from services.simulator.web.portal import Portal, rows_of, text_of
from services.simulator.wire import requests
from services.simulator.wire.layout import Row

MOST_POINTS = 1000
"""Bars of one answer, at most: the latest ones ("a maximum of 1000 data points")."""
_DAY = 86_400
_SIZE = re.compile(r"(\d{1,4})(min|h|d|w|m|y)")
_BARS = {
    **{f"{number}min": f"{number} min" + ("s" if number > 1 else "") for number in (1, 2, 3, 5, 10, 15, 30)},
    **{f"{number}h": f"{number} hour" + ("s" if number > 1 else "") for number in (1, 2, 3, 4, 8)},
    "1d": "1 day", "1w": "1 week", "1m": "1 month",
}  # fmt: skip
_LONG_SECONDS = {"1 day": _DAY, "1 week": 7 * _DAY, "1 month": 30 * _DAY}
_DEFAULT_PERIOD, _DEFAULT_BAR = "1w", "1d"
_SOURCES = {"": "", "trades": "TRADES", "last": "TRADES", "midpoint": "MIDPOINT", "bid": "BID", "ask": "ASK"}
_MOST_ROWS = 50
_DATE_LENGTH = 8
_LETTERS = (("o", "open"), ("h", "high"), ("l", "low"), ("c", "close"), ("v", "volume"))
_FILTERS = {"priceAbove", "priceBelow", "volumeAbove", "changePercAbove", "changePercBelow", "stkTypes"}


class _Filter(BaseModel):
    code: str
    value: Decimal | Literal["CORP", "ETF", "STOCK"]


_FILTER_LIST = TypeAdapter(list[_Filter])


class HistoryPaths:
    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._market = portal.market
        self._running = 0

    async def history(self, call: Call) -> object:
        return await self.bars(call.instrument(self._market), call.query)

    async def bars(self, found: Instrument, wanted: Mapping[str, str]) -> dict[str, object]:
        """Answer `period`, `bar`, `outsideRth`, `startTime` and `source`. Raises WebError when there is no answer."""
        bar = wanted.get("bar") or _DEFAULT_BAR
        if bar not in _BARS:
            raise WebError(500, f"Bad Request: bar {bar[:20]!r} is none of {', '.join(_BARS)}")
        values = {
            "con_id": found.contract_id,
            "exchange": found.exchange,
            "end": _end(wanted.get("startTime", "")),
            "bar_size": _BARS[bar],
            "duration": _duration(wanted.get("period") or _DEFAULT_PERIOD),
            "use_rth": wanted.get("outsideRth", "").lower() not in ("true", "1"),
            "what_to_show": _show(found, wanted.get("source", "")),
            "format_date": 2,
        }
        if self._running >= MOST_HISTORIES:
            raise WebError(429, "Too many requests")
        self._running += 1
        try:
            messages = await self._portal.ask(requests.REQUEST_HISTORICAL_DATA, values, "historicalData")
        finally:
            self._running -= 1
        row = next((row for name, row in messages if name == "historicalData"), None)
        if row is None:
            raise _refused(messages[-1][1])
        return self._answer(found, wanted, _BARS[bar], rows_of(row, "bars")[-MOST_POINTS:])

    def _answer(
        self, found: Instrument, wanted: Mapping[str, str], size: str, bars: Sequence[Row]
    ) -> dict[str, object]:
        points = [
            {**{letter: float(text_of(bar, name)) for letter, name in _LETTERS}, "t": self._milliseconds(bar)}
            for bar in bars
        ]
        first = datetime.fromtimestamp(points[0]["t"] / 1000, UTC)
        return {
            "serverId": str(found.contract_id),
            "symbol": found.symbol,
            "text": found.long_name,
            "priceFactor": 1,
            "startTime": f"{first:%Y%m%d-%H:%M:%S}",
            "timePeriod": wanted.get("period") or _DEFAULT_PERIOD,
            "barLength": BAR_SECONDS.get(size) or _LONG_SECONDS[size],
            "mdAvailability": "S",
            "mktDataDelay": 0,
            "outsideRth": wanted.get("outsideRth", "").lower() in ("true", "1"),
            "volumeFactor": 1,
            "priceDisplayRule": 1,
            "negativeCapable": False,
            "messageVersion": 2,
            "data": points,
            "points": len(points) - 1,
            "travelTime": 0,
        }

    def _milliseconds(self, bar: Row) -> int:
        """Return when a bar begins: epoch seconds, or a date whose session's opening is meant."""
        text = text_of(bar, "date")
        if len(text) != _DATE_LENGTH:
            return int(text) * 1000
        day = date.fromisoformat(text)
        session = self._market.session_of(day)
        opens = datetime(day.year, day.month, day.day, tzinfo=NEW_YORK) if session is None else session.open
        return int(opens.timestamp()) * 1000

    # -- scanner ----------------------------------------------------------------------------------------------------

    async def scans(self, _: Call) -> object:
        return {
            "scan_type_list": [
                {"display_name": name, "code": code, "instruments": list(INSTRUMENTS)}
                for code, (name, _) in SCANS.items()
            ],
            "instrument_list": [
                {"display_name": "US Stocks", "type": "STK", "filters": sorted(_FILTERS)},
                {"display_name": "US Equity ETFs", "type": "ETF.EQ.US", "filters": sorted(_FILTERS)},
            ],
            "filter_list": [{"group": name, "display_name": name, "code": name, "type": ""} for name in _FILTERS],
            "location_tree": [
                {
                    "display_name": "US Stocks",
                    "type": "STK",
                    "locations": [{"display_name": place, "type": place} for place in LOCATIONS],
                }
            ],
        }

    async def scan(self, call: Call) -> object:
        text = {name: str(call.body.get(name, "")) for name in ("instrument", "location", "type")}
        values = {
            "rows": _MOST_ROWS,
            "instrument": text["instrument"],
            "location_code": text["location"],
            "scan_code": text["type"],
            "filter_options": _filter_options(call.body.get("filter") or []),
        }
        messages = await self._portal.ask(requests.REQUEST_SCANNER, values, "scannerData")
        row = next((row for name, row in messages if name == "scannerData"), None)
        if row is None:
            raise _refused(messages[-1][1])
        self._portal.send(requests.CANCEL_SCANNER, {"request_id": text_of(row, "request_id")})
        return {"contracts": [self._scanned(each) for each in rows_of(row, "rows")], "scan_data_column_name": ""}

    def _scanned(self, row: Row) -> dict[str, object]:
        found = self._market.instrument(int(text_of(row, "con_id")))
        return {
            "server_id": text_of(row, "rank"),
            "symbol": found.symbol,
            "conidex": str(found.contract_id),
            "con_id": found.contract_id,
            "company_name": found.long_name,
            "contract_description_1": found.symbol,
            "listing_exchange": found.primary_exchange,
            "sec_type": str(found.security_type),
        }

    def paths(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/iserver/marketdata/history", self.history),
            ("POST", "/iserver/scanner/run", self.scan),
            ("GET", "/iserver/scanner/params", self.scans),
        ]


def _end(text: str) -> str:
    """Return a time as it was written. Raises WebError 400 if it is not UTC like 20270104-15:00:00."""
    if text:
        try:
            datetime.strptime(text, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            raise WebError(400, f"Bad Request: startTime {text[:30]!r} is not like 20270104-15:00:00") from None
    return text


def _duration(period: str) -> str:
    """Return a period in the words of the TWS API. Raises WebError for one that IBKR does not have."""
    match = _SIZE.fullmatch(period)
    if match is None:
        raise WebError(500, f"Bad Request: period {period[:20]!r} is not like 30min, 6h, 5d, 1w, 1m, 1y")
    count = int(match[1])
    if match[2] in ("min", "h"):
        seconds = count * (60 if match[2] == "min" else 3600)
        return f"{seconds} S" if seconds <= _DAY else f"{ceil(seconds / _DAY)} D"
    return f"{count} {match[2].upper()}"


def _show(found: Instrument, source: str) -> str:
    if source.lower() not in _SOURCES:
        raise WebError(500, f"Bad Request: source {source[:20]!r} is none of trades, midpoint, bid, ask")
    usual = "MIDPOINT" if found.security_type is SecurityType.CURRENCY else "TRADES"
    return _SOURCES[source.lower()] or usual


def _filter_options(filters: object) -> str:
    """Return `[{"code": ..., "value": ...}]` as the tags of the TWS API. Raises WebError 400 for anything else."""
    try:
        found = _FILTER_LIST.validate_python(filters)
    except ValidationError:
        raise WebError(400, "Bad Request: filter is not a list of code and value") from None
    unknown = [one.code for one in found if one.code not in _FILTERS]
    if unknown:
        raise WebError(400, f"Bad Request: filter {unknown[0][:40]!r} is none of {', '.join(sorted(_FILTERS))}")
    return "".join(f"{one.code}={one.value};" for one in found)


def _refused(error: Row) -> WebError:
    """Return how an error of the broker is answered."""
    text = text_of(error, "text")
    if "no data" in text:
        return WebError(500, "No data.")
    if "connection attempt failed" in text or text_of(error, "code") == "504":
        return WebError(503, text)
    return WebError(500, text)
