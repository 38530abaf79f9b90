"""A few instruments and prices that tests set by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np

from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.tape import Level, Session, Tape

FRIDAY = date(2010, 1, 15)
MONDAY = date(2010, 1, 18)


def _instrument(contract_id: int, symbol: str, kind: SecurityType, **more: object) -> Instrument:
    names = {"primary_exchange": "NASDAQ", "local_symbol": symbol, "trading_class": symbol, "long_name": symbol}
    return Instrument(contract_id, symbol, kind, "SMART", **{**names, **more})  # type: ignore[arg-type]


STOCK = _instrument(1, "AAA", SecurityType.STOCK)
CHEAP = _instrument(2, "BBB", SecurityType.STOCK, unit=Decimal("0.0001"))
INDEX = _instrument(3, "SPX", SecurityType.INDEX)
FUTURE = _instrument(4, "ES", SecurityType.FUTURE, multiplier=50, expiry=date(2010, 3, 19), unit=Decimal("0.25"))
EURO = _instrument(5, "EUR", SecurityType.CURRENCY, unit=Decimal("0.00005"), local_symbol="EUR.USD")
KRONE = _instrument(6, "CZK", SecurityType.CURRENCY, unit=Decimal("0.00005"), local_symbol="CZK.USD")


def option(right: str, strike: int, expiry: date = FRIDAY, underlying: Instrument = STOCK) -> Instrument:
    """Return an option contract; the same terms give the same contract."""
    contract_id = underlying.contract_id * 10**9 + (expiry.toordinal() % 10**4) * 10**5 + strike * 10 + (right == "P")
    return _instrument(
        contract_id,
        underlying.symbol,
        SecurityType.OPTION,
        multiplier=100,
        expiry=expiry,
        strike=Decimal(strike),
        right=right,
        underlying_id=underlying.contract_id,
    )


@dataclass
class FlatPrices:
    """Every instrument has had one tick, on Friday, with a spread of `spread` to each side of the price."""

    prices: dict[int, Decimal] = field(default_factory=dict)
    instruments: dict[int, Instrument] = field(default_factory=dict)
    spread: Decimal = Decimal(0)

    def set(self, instrument: Instrument, price: str) -> None:
        self.instruments[instrument.contract_id] = instrument
        self.prices[instrument.contract_id] = Decimal(price)

    def price(self, contract_id: int) -> Decimal | None:
        return self.prices.get(contract_id)

    @property
    def sessions(self) -> Sequence[Session]:
        raise NotImplementedError

    def instrument(self, contract_id: int) -> Instrument:
        return self.instruments[contract_id]

    def latest(self, contract_id: int, now: datetime) -> tuple[Tape, int] | None:
        del now
        price = self.prices.get(contract_id)
        if price is None:
            return None
        unit = Decimal("0.00005")
        last, spread = int(price / unit), int(self.spread / unit)
        one = np.ones(1, dtype=np.int64)
        at = datetime.combine(FRIDAY, time(21), UTC)
        tape = Tape(
            contract_id, FRIDAY, at, at, timedelta(minutes=1), unit, one * last, one * (last - spread),
            one * (last + spread), one, one, one, (0, 0),
        )  # fmt: skip
        return tape, 0

    def tape(self, contract_id: int, day: date) -> Tape | None:
        raise NotImplementedError

    def tape_at(self, contract_id: int, now: datetime) -> Tape | None:
        raise NotImplementedError

    def next_tape(self, contract_id: int, after: datetime) -> Tape | None:
        raise NotImplementedError

    def ladder(self, tape: Tape, index: int) -> tuple[Sequence[Level], Sequence[Level]]:
        raise NotImplementedError

    def increment(self, contract_id: int, price: Decimal) -> Decimal:
        raise NotImplementedError


def make_prices(*priced: tuple[Instrument, str]) -> FlatPrices:
    prices = FlatPrices()
    for instrument, price in priced:
        prices.set(instrument, price)
    return prices
