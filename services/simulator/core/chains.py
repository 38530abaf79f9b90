"""Option chains: which options are listed on a stock, and their ids and names.

Assumptions:
- Weekly options expire on every Friday and are listed 35 days ahead, those of a month's third Friday 190 days, those
  of January 800 days.
- Strikes are listed up to 15 %, 30 % and 50 % (by that same order of terms) beyond the lowest and the highest price
  that the stock has had from the listing day until the day before: strikes are added as it moves, and never removed.
- Strikes are 0.50 USD apart up to 25, 1 to 200, 2.50 to 500, 5 to 2000, 10 to 10,000 and 25 above.
- Splits do not adjust contracts.

A contract id is computed from underlying, week, strike and right, so that no list has to be kept: it is the same in
every run with the same symbols and dates.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from services.simulator.core.calendars import third_friday, weekly_expiry
from services.simulator.core.increments import OPTION_RULE, PENNY_OPTION_RULE
from services.simulator.core.instruments import Instrument, SecurityType

if TYPE_CHECKING:
    from services.simulator.core.catalogue import ContractQuery

PriceRange: TypeAlias = Callable[[int, date, date], tuple[Decimal, Decimal] | None]
"""Contract id, first day, day after the last -> lowest and highest price of the days that have one."""

MULTIPLIER = 100
_FIRST_ID, _HIGHEST_ID = 1_000_000_000, 2_147_483_647
_WEEK = timedelta(days=7)
_PENNY_CLASSES = frozenset({"SPY", "QQQ", "IWM"})
_RIGHTS = {"C": "C", "CALL": "C", "P": "P", "PUT": "P"}
_STRIKE_STEPS = (("0.5", 25), ("1", 200), ("2.5", 500), ("5", 2000), ("10", 10_000), ("25", 100_000))


@dataclass(frozen=True, slots=True)
class Chain:
    """The options of one trading class at one exchange."""

    trading_class: str
    exchange: str
    multiplier: int
    expiries: Sequence[date]
    strikes: Sequence[Decimal]


def _all_strikes() -> tuple[Decimal, ...]:
    strikes = [Decimal(0)]
    for step, beyond in _STRIKE_STEPS:
        while strikes[-1] < beyond:
            strikes.append(strikes[-1] + Decimal(step))
    return tuple(strikes[1:])


STRIKES = _all_strikes()


def _term(friday: date) -> tuple[timedelta, Decimal]:
    """Return how long before it expires an option is listed, and how far beyond past prices its strikes reach."""
    if friday != third_friday(friday.year, friday.month):
        return timedelta(days=35), Decimal("0.15")
    return (timedelta(days=800), Decimal("0.5")) if friday.month == 1 else (timedelta(days=190), Decimal("0.3"))


class Chains:
    """The options on `underlyings`, from `first` to `last` day of the market. `prices` tells what strikes follow."""

    def __init__(self, underlyings: Sequence[Instrument], first: date, last: date, prices: PriceRange) -> None:
        """Raises ValueError when there are more possible contracts than contract ids."""
        self.underlyings: Mapping[int, Instrument] = {stock.contract_id: stock for stock in underlyings}
        self._numbers = {stock.contract_id: number for number, stock in enumerate(underlyings)}
        self._by_symbol = {stock.symbol: stock for stock in underlyings}
        self._stocks = tuple(underlyings)
        self._first_friday = first + timedelta(days=(4 - first.weekday()) % 7)
        self.weeks = (last - self._first_friday).days // 7 + 1 + 800 // 7 + 2
        self._prices = prices
        if len(underlyings) * self.weeks * len(STRIKES) * 2 > _HIGHEST_ID - _FIRST_ID:
            raise ValueError(
                f"options: {len(underlyings)} stocks over {self.weeks} weeks have more contracts than there are ids; "
                "choose fewer symbols or dates, or options = false"
            )
        self.by_id = lru_cache(maxsize=1 << 16)(self._by_id)
        self.strikes = lru_cache(maxsize=1 << 14)(self._strikes)

    def find(self, query: "ContractQuery", today: date | None) -> list[Instrument]:
        """Return the options that fit; with `today` only those listed on that day or expired before it."""
        if query.local_symbol:
            found = self._of_local_symbol(query.local_symbol)
            candidates = [found] if found is not None and (today is None or self._listed(found, today)) else []
        else:
            candidates = self._candidates(query, today)
        return [option for option in candidates if _fits(query, option)]

    def chain(self, underlying_id: int, today: date) -> list[Chain]:
        stock = self.underlyings.get(underlying_id)
        if stock is None:
            return []
        strikes: set[Decimal] = set()
        expiries: list[date] = []
        for friday in self._fridays(today):
            of_expiry = self.strikes(underlying_id, friday, today)
            if of_expiry and weekly_expiry(friday) >= today:
                expiries.append(weekly_expiry(friday))
                strikes.update(of_expiry)
        if not expiries:
            return []
        return [
            Chain(stock.symbol, exchange, MULTIPLIER, tuple(expiries), tuple(sorted(strikes)))
            for exchange in self.option(stock, self._first_friday, STRIKES[0], "C").exchanges
        ]

    def option(self, stock: Instrument, friday: date, strike: Decimal, right: str) -> Instrument:
        """Return the contract of a Friday's week. `strike` is one of STRIKES."""
        week = (friday - self._first_friday).days // 7
        position = (self._numbers[stock.contract_id] * self.weeks + week) * len(STRIKES) + bisect_left(STRIKES, strike)
        found = self.by_id(_FIRST_ID + 2 * position + (right == "P"))
        assert found is not None  # noqa: S101 - made from a valid position
        return found

    def _by_id(self, contract_id: int) -> Instrument | None:
        position, put = divmod(contract_id - _FIRST_ID, 2)
        rest, strike_number = divmod(position, len(STRIKES))
        number, week = divmod(rest, self.weeks)
        if contract_id < _FIRST_ID or number >= len(self._stocks):
            return None
        stock, strike, right = self._stocks[number], STRIKES[strike_number], "P" if put else "C"
        expiry = weekly_expiry(self._first_friday + week * _WEEK)
        return Instrument(
            contract_id=contract_id,
            symbol=stock.symbol,
            security_type=SecurityType.OPTION,
            exchange="SMART",
            primary_exchange="",
            local_symbol=f"{stock.symbol:<6}{expiry:%y%m%d}{right}{int(strike * 1000):08d}",
            trading_class=stock.symbol,
            long_name=stock.long_name,
            multiplier=MULTIPLIER,
            expiry=expiry,
            strike=strike,
            right=right,
            underlying_id=stock.contract_id,
            market_rule=PENNY_OPTION_RULE if stock.symbol in _PENNY_CLASSES else OPTION_RULE,
            stock_type="",
        )

    def _fridays(self, today: date | None, expired: bool = False) -> list[date]:
        """Return the weeks whose options are listed on a day or, with `expired`, were before; without a day all."""
        fridays = [self._first_friday + week * _WEEK for week in range(self.weeks)]
        if today is None:
            return fridays
        return [friday for friday in fridays if friday - _term(friday)[0] <= today and (expired or today <= friday)]

    def _strikes(self, underlying_id: int, friday: date, today: date | None) -> tuple[Decimal, ...]:
        """Return the strikes listed on a day, or ever, which is also what an expired contract had."""
        term, width = _term(friday)
        beyond = friday if today is None else min(today, friday)
        found = self._prices(underlying_id, friday - term, beyond)
        if found is None:
            return ()
        low, high = found
        return STRIKES[bisect_left(STRIKES, low * (1 - width)) : bisect_right(STRIKES, high * (1 + width))]

    def _listed(self, option: Instrument, today: date) -> bool:
        assert option.expiry is not None  # noqa: S101 - every option has one
        friday = option.expiry + timedelta(days=(4 - option.expiry.weekday()) % 7)
        listed = self.strikes(option.underlying_id, friday, today)
        return friday - _term(friday)[0] <= today and option.strike in listed

    def _of_local_symbol(self, text: str) -> Instrument | None:
        symbol, expiry_text, right, strike_text = text[:6].rstrip(), text[6:12], text[12:13], text[13:]
        stock = self._by_symbol.get(symbol)
        try:
            expiry = date(2000 + int(expiry_text[:2]), int(expiry_text[2:4]), int(expiry_text[4:6]))
            strike = Decimal(strike_text) / 1000
        except (ValueError, InvalidOperation):
            return None
        if stock is None or right not in ("C", "P"):
            return None
        return self._at(stock, expiry, strike, right)

    def _at(self, stock: Instrument, expiry: date, strike: Decimal, right: str) -> Instrument | None:
        """Return the option of these very terms, if there can be one."""
        friday = expiry + timedelta(days=(4 - expiry.weekday()) % 7)
        inside = 0 <= (friday - self._first_friday).days // 7 < self.weeks
        place = bisect_left(STRIKES, strike)
        if not inside or weekly_expiry(friday) != expiry or place == len(STRIKES) or STRIKES[place] != strike:
            return None
        return self.option(stock, friday, strike, right)

    def _candidates(self, query: "ContractQuery", today: date | None) -> list[Instrument]:
        stock = self._by_symbol.get(query.symbol)
        if stock is None or (query.right and query.right not in _RIGHTS):
            return []
        rights = (_RIGHTS[query.right],) if query.right else ("C", "P")
        fridays = self._fridays(today, query.include_expired)
        wanted = (friday for friday in fridays if weekly_expiry(friday).strftime("%Y%m%d").startswith(query.expiry))
        return [
            self.option(stock, friday, strike, right)
            for friday in wanted
            for strike in self._wanted_strikes(stock, friday, query.strike, today)
            for right in rights
        ]

    def _wanted_strikes(
        self, stock: Instrument, friday: date, strike: Decimal, today: date | None
    ) -> Sequence[Decimal]:
        listed = self.strikes(stock.contract_id, friday, today)
        return listed if not strike else [strike] if strike in listed else []


def _fits(query: "ContractQuery", option: Instrument) -> bool:
    assert option.expiry is not None  # noqa: S101 - every option has one
    return (
        query.symbol in ("", option.symbol)
        and query.currency in ("", option.currency)
        and query.exchange in ("", *option.exchanges)
        and query.trading_class in ("", option.trading_class)
        and query.multiplier in ("", str(option.multiplier))
        and query.strike in (0, option.strike)
        and _RIGHTS.get(query.right, option.right) == option.right
        and option.expiry.strftime("%Y%m%d").startswith(query.expiry)
    )
