"""The simulated market: what is listed, when it trades, and at which prices.

Everything is computed when asked for, from daily or minute bars, and is the same whenever it is asked: a restart
needs no state. How prices move inside a day is said in `bars` and `tapes`, option prices in `options`.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

import numpy as np

from services.simulator.core.bars import DailyBar, Frame, Series, ticks_between
from services.simulator.core.calendars import Hours, TradingDays, regular_close, trading_days
from services.simulator.core.catalogue import Catalogue
from services.simulator.core.corporate import CorporateAction
from services.simulator.core.depth import ladder
from services.simulator.core.increments import increment_of
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.option_market import OptionMarket
from services.simulator.core.quotes import MarketTerms, Quote
from services.simulator.core.sessions import MainExchange
from services.simulator.core.tape import IntegerArray, Level, Session, Tape
from services.simulator.core.tapes import future_tape, listed_tape
from shared.options import Greeks

_TICKS_KEPT = 4_000_000
"""Ticks of tapes held in memory, at 56 bytes each at most."""
_SHARES_TO_BORROW = 10_000_000


class Market(MainExchange):
    """Prices of everything listed over a fixed stretch of sessions; implements `core.tape.Prices`.

    `all_sessions` covers history before and known sessions after; trading is possible in `sessions`, from `start` to
    `end`, both inclusive dates. An instrument whose series has no prices for a day has no tape in it.
    """

    def __init__(
        self,
        all_sessions: Sequence[Session],
        catalogue: Catalogue,
        series: Mapping[int, Series],
        start: date,
        end: date,
        terms: MarketTerms,
        actions: Mapping[int, Sequence[CorporateAction]] | None = None,
    ) -> None:
        super().__init__(all_sessions, start, end, timedelta(seconds=terms.tick_seconds))
        self.catalogue = catalogue
        self.terms = terms
        self.end = end
        self._series = series
        self._actions = actions or {}
        stock_hours = Hours.EXTENDED if terms.extended_hours else Hours.REGULAR
        self._hours = {kind: trading_days(kind, self.all_sessions, self.tick) for kind in Hours}
        self._hours_of = {
            SecurityType.STOCK: self._hours[stock_hours],
            SecurityType.INDEX: self._hours[Hours.REGULAR],
            SecurityType.OPTION: self._hours[Hours.REGULAR],
            SecurityType.FUTURE: self._hours[Hours.FUTURES],
            SecurityType.CURRENCY: self._hours[Hours.CURRENCIES],
        }
        ticks = ticks_between(self.sessions[0].open, self.sessions[0].close, self.tick)
        kept = max(2 * len(catalogue.listed) + 16, _TICKS_KEPT // ticks)
        self.tape = lru_cache(maxsize=kept)(self._tape)
        self._extremes = lru_cache(maxsize=kept)(self._find_extremes)
        self.previous_close = lru_cache(maxsize=8192)(self._previous_close)
        self.options = OptionMarket(self.tape, self._closes_before, self._close_of, terms.interest_rate)

    # -- contracts --------------------------------------------------------------------------------------------------

    def instrument(self, contract_id: int) -> Instrument:
        """Raises KeyError for an id that was never listed."""
        return self.catalogue.by_id(contract_id)

    def increment(self, contract_id: int, price: Decimal) -> Decimal:
        """Return the smallest price step at `price` under the instrument's market rule."""
        return increment_of(self.instrument(contract_id).market_rule, price)

    def actions(self, contract_id: int) -> Sequence[CorporateAction]:
        """Return every dividend and split of a stock, oldest first."""
        return self._actions.get(contract_id, ())

    def shortable(self, contract_id: int, day: date) -> int:
        """Return how many shares can be borrowed on a day: none of those named hard to borrow, else ten million."""
        del day  # the same every day, so far
        hard = self.instrument(contract_id).symbol in self.terms.hard_to_borrow
        return 0 if hard else _SHARES_TO_BORROW

    def fingerprint(self) -> str:
        """Return a digest of everything that decides the prices."""
        digest = hashlib.sha256(f"{self.terms.tick_seconds} {self.terms.spread} {self.sessions}".encode())
        digest.update(f"{self.terms.extended_hours} {self.terms.interest_rate} {self._actions}".encode())
        digest.update(f"{sorted(self.terms.hard_to_borrow)} {self.catalogue.rules}".encode())
        for listed in self.catalogue.listed:
            digest.update(f"{listed} {self._series[listed.contract_id].digest()}".encode())
        return digest.hexdigest()

    # -- hours ---------------------------------------------------------------------------------------------------------

    def traded_hours(self) -> list[TradingDays]:
        """Return the trading days of every kind of instrument there is."""
        kinds = {listed.security_type for listed in self.catalogue.listed}
        if self.catalogue.has_futures:
            kinds.add(SecurityType.FUTURE)
        return list({id(days): days for days in (self._hours_of[kind] for kind in sorted(kinds))}.values())

    def trading_days(self, contract_id: int) -> TradingDays:
        """Return an instrument's trading days by its kind, whether or not it has prices for them."""
        return self._hours_of[self.instrument(contract_id).security_type]

    def frame(self, contract_id: int, day: date) -> Frame | None:
        """Return the hours an instrument trades in on a day: shorter on a future's last day; None if on no time."""
        instrument = self.instrument(contract_id)
        frame = self._hours_of[instrument.security_type].of_day(day)
        if frame is None or (instrument.expiry is not None and day > instrument.expiry):
            return None
        if instrument.security_type is SecurityType.FUTURE and day == instrument.expiry:
            opening = frame.start + frame.regular[0] * frame.step
            return Frame(day, frame.start, opening, frame.step, (0, frame.regular[0]))
        if instrument.security_type is SecurityType.FUTURE:
            return Frame(day, frame.start, frame.end, frame.step, (0, len(frame) - 1))
        return frame

    # -- prices -----------------------------------------------------------------------------------------------------

    def series(self, contract_id: int) -> Series:
        """Return the prices of a stock, an index or a pair. Raises KeyError for what is derived from them."""
        return self._series[contract_id]

    def daily_bar(self, contract_id: int, day: date) -> DailyBar | None:
        """Return a day's prices in units: of regular hours for what is listed by name, else of the whole tape."""
        if contract_id in self._series:
            return self._series[contract_id].bar(day) if day <= self.end else None
        tape = self.tape(contract_id, day)
        if tape is None:
            return None
        last = tape.last
        return DailyBar(day, int(last[0]), int(last.max()), int(last.min()), int(last[-1]), int(tape.volume[-1]))

    def _tape(self, contract_id: int, day: date) -> Tape | None:
        """Return the trading day that belongs to `day`, None if the instrument does not trade in it."""
        instrument = self.instrument(contract_id)
        frame = self.frame(contract_id, day)
        if frame is None or day > self.end:
            return None
        if instrument.security_type is SecurityType.OPTION:
            return self.options.tape(instrument, day)
        if instrument.security_type is not SecurityType.FUTURE:
            return listed_tape(instrument, frame, self._series[contract_id], self.terms.spread)
        index = self.tape(instrument.underlying_id, day)
        if index is None:
            return None
        close = self.previous_close(instrument.underlying_id, day)
        opening = index.price(int(index.last[0]))
        return future_tape(instrument, frame, index, opening if close is None else close, self.terms.interest_rate)

    def tape_at(self, contract_id: int, now: datetime) -> Tape | None:
        """Return the tape that is running: `start <= now < end`."""
        tape = self.next_tape(contract_id, now)
        return tape if tape is not None and tape.start <= now else None

    def next_tape(self, contract_id: int, after: datetime) -> Tape | None:
        """Return the running tape or the first one to start later: the first whose `end` is later than `after`."""
        frames = self.trading_days(contract_id).frames
        expiry = self.instrument(contract_id).expiry or self.end
        for index in range(self.trading_days(contract_id).unfinished(after), len(frames)):
            if frames[index].day > min(self.end, expiry):
                return None
            tape = self.tape(contract_id, frames[index].day)
            if tape is not None and tape.end > after:
                return tape
        return None

    def latest(self, contract_id: int, now: datetime) -> tuple[Tape, int] | None:
        """Return the tape and index of the last tick at or before `now`, of an earlier day if need be."""
        days = self.trading_days(contract_id)
        return self._latest_before(contract_id, days.begun(now), now)

    def _latest_before(self, contract_id: int, beyond: int, now: datetime) -> tuple[Tape, int] | None:
        frames = self.trading_days(contract_id).frames
        for index in range(beyond - 1, -1, -1):
            tape = self.tape(contract_id, frames[index].day)
            if tape is not None:
                return tape, tape.index(now)
            if frames[index].day < self._first_day(contract_id):
                return None
        return None

    def _first_day(self, contract_id: int) -> date:
        """Return a day before which the instrument certainly has no prices."""
        instrument = self.instrument(contract_id)
        days = self._series[instrument.underlying_id or contract_id].days
        return days[0] if days else date.max

    def _previous_close(self, contract_id: int, day: date) -> Decimal | None:
        """Return the close of the last trading day before `day` that has prices: of its regular hours."""
        instrument = self.instrument(contract_id)
        if contract_id in self._series:
            days = self._series[contract_id].days
            index = bisect_left(days, day) - 1
            bar = self._series[contract_id].bar(days[index]) if index >= 0 else None
            return None if bar is None else bar.close * instrument.unit
        frames = self.trading_days(contract_id).frames
        before = bisect_left(frames, day, key=lambda frame: frame.day)
        found = self._latest_before(contract_id, before, frames[before - 1].end) if before else None
        return None if found is None else found[0].price(int(found[0].last[-1]))

    def _find_extremes(self, contract_id: int, day: date) -> tuple[IntegerArray, IntegerArray]:
        tape = self.tape(contract_id, day)
        assert tape is not None  # noqa: S101 - it is being quoted
        return np.maximum.accumulate(tape.last), np.minimum.accumulate(tape.last)

    def quote(self, contract_id: int, now: datetime) -> Quote | None:
        """Return the latest quote at or before `now`, of an earlier day if need be; None before the first."""
        found = self.latest(contract_id, now)
        return None if found is None else self.quote_at(*found)

    def quote_at(self, tape: Tape, index: int) -> Quote:
        """Return the quote of one tick."""
        high, low = self._extremes(tape.contract_id, tape.day)
        volume = int(tape.volume[index])
        return Quote(
            contract_id=tape.contract_id,
            time=tape.time(index),
            bid=tape.price(int(tape.bid[index])),
            ask=tape.price(int(tape.ask[index])),
            last=tape.price(int(tape.last[index])),
            bid_size=int(tape.bid_size[index]),
            ask_size=int(tape.ask_size[index]),
            last_size=volume - (int(tape.volume[index - 1]) if index else 0),
            volume=volume,
            open=tape.price(int(tape.last[0])),
            high=tape.price(int(high[index])),
            low=tape.price(int(low[index])),
            previous_close=self.previous_close(tape.contract_id, tape.day),
            halted=bool(tape.halts) and tape.halted(index),
            index=index,
        )

    def ladder(self, tape: Tape, index: int) -> tuple[Sequence[Level], Sequence[Level]]:
        """Return bids and asks at a tick, best first; the best levels are the tape's own bid and ask."""
        return ladder(tape, index, self.instrument(tape.contract_id).market_rule)

    # -- options ----------------------------------------------------------------------------------------------------

    def greeks(self, contract_id: int, now: datetime, price: Decimal | None = None) -> Greeks | None:
        """Return an option's model at its latest tick, or what `price` implies there; None if there is none."""
        found = self.latest(contract_id, now)
        if found is None:
            return None
        return self.options.greeks(self.instrument(contract_id), *found, () if price is None else (float(price),))[-1]

    def open_interest(self, contract_id: int, day: date) -> int:
        return self.options.open_interest(self.instrument(contract_id), day)

    def _closes_before(self, contract_id: int, day: date, number: int) -> Sequence[float]:
        series, unit = self._series[contract_id], float(self.instrument(contract_id).unit)
        beyond = bisect_left(series.days, day)
        bars = (series.bar(each) for each in series.days[max(0, beyond - number) : beyond])
        return [bar.close * unit for bar in bars if bar is not None]

    def _close_of(self, day: date) -> datetime:
        session = self.session_of(day)
        return session.close if session is not None else regular_close(day)
