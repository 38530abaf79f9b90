"""The market scanner: ranks the listed stocks and ETFs by what their prices do.

Codes and filters are those of TWS's market scanner ("TWS API: market scanners"). Assumed: a stock's usual volume is
that of its last 20 trading days; a stock that has not traded yet, or whose number cannot be computed, is left out.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.market import Market
from services.simulator.core.quotes import Quote
from services.simulator.core.statistics import usual_volume

MOST_ROWS = 50
"""Rows of one scan, at most (IBKR)."""
INSTRUMENTS = ("STK", "ETF.EQ.US", "STOCK.NA")
LOCATIONS = ("STK.US", "STK.US.MAJOR", "STK.NASDAQ", "STK.NYSE", "STK.ARCA", "STK.AMEX", "ETF.EQ.US.MAJOR", "ETF.EQ.US")
_LISTED_AT = {"STK.NASDAQ": "NASDAQ", "STK.NYSE": "NYSE", "STK.ARCA": "ARCA", "STK.AMEX": "AMEX"}


@dataclass(frozen=True, slots=True)
class ScanQuery:
    """What to rank by, and what is left out; None = no bound. Prices in USD, volume in shares of the day."""

    code: str
    location: str
    instrument: str = "STK"
    rows: int = MOST_ROWS
    above_price: Decimal | None = None
    below_price: Decimal | None = None
    above_volume: int | None = None
    below_change: Decimal | None = None
    above_change: Decimal | None = None
    """Percent since the last close."""
    stock_type: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    stock: Instrument
    quote: Quote
    usual: Decimal | None


_Measure: TypeAlias = Callable[[_Candidate], Decimal | None]


def _share(value: Decimal, of: Decimal | None) -> Decimal | None:
    return None if not of else (value - of) / of


def _change(one: _Candidate) -> Decimal | None:
    return _share(one.quote.last, one.quote.previous_close)


def _gap(one: _Candidate) -> Decimal | None:
    return _share(one.quote.open, one.quote.previous_close)


def _since_open(one: _Candidate) -> Decimal | None:
    return _share(one.quote.last, one.quote.open)


def _hot_price(one: _Candidate) -> Decimal | None:
    change = _change(one)
    return None if change is None else abs(change)


def _hot_volume(one: _Candidate) -> Decimal | None:
    return one.quote.volume / one.usual if one.usual else None


def _positive(measure: _Measure) -> _Measure:
    def rising(one: _Candidate) -> Decimal | None:
        value = measure(one)
        return value if value is not None and value > 0 else None

    return rising


def _negative(measure: _Measure) -> _Measure:
    def falling(one: _Candidate) -> Decimal | None:
        value = measure(one)
        return -value if value is not None and value < 0 else None

    return falling


def _halted(one: _Candidate) -> Decimal | None:
    return Decimal(one.quote.volume) if one.quote.halted else None


def _range(one: _Candidate) -> Decimal | None:
    return _share(one.quote.high, one.quote.low)


SCANS: Mapping[str, tuple[str, _Measure]] = {
    "TOP_PERC_GAIN": ("Top % Gainers", _positive(_change)),
    "TOP_PERC_LOSE": ("Top % Losers", _negative(_change)),
    "MOST_ACTIVE": ("Most Active", lambda one: Decimal(one.quote.volume)),
    "MOST_ACTIVE_USD": ("Most Active ($)", lambda one: one.quote.volume * one.quote.last),
    "HOT_BY_VOLUME": ("Hot Contracts by Volume", _hot_volume),
    "HOT_BY_PRICE": ("Hot Contracts by Price", _hot_price),
    "TOP_PRICE_RANGE": ("Top Price Range", _range),
    "HIGH_OPEN_GAP": ("Highest Opening Gap", _positive(_gap)),
    "LOW_OPEN_GAP": ("Lowest Opening Gap", _negative(_gap)),
    "TOP_OPEN_PERC_GAIN": ("Top % Gainers Since Open", _positive(_since_open)),
    "TOP_OPEN_PERC_LOSE": ("Top % Losers Since Open", _negative(_since_open)),
    "HALTED": ("Halted", _halted),
}
"""Name of every scan, and what it ranks by, highest first."""


def scan(market: Market, query: ScanQuery, now: datetime, today: date) -> list[Instrument]:
    """Return the stocks of a scan in their order. Raises ValueError for a code, a place or a kind there is not."""
    if query.code not in SCANS:
        raise ValueError(f"Scanner type with code {query.code[:40]!r} is disabled")
    if query.location not in LOCATIONS or query.instrument not in INSTRUMENTS:
        raise ValueError(f"No instruments of type {query.instrument[:40]!r} at location {query.location[:40]!r}")
    _, measure = SCANS[query.code]
    ranked: list[tuple[Decimal, int, Instrument]] = []
    for place, one in enumerate(_candidates(market, query, now, today)):
        value = measure(one)
        if value is not None and _passes(query, one):
            ranked.append((-value, place, one.stock))
    rows = MOST_ROWS if query.rows < 0 else min(query.rows, MOST_ROWS)
    return [stock for _, _, stock in sorted(ranked, key=lambda row: row[:2])[:rows]]


def _candidates(market: Market, query: ScanQuery, now: datetime, today: date) -> Iterable[_Candidate]:
    only_funds = "ETF" in query.location or "ETF" in query.instrument
    for stock in market.catalogue.listed:
        if stock.security_type is not SecurityType.STOCK or (only_funds and stock.stock_type != "ETF"):
            continue
        if _LISTED_AT.get(query.location, stock.primary_exchange) != stock.primary_exchange:
            continue
        quote = market.quote(stock.contract_id, now)
        if quote is not None:
            usual = usual_volume(market, stock.contract_id, today) if query.code == "HOT_BY_VOLUME" else None
            yield _Candidate(stock, quote, usual)


def _passes(query: ScanQuery, one: _Candidate) -> bool:
    change = _change(one)
    percent = None if change is None else change * 100
    types = {"CORP": ("COMMON",), "ETF": ("ETF",), "STOCK": ("COMMON",)}.get(query.stock_type)
    return (
        _within(one.quote.last, query.above_price, query.below_price)
        and _within(Decimal(one.quote.volume), query.above_volume, None)
        and _within(percent, query.above_change, query.below_change)
        and (types is None or one.stock.stock_type in types)
    )


def _within(value: Decimal | None, low: Decimal | int | None, high: Decimal | None) -> bool:
    if value is None:
        return low is None and high is None
    return (low is None or value >= low) and (high is None or value <= high)
