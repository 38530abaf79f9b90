"""Contracts: US stocks in USD, one per symbol of the market."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

# What IBKR calls the five stocks that `bokeh_sampledata` has prices for: contract id, listing exchange, name.
_KNOWN: dict[str, tuple[int, str, str]] = {
    "AAPL": (265598, "NASDAQ", "APPLE INC"),
    "FB": (107113386, "NASDAQ", "FACEBOOK INC-A"),
    "GOOG": (208813720, "NASDAQ", "GOOGLE INC-CL A"),
    "IBM": (8314, "NYSE", "INTL BUSINESS MACHINES CORP"),
    "MSFT": (272093, "NASDAQ", "MICROSOFT CORP"),
}
_FIRST_DERIVED_CONTRACT_ID = 300_000_000
_DERIVED_CONTRACT_IDS = 600_000_000


@dataclass(frozen=True, slots=True)
class Instrument:
    symbol: str
    contract_id: int
    primary_exchange: str
    long_name: str

    @property
    def trading_class(self) -> str:
        """IBKR's name of the market the symbol is listed in, used in order messages and details."""
        return {"NASDAQ": "NMS"}.get(self.primary_exchange, self.symbol)


def instrument(symbol: str) -> Instrument:
    """Return the stock's contract. An unknown symbol gets an id derived from its name, the same in every run."""
    known = _KNOWN.get(symbol)
    if known is not None:
        return Instrument(symbol, *known)
    digest = int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:8])
    return Instrument(symbol, _FIRST_DERIVED_CONTRACT_ID + digest % _DERIVED_CONTRACT_IDS, "NASDAQ", symbol)


@dataclass(frozen=True, slots=True)
class ContractQuery:
    """What a client says about the contract it means; 0 and empty text mean "not said"."""

    contract_id: int = 0
    symbol: str = ""
    security_type: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""


class Instruments:
    """The contracts of one market, found by id or by description."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self.by_symbol = {symbol: instrument(symbol) for symbol in symbols}
        self._by_id = {found.contract_id: found for found in self.by_symbol.values()}
        if len(self._by_id) != len(self.by_symbol):
            raise ValueError("symbols: two of them derive the same contract id; leave one out")

    def find(self, query: ContractQuery) -> Instrument | None:
        """Return the contract, or None if the description names none. A contract id decides by itself."""
        if query.contract_id:
            return self._by_id.get(query.contract_id)
        found = self.by_symbol.get(query.symbol or query.local_symbol)
        if found is None:
            return None
        fits = (
            query.security_type == "STK"
            and query.currency in ("", "USD")
            and query.exchange in ("", "SMART", found.primary_exchange)
            and query.primary_exchange in ("", found.primary_exchange)
            and query.local_symbol in ("", found.symbol)
        )
        return found if fits else None
