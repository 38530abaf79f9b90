"""Further ticks that a client asks for by the ids of generic ticks (IBKR, "Available tick types").

Assumptions, where the market has no such thing:
- One contract of options trades in a stock for every 500 shares, 55 % of them calls; open interest is 20 days of it.
- In the last ten minutes before the closing auction its volume is announced as it gathers, at the last price; the
  imbalance is a tenth of it, to the side that the price has moved since the open.
- Each tick is one trade, so rates per minute follow from the time between ticks.
- Shares can be borrowed in any number or not at all: 3.0 (more than 1000 shares) or 1.0 (not available).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from math import sqrt
from typing import Literal, TypeAlias

import numpy as np

from services.simulator.core import statistics, volatility
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.market import Market
from services.simulator.core.tape import IntegerArray, Tape
from services.simulator.core.tick_data import traded

Kind: TypeAlias = Literal["price", "size", "text", "number"]
GenericTick: TypeAlias = tuple[Kind, int, "Decimal | int | str"]
"""How the value is sent, tick type, value."""
_SHARES_PER_CONTRACT, _CALLS = 500, Decimal("0.55")
_INTEREST_DAYS = 20
_AUCTION_MINUTES = 10
_CENT, _PLACES = Decimal("0.01"), Decimal("0.0001")
_YEARLY_DAYS = 252


@dataclass(frozen=True, slots=True)
class Place:
    """An instrument's present tick."""

    market: Market
    instrument: Instrument
    tape: Tape
    index: int

    @property
    def contract_id(self) -> int:
        return self.instrument.contract_id

    @property
    def day(self) -> date:
        return self.tape.day

    @property
    def last(self) -> Decimal:
        return self.tape.price(self.tape.last[self.index])

    @property
    def volume(self) -> int:
        return int(self.tape.volume[self.index])

    @property
    def minutes(self) -> Decimal:
        """Length of a tick."""
        return Decimal(int(self.tape.step / timedelta(seconds=1))) / 60


def _plain(value: Decimal | None) -> str:
    return "" if value is None else f"{value.normalize():f}"


@lru_cache(maxsize=512)
def _values(tape: Tape) -> tuple[IntegerArray, IntegerArray]:
    """Return cumulative value and number of trades of a day."""
    sizes = traded(tape, 0, len(tape))
    return np.cumsum(tape.last * sizes), np.cumsum((sizes > 0).astype(np.int64))


def average_price(tape: Tape, index: int) -> Decimal:
    """Return the day's volume-weighted price up to a tick."""
    volume = int(tape.volume[index])
    if not volume:
        return tape.price(tape.last[index])
    return (int(_values(tape)[0][index]) * tape.unit / volume).quantize(_PLACES)


def _option_volume(place: Place) -> Iterator[GenericTick]:
    if place.instrument.security_type is SecurityType.OPTION:
        yield "size", 29 if place.instrument.right == "C" else 30, place.volume
    elif place.market.catalogue.has_options(place.contract_id):
        contracts = place.volume // _SHARES_PER_CONTRACT
        calls = int(contracts * _CALLS)
        yield "size", 29, calls
        yield "size", 30, contracts - calls


def _open_interest(place: Place) -> Iterator[GenericTick]:
    if place.instrument.security_type is SecurityType.OPTION:
        interest = place.market.options.open_interest(place.instrument, place.day)
        yield "size", 27 if place.instrument.right == "C" else 28, interest
    elif place.market.catalogue.has_options(place.contract_id):
        usual = statistics.average_volume(place.market, place.contract_id, place.day)
        contracts = usual * _INTEREST_DAYS // _SHARES_PER_CONTRACT
        calls = int(contracts * _CALLS)
        yield "size", 27, calls
        yield "size", 28, contracts - calls


def _average_option_volume(place: Place) -> Iterator[GenericTick]:
    if place.market.catalogue.has_options(place.contract_id):
        usual = statistics.average_volume(place.market, place.contract_id, place.day)
        yield "size", 87, usual // _SHARES_PER_CONTRACT


def _historical_volatility(place: Place) -> Iterator[GenericTick]:
    if _listed(place):
        value = volatility.realized(place.market, place.contract_id, place.day, open_of_day=True)
        if value is not None:
            yield "number", 23, value


def _implied_volatility(place: Place) -> Iterator[GenericTick]:
    if _listed(place):
        value = volatility.implied(place.market, place.contract_id, place.day)
        if value is not None:
            yield "number", 24, value


def _past(place: Place) -> Iterator[GenericTick]:
    if not _listed(place) and place.instrument.security_type is not SecurityType.CURRENCY:
        return
    for first, weeks in ((15, 13), (17, 26), (19, 52)):
        found = statistics.extremes(place.market, place.contract_id, place.day, weeks)
        if found is not None:
            yield "price", first, found[0]
            yield "price", first + 1, found[1]
    if place.instrument.security_type is SecurityType.STOCK:
        yield "size", 21, statistics.average_volume(place.market, place.contract_id, place.day)


def _mark(place: Place) -> Iterator[GenericTick]:
    yield "price", 37, place.last


def _auction(place: Place) -> Iterator[GenericTick]:
    tape, closing = place.tape, place.tape.regular[1]
    if not tape.auctions or not closing:
        return
    left = tape.time(closing) - tape.time(place.index)
    window = timedelta(minutes=_AUCTION_MINUTES)
    if timedelta(0) < left <= window:
        total = int(tape.volume[closing] - tape.volume[closing - 1])
        gathered = int(total * (1 - left / window))
        side = 1 if place.last >= tape.price(tape.last[tape.regular[0]]) else -1
        yield "size", 34, gathered
        yield "price", 35, place.last
        yield "size", 36, side * (gathered // 10)
        yield "size", 61, side * (gathered // 10)


def _real_time_volume(tick_type: int) -> "Callable[[Place], Iterator[GenericTick]]":
    def tick(place: Place) -> Iterator[GenericTick]:
        tape, index = place.tape, place.index
        size = place.volume - (int(tape.volume[index - 1]) if index else 0)
        milliseconds = int(tape.time(index).timestamp() * 1000)
        average = _plain(average_price(tape, index))
        yield "text", tick_type, f"{_plain(place.last)};{size};{milliseconds};{place.volume};{average};true"

    return tick


def _shortable(place: Place) -> Iterator[GenericTick]:
    if place.instrument.security_type is SecurityType.STOCK:
        shares = place.market.shortable(place.contract_id, place.day)
        yield "number", 46, Decimal("3.0" if shares > 1000 else "1.0")
        yield "size", 89, shares


def _trade_count(place: Place) -> Iterator[GenericTick]:
    yield "number", 54, int(_values(place.tape)[1][place.index])


def _trade_rate(place: Place) -> Iterator[GenericTick]:
    yield "number", 55, (1 / place.minutes).quantize(_CENT)


def _volume_rate(place: Place) -> Iterator[GenericTick]:
    before = int(place.tape.volume[place.index - 1]) if place.index else 0
    yield "number", 56, ((place.volume - before) / place.minutes).quantize(_CENT)


def _short_term_volume(place: Place) -> Iterator[GenericTick]:
    for tick_type, minutes in ((63, 3), (64, 5), (65, 10)):
        first = place.index - int(minutes / place.minutes)
        before = int(place.tape.volume[first]) if first >= 0 else 0
        yield "size", tick_type, place.volume - before


def _last_regular_trade(place: Place) -> Iterator[GenericTick]:
    opening, closing = place.tape.regular
    if place.index >= opening:
        yield "price", 57, place.tape.price(place.tape.last[min(place.index, closing)])


def _real_time_volatility(place: Place) -> Iterator[GenericTick]:
    """The day's volatility so far, per year, from the changes between ticks."""
    moves = np.diff(np.log(place.tape.last[: place.index + 1]))
    if len(moves) > 1:
        ticks_of_day = place.tape.regular[1] - place.tape.regular[0]
        yearly = float(np.std(moves)) * sqrt(ticks_of_day * _YEARLY_DAYS)
        yield "number", 58, Decimal(yearly).quantize(_PLACES)


def _dividends(place: Place) -> Iterator[GenericTick]:
    if place.instrument.security_type is SecurityType.STOCK:
        found = statistics.dividends(place.market, place.contract_id, place.day)
        following = f"{found.next_day:%Y%m%d},{_plain(found.next_amount)}" if found.next_day else ","
        yield "text", 59, f"{_plain(found.past)},{_plain(found.coming)},{following}"


def _ratios(place: Place) -> Iterator[GenericTick]:
    """Those fundamental ratios that follow from prices."""
    if place.instrument.security_type is SecurityType.STOCK:
        found = statistics.extremes(place.market, place.contract_id, place.day, 52)
        if found is not None:
            low, high = map(_plain, found)
            yield "text", 47, f"NPRICE={_plain(place.last)};NLOW={low};NHIGH={high};CURRENCY=USD"


def _future_interest(place: Place) -> Iterator[GenericTick]:
    if place.instrument.security_type is SecurityType.FUTURE:
        yield "size", 86, int(place.tape.volume[-1]) * 3 // 2


def _listed(place: Place) -> bool:
    return place.instrument.security_type in (SecurityType.STOCK, SecurityType.INDEX)


GENERIC: Mapping[int, Callable[[Place], Iterator[GenericTick]]] = {
    100: _option_volume,
    101: _open_interest,
    104: _historical_volatility,
    105: _average_option_volume,
    106: _implied_volatility,
    165: _past,
    221: _mark,
    225: _auction,
    232: _mark,
    233: _real_time_volume(48),
    236: _shortable,
    258: _ratios,
    293: _trade_count,
    294: _trade_rate,
    295: _volume_rate,
    318: _last_regular_trade,
    375: _real_time_volume(77),
    411: _real_time_volatility,
    456: _dividends,
    588: _future_interest,
    595: _short_term_volume,
}
LEGAL = frozenset(GENERIC) | {
    162, 292, 460, 499, 506, 513, 576, 577, 578, 586, 587, 614, 619, 623, 645, 658, 662,
}  # fmt: skip
"""Ids that IBKR knows; those without a function have no ticks here (292 is news)."""


def generic_ticks(place: Place, wanted: frozenset[int]) -> Iterator[GenericTick]:
    for generic in sorted(wanted):
        if generic in GENERIC:
            yield from GENERIC[generic](place)
