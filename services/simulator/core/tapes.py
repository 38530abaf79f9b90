"""Makes the tapes of stocks, indices, currency pairs and futures from their series of prices.

Assumptions:
- Bid and ask of a stock lie a fixed spread to each side of the last price; of a pair or a future one price step; an
  index has none.
- What is shown at the best bid and ask is on average 2 % of what trades in a minute of regular hours, in round lots
  of 100 shares (1 contract, 100,000 units of a currency), and varies from tick to tick.
- A future costs its index times exp(interest * years to expiry): no dividends. Outside its index's hours it goes
  straight from the last close to the next open. Its volume is the index's divided by the multiplier, halved for every
  45 days to expiry; nine tenths of it trade in the index's hours.
"""

from datetime import timedelta
from decimal import Decimal
from functools import lru_cache

import numpy as np

from services.simulator.core.bars import DayPath, Frame, Series, straight
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.tape import IntegerArray, Tape

YEAR = timedelta(days=365)
_SHOWN_SHARE = 0.02
_REGULAR_MINUTES = 390
_CURRENCY_LOT = 100_000
_NIGHT_SHARE, _HALVING_DAYS = 0.1, 45


@lru_cache(maxsize=256)
def shown_sizes(ticks: int, lots: int, lot: int) -> tuple[IntegerArray, IntegerArray]:
    """Return what is shown at bid and at ask: `lots` on average, at least one, in units of `lot`."""
    ticks_so_far = np.arange(ticks, dtype=np.int64)
    bid = np.maximum(1, lots * (1 + ticks_so_far * 7 % 9) // 5) * lot
    ask = np.maximum(1, lots * (1 + ticks_so_far * 5 % 9) // 5) * lot
    bid.flags.writeable = ask.flags.writeable = False  # many tapes share them
    return bid, ask


def lots_of(volume: int, lot: int) -> int:
    """Return how many lots are shown on average of an instrument that trades `volume` in a day.

    Rounded to two digits, so that similar days share their arrays.
    """
    lots = volume * _SHOWN_SHARE / _REGULAR_MINUTES / lot
    if lots < 1:
        return 1
    digits = 10 ** max(0, len(str(int(lots))) - 2)
    return round(lots / digits) * digits


def quoted_tape(instrument: Instrument, frame: Frame, path: DayPath, spread: int, sizes: tuple[int, int]) -> Tape:
    """Return a tape whose bid and ask lie `spread` units to each side; `sizes` are lots shown and units per lot."""
    bid_size, ask_size = shown_sizes(len(frame), *sizes)
    return Tape(
        contract_id=instrument.contract_id,
        day=frame.day,
        start=frame.start,
        end=frame.end,
        step=frame.step,
        unit=instrument.unit,
        last=path.last,
        bid=np.maximum(path.last - spread, 1),
        ask=np.maximum(path.last + spread, 2),
        bid_size=bid_size,
        ask_size=ask_size,
        volume=path.volume,
        regular=frame.regular,
        auctions=instrument.security_type is SecurityType.STOCK,
        halts=path.halts,
    )


def listed_tape(instrument: Instrument, frame: Frame, series: Series, spread: Decimal) -> Tape | None:
    """Return the day of a stock, an index or a currency pair, None if its series has no prices for it."""
    path, bar = series.path(frame), series.bar(frame.day)
    if path is None or bar is None:
        return None
    if instrument.security_type is SecurityType.INDEX:
        return quoted_tape(instrument, frame, path, 0, (0, 0))
    if instrument.security_type is SecurityType.CURRENCY:
        return quoted_tape(instrument, frame, path, 1, (lots_of(bar.volume, _CURRENCY_LOT), _CURRENCY_LOT))
    return quoted_tape(instrument, frame, path, int(spread / instrument.unit), (lots_of(bar.volume, 100), 100))


def future_tape(instrument: Instrument, frame: Frame, index: Tape, previous_close: Decimal, rate: float) -> Tape:
    """Return a future's day, made from its index's tape of the same day and the index's close before it.

    Arrays are made for the whole frame of the trading day and cut at `frame.end`, which is earlier on the last day.
    """
    assert instrument.expiry is not None  # noqa: S101 - every future has one
    first = -(-(index.start - frame.start) // frame.step)
    final = min(first + len(index) - 1, len(frame) - 1)
    inner = index.last[: final - first + 1].astype(np.float64) * float(index.unit)
    night = straight(float(previous_close), float(inner[0]), first)
    spot = np.concatenate([night, inner, np.full(len(frame) - 1 - final, inner[-1])])
    days_left = (instrument.expiry - frame.day).days
    seconds = np.minimum(np.arange(len(frame)) * frame.step.total_seconds(), (frame.end - frame.start).total_seconds())
    from_open = seconds - (index.start - frame.start).total_seconds()
    years = np.maximum(days_left * 86_400 - from_open, 0.0) / YEAR.total_seconds()
    last = np.rint(spot * np.exp(rate * years) / float(instrument.unit)).astype(np.int64)
    contracts = int(index.volume[-1]) / instrument.multiplier * 0.5 ** (days_left / _HALVING_DAYS)
    volume = _future_volume(len(frame), first, final, int(contracts))
    lots = max(1, lots_of(int(volume[-1]), 1))
    return quoted_tape(instrument, frame, DayPath(last, volume), 1, (lots, 1))


def _future_volume(ticks: int, first: int, final: int, total: int) -> IntegerArray:
    """Return the cumulative volume: even within regular hours, and even outside them."""
    share = np.zeros(ticks)
    share[first : final + 1] = (1 - _NIGHT_SHARE) / (final - first + 1)
    outside = ticks - (final - first + 1)
    if outside:
        share[:first] = share[final + 1 :] = _NIGHT_SHARE / outside
    return np.floor(np.cumsum(share) * total).astype(np.int64)
