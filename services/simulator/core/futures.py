"""Index futures: quarterly contracts of the CME group, their ids and names.

Multipliers and price steps are those of the CME's contract specifications. Each quarter's contract is listed fifteen
months ahead, so that there are always five.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from services.simulator.core.calendars import third_friday, weekly_expiry
from services.simulator.core.increments import MARKET_RULES
from services.simulator.core.instruments import Instrument, SecurityType

if TYPE_CHECKING:
    from services.simulator.core.catalogue import ContractQuery

_FIRST_ID = 920_000_000
_FIRST_YEAR = 1990
_IDS_PER_ROOT = 10_000
_LISTED_BEFORE = timedelta(days=455)
_MONTH_CODES = {3: "H", 6: "M", 9: "U", 12: "Z"}


@dataclass(frozen=True, slots=True)
class FutureRoot:
    """What the contracts of one root symbol have in common; `rule` is the market rule of its price step."""

    index: str
    exchange: str
    multiplier: int
    rule: int
    name: str


ROOTS: Mapping[str, FutureRoot] = {
    "ES": FutureRoot("SPX", "CME", 50, 67, "E-mini S&P 500"),
    "MES": FutureRoot("SPX", "CME", 5, 67, "Micro E-mini S&P 500"),
    "NQ": FutureRoot("NDX", "CME", 20, 67, "E-mini NASDAQ 100"),
    "MNQ": FutureRoot("NDX", "CME", 2, 67, "Micro E-mini NASDAQ 100"),
    "RTY": FutureRoot("RUT", "CME", 50, 85, "E-mini Russell 2000"),
    "M2K": FutureRoot("RUT", "CME", 5, 85, "Micro E-mini Russell 2000"),
    "YM": FutureRoot("INDU", "CBOT", 5, 69, "Mini Dow Jones Industrial Average"),
}
_NUMBERS = {root: number for number, root in enumerate(ROOTS)}


class Futures:
    """The futures of chosen roots. `indices` are the contract ids of what they are on, `last` is the data's end."""

    def __init__(self, roots: Sequence[str], indices: Mapping[str, int], first: date, last: date) -> None:
        self.contracts: dict[int, Instrument] = {}
        for root in roots:
            for year in range(first.year, (last + _LISTED_BEFORE).year + 1):
                for month in _MONTH_CODES:
                    contract = _contract(root, indices[ROOTS[root].index], year, month)
                    assert contract.expiry is not None  # noqa: S101 - every future has one
                    if first <= contract.expiry <= last + _LISTED_BEFORE:
                        self.contracts[contract.contract_id] = contract

    def by_id(self, contract_id: int) -> Instrument | None:
        return self.contracts.get(contract_id)

    def on(self, underlying_id: int) -> bool:
        return any(contract.underlying_id == underlying_id for contract in self.contracts.values())

    def find(self, query: "ContractQuery", today: date | None) -> list[Instrument]:
        return [
            contract
            for contract in self.contracts.values()
            if _fits(query, contract) and (today is None or _listed(contract, today))
        ]


def _listed(contract: Instrument, today: date) -> bool:
    return contract.expiry is not None and contract.expiry - _LISTED_BEFORE <= today


def _fits(query: "ContractQuery", contract: Instrument) -> bool:
    assert contract.expiry is not None  # noqa: S101 - every future has one
    return (
        bool(query.symbol or query.local_symbol)
        and query.symbol in ("", contract.symbol)
        and query.local_symbol in ("", contract.local_symbol)
        and query.trading_class in ("", contract.trading_class)
        and query.exchange in ("", contract.exchange, "GLOBEX", "QBALGO")
        and query.currency in ("", contract.currency)
        and query.multiplier in ("", str(contract.multiplier))
        and contract.expiry.strftime("%Y%m%d").startswith(query.expiry)
    )


def _contract(root: str, index_id: int, year: int, month: int) -> Instrument:
    known = ROOTS[root]
    return Instrument(
        contract_id=_FIRST_ID + _NUMBERS[root] * _IDS_PER_ROOT + (year - _FIRST_YEAR) * 12 + month,
        symbol=root,
        security_type=SecurityType.FUTURE,
        exchange=known.exchange,
        primary_exchange=known.exchange,
        local_symbol=f"{root}{_MONTH_CODES[month]}{year % 10}",
        trading_class=root,
        long_name=known.name,
        multiplier=known.multiplier,
        expiry=weekly_expiry(third_friday(year, month)),
        underlying_id=index_id,
        unit=MARKET_RULES[known.rule][0].increment,
        market_rule=known.rule,
        stock_type="",
    )
