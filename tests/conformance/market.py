"""The market that every case trades in, and what will happen in it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.harness import World, utc

OPEN = utc(2024, 6, 3, 13, 30)
CLOSE = utc(2024, 6, 3, 20, 0)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
TEN_O_CLOCK = OPEN + timedelta(minutes=30)
ACCOUNT = "DU1000001"
SETTINGS: dict[str, Any] = {
    "port": 0,
    "market": "synthetic",
    "seed": 14,
    "symbols": ("AAPL", "IBM", "MSFT", "SPY"),
    "etfs": ("SPY",),
    "indices": ("SPX",),
    "futures": ("ES",),
    "currencies": ("EUR.USD",),
    "start": date(2024, 6, 3),
    "end": date(2024, 6, 28),
    "warmup_days": 60,
    "messages_per_second": 0,
    "historical_pacing": False,
}

Contract = dict[str, Any]
AAPL: Contract = {"conId": 265598, "symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD"}
IBM: Contract = {"conId": 8314, "symbol": "IBM", "secType": "STK", "exchange": "SMART", "currency": "USD"}
MSFT: Contract = {"conId": 272093, "symbol": "MSFT", "secType": "STK", "exchange": "SMART", "currency": "USD"}
SPY: Contract = {"conId": 756733, "symbol": "SPY", "secType": "STK", "exchange": "SMART", "currency": "USD"}
SPX: Contract = {"conId": 416904, "symbol": "SPX", "secType": "IND", "exchange": "CBOE", "currency": "USD"}
EUR: Contract = {"conId": 12087792, "symbol": "EUR", "secType": "CASH", "exchange": "IDEALPRO", "currency": "USD"}
ES: Contract = {
    "symbol": "ES", "secType": "FUT", "lastTradeDateOrContractMonth": "202406", "exchange": "CME", "currency": "USD",
}  # fmt: skip


def option(
    world: World, right: str, places: int = 0, expiry: str = "20240621", underlying: Contract = AAPL
) -> Contract:
    """Return an option's contract: `places` strikes above (below if negative) the strike nearest to the price."""
    price = float(quote(world, underlying).last)
    catalogue = world.engine.market.catalogue
    strikes = sorted(float(strike) for strike in catalogue.chain(underlying["conId"], world.now)[0].strikes)
    nearest = min(range(len(strikes)), key=lambda number: abs(strikes[number] - price))
    return {
        "symbol": underlying["symbol"], "secType": "OPT", "lastTradeDateOrContractMonth": expiry, "right": right,
        "strike": strikes[nearest + places], "multiplier": "100", "exchange": "SMART", "currency": "USD",
    }  # fmt: skip


def qualified(client: Any, contract: Contract) -> Contract:
    """Return a contract as the gateway describes it, with its id."""
    (details,) = client.call("details", contract=contract)
    kept = ("conId", "symbol", "secType", "lastTradeDateOrContractMonth", "strike", "right", "multiplier", "currency")
    found = {name: details["contract"][name] for name in (*kept, "localSymbol", "tradingClass")}
    return {**found, "exchange": contract["exchange"]}


def combo(*legs: tuple[Contract, str, int]) -> Contract:
    """Return a combination of qualified contracts."""
    made = [
        {"conId": contract["conId"], "ratio": ratio, "action": action, "exchange": "SMART"}
        for contract, action, ratio in legs
    ]
    return {
        "symbol": legs[0][0]["symbol"], "secType": "BAG", "exchange": "SMART", "currency": "USD", "comboLegs": made,
    }  # fmt: skip


def quote(world: World, contract: Contract) -> Any:
    """Return the market's own quote at this moment."""
    found = world.run(lambda: world.engine.market.quote(contract["conId"], world.now))
    assert found is not None
    return found


@dataclass(frozen=True)
class Future:
    """What an instrument's prices will do in the rest of the day: the tick at hand and all that follow."""

    tape: Any
    first: int

    def prices(self, name: str) -> list[Decimal]:
        units = getattr(self.tape, name)[self.first :]
        return [self.tape.price(int(price)) for price in units]

    @property
    def now(self) -> Decimal:
        return self.prices("last")[0]

    def between(self, share: float, *, above: bool) -> Decimal:
        """Return a price that the last price reaches later: `share` of the way to the day's coming extreme."""
        last = self.prices("last")
        extreme = max(last) if above else min(last)
        assert abs(extreme - self.now) > Decimal("0.2"), "the market hardly moves; choose another seed"
        return (self.now + (extreme - self.now) * Decimal(share)).quantize(Decimal("0.01"))

    def when(self, price: Decimal, *, above: bool) -> datetime:
        """Return when the last price is first at or beyond a price, after now."""
        last = self.prices("last")
        index = next(i for i, found in enumerate(last) if i and (found >= price if above else found <= price))
        return self.tape.time(self.first + index)


def future(world: World, contract: Contract) -> Future:
    tape = world.run(lambda: world.engine.market.tape_at(contract["conId"], world.now))
    return Future(tape, tape.index(world.now))


def cents(number: float | Decimal) -> float:
    return round(float(number), 2)
