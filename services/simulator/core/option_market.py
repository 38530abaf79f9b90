"""Options as they trade: tapes, Greeks, volume and open interest, made from the underlying's tape of the same day.

Assumptions:
- An option is worth its model price (`options`) at the surface's volatility (`surface`) for the underlying's last
  price, at every tick of regular hours; it last traded at about that price.
- Bid and ask lie half a width to each side and are rounded outward to the market rule's grid. The width is 0.02 USD
  plus 1 % of the premium, and another 1 % for each standard deviation (at most four) from at the money.
- A day's volume is a two-thousandth of the underlying's at the money near expiry; it falls with the distance from
  the money as the bell curve does, and by half for every 30 days to expiry. Open interest is six such volumes and
  falls half as fast. Both are scattered by contract and day.
- Time to expiry runs in calendar days until the close of the expiry day.
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import lru_cache
from hashlib import sha256
from math import exp, log, sqrt
from typing import TypeAlias

import numpy as np

from services.simulator.core.bars import volume_shares
from services.simulator.core.increments import MARKET_RULES
from services.simulator.core.instruments import Instrument
from services.simulator.core.surface import SHORTEST, Surface, surface_of
from services.simulator.core.tape import IntegerArray, Tape
from services.simulator.core.tapes import shown_sizes
from shared import options
from shared.options import Floats, Greeks

_BASE_WIDTH, _WIDTH_SHARE, _FARTHEST = 0.02, 0.01, 4.0
_VOLUME_SHARE, _HALVING_DAYS, _VOLUMES_OPEN = 1 / 2000, 30.0, 6.0
_SHOWN_SHARE, _MOST_SHOWN = 1 / 100, 200
_SECONDS_OF_YEAR = options.DAYS * 86_400
_CENTS = 100.0
_CLOSES = 253

TapeOf: TypeAlias = Callable[[int, date], Tape | None]
ClosesBefore: TypeAlias = Callable[[int, date, int], Sequence[float]]
"""Contract id, day, number -> at most that many closes before the day, oldest first, in USD."""
CloseOf: TypeAlias = Callable[[date], datetime]


class OptionMarket:
    """Prices of every option. `close_of` tells when the options that expire on a day cease to trade."""

    def __init__(self, tape_of: TapeOf, closes_before: ClosesBefore, close_of: CloseOf, rate: float) -> None:
        self.rate = rate
        self._tape_of = tape_of
        self._closes_before = closes_before
        self._close_of = close_of
        self.surface = lru_cache(maxsize=4096)(self._surface)
        self.greeks = lru_cache(maxsize=1024)(self._greeks)

    def _surface(self, underlying_id: int, day: date) -> Surface:
        """Return the volatility surface of an underlying on a day, known before its open."""
        return surface_of(self._closes_before(underlying_id, day, _CLOSES))

    def tape(self, option: Instrument, day: date) -> Tape | None:
        """Return an option's day, None if its underlying does not trade in it."""
        underlying = self._tape_of(option.underlying_id, day)
        if underlying is None:
            return None
        first, final = underlying.regular
        start, end, ticks = underlying.time(first), underlying.time(final), final - first + 1
        spot = underlying.last[first : final + 1].astype(np.float64) * float(underlying.unit)
        passed = np.minimum(np.arange(ticks) * underlying.step.total_seconds(), (end - start).total_seconds())
        years = np.maximum(((self._expires(option) - start).total_seconds() - passed) / _SECONDS_OF_YEAR, SHORTEST)
        strike = np.asarray(float(option.strike))
        volatility = self._volatility(option, day, spot, years)
        value = options.price(option.right, spot, strike, years, volatility, self.rate)
        distance = np.abs(np.log(spot / strike)) / (volatility * np.sqrt(years))
        bid, ask, last = _quotes(value, distance, option.market_rule)
        volume = self.day_volume(option, underlying)
        bid_size, ask_size = shown_sizes(ticks, max(5, min(_MOST_SHOWN, int(volume * _SHOWN_SHARE))), 1)
        return Tape(
            contract_id=option.contract_id,
            day=day,
            start=start,
            end=end,
            step=underlying.step,
            unit=option.unit,
            last=last,
            bid=bid,
            ask=ask,
            bid_size=np.where(bid > 0, bid_size, 0),
            ask_size=ask_size,
            volume=np.floor(volume_shares(ticks) * volume).astype(np.int64),
            regular=(0, ticks - 1),
            auctions=False,
            halts=tuple((begins - first, beyond - first) for begins, beyond in underlying.halts),
        )

    def _greeks(
        self, option: Instrument, tape: Tape, index: int, prices: tuple[float, ...]
    ) -> tuple[Greeks | None, ...]:
        """Return an option's model at a tick of its tape, then what each of `prices` implies: None if nothing does."""
        underlying = self._tape_of(option.underlying_id, tape.day)
        assert underlying is not None  # noqa: S101 - the option's tape was made from it
        spot = int(underlying.last[underlying.regular[0] + index]) * float(underlying.unit)
        years = self.years(option, tape.time(index))
        model = float(self._volatility(option, tape.day, np.asarray(spot), np.asarray(years)))
        return tuple(self._at(option, spot, years, [model, *self._implied(option, spot, years, prices)]))

    def at_volatility(self, option: Instrument, spot: float, years: float, volatility: float) -> Greeks | None:
        """Return the model of an option on an underlying at `spot` USD."""
        return self._at(option, spot, years, [volatility])[0]

    def at_price(self, option: Instrument, spot: float, years: float, price: float) -> Greeks | None:
        """Return the model at the volatility that `price` implies, None if no volatility does."""
        return self._at(option, spot, years, self._implied(option, spot, years, [price]))[0]

    def _implied(
        self, option: Instrument, spot: float, years: float, prices: Sequence[float]
    ) -> Sequence[float | None]:
        return options.implied_volatilities(option.right, spot, float(option.strike), years, prices, self.rate)

    def _at(
        self, option: Instrument, spot: float, years: float, volatilities: Sequence[float | None]
    ) -> list[Greeks | None]:
        """Return the model at each of some volatilities, which has most of its work in common."""
        known = list(dict.fromkeys(one for one in volatilities if one is not None))
        found = options.greeks(option.right, spot, float(option.strike), years, known, self.rate)
        by_volatility = dict(zip(known, found, strict=True))
        return [None if one is None else by_volatility[one] for one in volatilities]

    def years(self, option: Instrument, now: datetime) -> float:
        """Return the time to expiry; never quite nothing."""
        return max((self._expires(option) - now).total_seconds() / _SECONDS_OF_YEAR, SHORTEST)

    def day_volume(self, option: Instrument, underlying: Tape) -> int:
        """Return how many contracts trade in the whole day of the underlying's tape."""
        return self._activity(option, underlying, _HALVING_DAYS)

    def open_interest(self, option: Instrument, day: date) -> int:
        """Return how many contracts are open on a day, the same all day long."""
        underlying = self._tape_of(option.underlying_id, day)
        return 0 if underlying is None else int(_VOLUMES_OPEN * self._activity(option, underlying, 2 * _HALVING_DAYS))

    def _activity(self, option: Instrument, underlying: Tape, halving: float) -> int:
        assert option.expiry is not None  # noqa: S101 - every option has one
        days_left = max(1, (option.expiry - underlying.day).days)
        spot = int(underlying.last[underlying.regular[0]]) * float(underlying.unit)
        deviation = self.surface(option.underlying_id, underlying.day).long * sqrt(max(days_left, 7) / options.DAYS)
        distance = log(float(option.strike) / spot) / deviation
        draw = sha256(f"{option.contract_id} {underlying.day}".encode()).digest()
        scatter = 0.5 + int.from_bytes(draw[:4]) / (1 << 32)
        shares = int(underlying.volume[-1]) * _VOLUME_SHARE * exp(-distance * distance / 2)
        return int(shares * 0.5 ** (days_left / halving) * scatter)

    def _expires(self, option: Instrument) -> datetime:
        assert option.expiry is not None  # noqa: S101 - every option has one
        return self._close_of(option.expiry)

    def _volatility(self, option: Instrument, day: date, spot: Floats, years: Floats) -> Floats:
        surface = self.surface(option.underlying_id, day)
        return surface.volatility(log(float(option.strike)) - np.log(spot) - self.rate * years, years)


def _quotes(value: Floats, distance: Floats, rule: int) -> tuple[IntegerArray, IntegerArray, IntegerArray]:
    """Return bid, ask and last in cents, on the grid of a market rule of at most two steps."""
    half = (_BASE_WIDTH + value * _WIDTH_SHARE * (1.0 + np.minimum(distance, _FARTHEST))) / 2.0
    bid = _on_grid(np.floor, np.maximum(value - half, 0.0) * _CENTS, rule)
    ask = _on_grid(np.ceil, (value + half) * _CENTS, rule)
    last = np.clip(_on_grid(np.rint, value * _CENTS, rule), bid, ask)
    return bid, ask, np.maximum(last, 1)


def _on_grid(rounding: Callable[[Floats], Floats], cents: Floats, rule: int) -> IntegerArray:
    steps = MARKET_RULES[rule]
    low, high = int(steps[0].increment * 100), int(steps[-1].increment * 100)
    step = np.where(cents < float(steps[-1].low_edge) * _CENTS, low, high) if len(steps) > 1 else np.asarray(low)
    return (rounding(cents / step) * step).astype(np.int64)
