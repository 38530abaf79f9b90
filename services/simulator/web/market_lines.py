"""Market data lines of the Web API: each is one of the broker's, whose ticks are kept as the Web API's numbered fields.

Field numbers: IBKR Campus, "Market Data Fields". Sizes of US stocks are in hundreds, as IBKR documents it (not
rounded: that it rounds is not said). A line that the broker refuses shows field 6509 as N, not subscribed, and is
tried anew when it is asked for the next time.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from services.simulator.core.hours import EXCHANGE_ZONE
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.present import quotes
from services.simulator.web.call import WebError, instrument
from services.simulator.web.portal import Portal, identity_of, text_of
from services.simulator.wire import requests
from services.simulator.wire.layout import Row

AVAILABILITY = "6509"
_LAST, _VOLUME, _VOLUME_EXACT = "31", "87", "7762"
_FIELDS: Mapping[int, str] = MappingProxyType(
    {quotes.BID: "84", quotes.ASK: "86", quotes.LAST: _LAST, quotes.HIGH: "70", quotes.LOW: "71", quotes.OPEN: "7295",
     quotes.CLOSE: "7741", 0: "88", 3: "85", 5: "7059", quotes.VOLUME: _VOLUME_EXACT}
)  # fmt: skip
"""By tick type of the TWS API."""
_SIZES = frozenset({"88", "85", "7059"})
_BASIC = MappingProxyType({delayed: basic for basic, delayed in quotes.DELAYED.items()})
_MODEL = 13
_GREEKS = {"delta": "7308", "gamma": "7309", "theta": "7310", "vega": "7311"}
_IMPLIED_VOLATILITY = "7633"
_REFUSALS = frozenset({101, 200, 300, 354, 10089, 10168, 10186, 10197})
_RESTORED = ("1101", "1102")
_LOT = 100


@dataclass(slots=True)
class Line:
    """`fields` are what is known now; `watchers` are who streams it."""

    instrument: Instrument
    request_id: int
    fields: dict[str, str] = field(default_factory=dict[str, str])
    watchers: set[object] = field(default_factory=set[object])
    asked: bool = False
    """Asked for by a snapshot: it stays without watchers."""
    halted: bool = False
    delayed: bool = False
    refused: bool = False
    last_trade: int = 0
    """Epoch seconds."""


class MarketLines:
    """`when_changed` is told of a line with new values."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._lines: dict[int, Line] = {}
        self._by_request: dict[int, Line] = {}
        self.when_changed: Callable[[Line], None] = _ignored
        portal.listeners.append(self._hear)
        portal.forgetters.append(self._forget)

    def open(self, contract_id: int) -> tuple[Line, bool]:
        """Return a contract's line, and whether it was opened just now. Raises WebError 401 without a log-in."""
        if not self._portal.logged_in:
            raise WebError(401, "not authenticated")
        line = self._lines.get(contract_id)
        if line is not None and not line.refused:
            return line, False
        found = instrument(self._portal.market, contract_id)
        watchers = set[object]()
        if line is not None:
            watchers = line.watchers
            del self._by_request[line.request_id]
        line = Line(found, self._portal.request_id(), watchers=watchers)
        self._lines[contract_id] = self._by_request[line.request_id] = line
        values = {"request_id": line.request_id, "con_id": contract_id, "exchange": found.exchange}
        self._portal.send(requests.REQUEST_MARKET_DATA, values)
        return line, True

    def close(self, contract_id: int) -> bool:
        """End a line; return False if there is none."""
        line = self._lines.pop(contract_id, None)
        if line is None:
            return False
        del self._by_request[line.request_id]
        if not line.refused:
            self._portal.send(requests.CANCEL_MARKET_DATA, {"request_id": line.request_id})
        return True

    def close_all(self) -> None:
        for contract_id in list(self._lines):
            self.close(contract_id)

    def unwatch(self, contract_id: int, watcher: object) -> None:
        """Let a watcher go, and the line with its last one unless a snapshot has asked for it."""
        line = self._lines.get(contract_id)
        if line is not None:
            line.watchers.discard(watcher)
            if not line.watchers and not line.asked:
                self.close(contract_id)

    def unwatch_all(self, watcher: object) -> None:
        for contract_id in [one for one, line in self._lines.items() if watcher in line.watchers]:
            self.unwatch(contract_id, watcher)

    def values(self, line: Line) -> dict[str, str]:
        """Return every field of a line, those that follow from others included."""
        kind = line.instrument.security_type
        found = {
            "55": line.instrument.symbol,
            "6070": str(kind),
            "7051": line.instrument.long_name,
            "7221": line.instrument.primary_exchange,
            AVAILABILITY: self._availability(line),
            **line.fields,
        }
        if _VOLUME_EXACT in line.fields:
            found |= {_VOLUME: _short(int(line.fields[_VOLUME_EXACT])), "87_raw": line.fields[_VOLUME_EXACT]}
        last, close = line.fields.get(_LAST), line.fields.get("7741")
        if last is not None and close is not None and Decimal(close):
            change = Decimal(last) - Decimal(close)
            found |= {"82": f"{change:f}", "83": f"{change / Decimal(close) * 100:.2f}%"}
        if last is not None:
            found[_LAST] = f"{self._prefix(line)}{last}"
        return found

    def _availability(self, line: Line) -> str:
        """Return real-time, frozen while the market is closed, delayed (frozen), or not subscribed."""
        if line.refused:
            return "N"
        closed = self._portal.market.tape_at(line.instrument.contract_id, self._portal.engine.now) is None
        return {(False, False): "RpB", (False, True): "ZB", (True, False): "DPB", (True, True): "YB"}[
            line.delayed, closed
        ]

    def _prefix(self, line: Line) -> str:
        """Return H for a halted instrument, C for a price of an earlier day."""
        if line.halted:
            return "H"
        midnight = self._portal.engine.midnight().astimezone(EXCHANGE_ZONE)
        return "C" if 0 < line.last_trade < midnight.timestamp() else ""

    # -- what the broker says ---------------------------------------------------------------------------------------

    def _hear(self, name: str, row: Row) -> None:
        if name == "error" and text_of(row, "code") in _RESTORED:
            asyncio.get_running_loop().call_soon(self._open_again)  # when the broker has forgotten them
        line = self._by_request.get(identity_of(name, row))
        if line is None:
            return
        if name == "error":
            self._refuse(line, int(text_of(row, "code")))
        elif name == "tickOptionComputation":
            self._take_greeks(line, row)
        elif name in ("tickPrice", "tickSize", "tickString", "tickGeneric"):
            self._take(line, name, row)
        elif name == "marketDataType":
            line.delayed = text_of(row, "market_data_type") in ("3", "4")

    def _refuse(self, line: Line, code: int) -> None:
        if code in _REFUSALS and line.request_id not in self._portal.client.data.quotes:
            line.refused = True
            self.when_changed(line)

    def _take(self, line: Line, name: str, row: Row) -> None:
        tick_type = int(text_of(row, "tick_type"))
        tick_type = _BASIC.get(tick_type, tick_type)
        if name == "tickPrice":
            self._set_price(line, tick_type, row)
        elif tick_type == quotes.HALTED:
            line.halted = text_of(row, "value") not in ("0", "-1")
        elif tick_type == quotes.TIME:
            line.last_trade = int(text_of(row, "value"))
        elif tick_type in _FIELDS and name == "tickSize":
            self._set(line, {_FIELDS[tick_type]: text_of(row, "size")})

    def _set_price(self, line: Line, tick_type: int, row: Row) -> None:
        if tick_type not in _FIELDS:
            return
        price, size = text_of(row, "price"), text_of(row, "size")
        unquoted = tick_type in (quotes.BID, quotes.ASK) and Decimal(price) == quotes.NO_PRICE and size == "0"
        found = {_FIELDS[tick_type]: "" if unquoted else price}
        if tick_type in quotes.SIZE_OF:
            found[_FIELDS[quotes.SIZE_OF[tick_type]]] = size
        self._set(line, found)

    def _take_greeks(self, line: Line, row: Row) -> None:
        tick_type = int(text_of(row, "tick_type"))
        if _BASIC.get(tick_type, tick_type) != _MODEL or text_of(row, "implied_volatility") in ("", "-1"):
            return
        volatility = Decimal(text_of(row, "implied_volatility"))
        found = {number: text_of(row, name) for name, number in _GREEKS.items()}
        self._set(line, found | {_IMPLIED_VOLATILITY: f"{volatility * 100:.4f}%"})

    def _set(self, line: Line, found: Mapping[str, str]) -> None:
        stock = line.instrument.security_type is SecurityType.STOCK
        for number, value in found.items():
            line.fields[number] = _in_lots(value) if stock and number in _SIZES else value
        self.when_changed(line)

    def _open_again(self) -> None:
        """Assumed: when the link is back, the gateway opens lines that are lost; the Web API has no word for it."""
        for contract_id, line in list(self._lines.items()):
            if self._portal.logged_in and line.request_id not in self._portal.client.data.quotes:
                line.refused = True
                fresh, _ = self.open(contract_id)
                fresh.asked = line.asked

    def _forget(self) -> None:
        self._lines.clear()
        self._by_request.clear()


def _in_lots(size: str) -> str:
    return f"{(Decimal(size) / _LOT).normalize():f}" if size else ""


def _short(volume: int) -> str:
    """Return a volume as it is shown: with K for thousands, M for millions."""
    if volume >= 1_000_000:
        return f"{volume / 1_000_000:.2f}M"
    return f"{volume / 1000:.1f}K" if volume >= 1000 else str(volume)


def _ignored(_: Line) -> None:
    """Nobody streams yet."""
