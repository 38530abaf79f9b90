"""The contracts of one market: stocks, ETFs, indices and currency pairs by name, futures and options by rule.

Stocks that IBKR is known to number bear its contract ids; every other id is derived from the name, the same in every
run. Options are listed by `chains`, futures by `futures`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.simulator.core.calendars import NEW_YORK
from services.simulator.core.chains import Chain, Chains
from services.simulator.core.futures import Futures
from services.simulator.core.increments import CURRENCY_RULE, PENNY_STOCK_RULE, STOCK_RULE
from services.simulator.core.instruments import Instrument, SecurityType

# IBKR's contract id, listing exchange and name, as its contract search reports them.
_KNOWN: dict[str, tuple[int, str, str]] = {
    "AAPL": (265598, "NASDAQ", "APPLE INC"),
    "FB": (107113386, "NASDAQ", "FACEBOOK INC-A"),
    "GOOG": (208813720, "NASDAQ", "GOOGLE INC-CL A"),
    "IBM": (8314, "NYSE", "INTL BUSINESS MACHINES CORP"),
    "MSFT": (272093, "NASDAQ", "MICROSOFT CORP"),
    "SPY": (756733, "ARCA", "SPDR S&P 500 ETF TRUST"),
    "QQQ": (320227571, "NASDAQ", "INVESCO QQQ TRUST SERIES 1"),
    "IWM": (9579970, "ARCA", "ISHARES RUSSELL 2000 ETF"),
}
_KNOWN_INDICES: dict[str, tuple[int, str, str]] = {
    "SPX": (416904, "CBOE", "S&P 500 STOCK INDEX"),
    "NDX": (416843, "NASDAQ", "NASDAQ 100 STOCK INDEX"),
    "RUT": (416888, "RUSSELL", "RUSSELL 2000 STOCK INDEX"),
    "INDU": (1935181, "CME", "DOW JONES INDUSTRIAL AVERAGE"),
    "VIX": (13455763, "CBOE", "CBOE VOLATILITY INDEX"),
}
_KNOWN_PAIRS = {"EUR.USD": 12087792, "GBP.USD": 12087797, "AUD.USD": 14433401, "NZD.USD": 39453441}
_CURRENCY_NAMES = {
    "EUR": "European Monetary Union Euro",
    "GBP": "British pound",
    "AUD": "Australian dollar",
    "NZD": "New Zealand dollar",
}
_FIRST_DERIVED_CONTRACT_ID = 300_000_000
_DERIVED_CONTRACT_IDS = 600_000_000


def derived_id(name: str) -> int:
    """Return the contract id of a name that IBKR is not known to number."""
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    return _FIRST_DERIVED_CONTRACT_ID + digest % _DERIVED_CONTRACT_IDS


def stock(symbol: str, etf: bool = False, penny: bool = False) -> Instrument:
    """Return a stock's or an ETF's contract; a penny stock has ever traded below 1 USD."""
    contract_id, primary, name = _KNOWN.get(symbol) or (derived_id(symbol), "ARCA" if etf else "NASDAQ", symbol)
    return Instrument(
        contract_id=contract_id,
        symbol=symbol,
        security_type=SecurityType.STOCK,
        exchange="SMART",
        primary_exchange=primary,
        local_symbol=symbol,
        # IBKR's name of the market the symbol is listed in
        trading_class="NMS" if primary == "NASDAQ" else symbol,
        long_name=name,
        unit=Decimal("0.0001") if penny else Decimal("0.01"),
        market_rule=PENNY_STOCK_RULE if penny else STOCK_RULE,
        stock_type="ETF" if etf else "COMMON",
    )


def index(symbol: str) -> Instrument:
    contract_id, exchange, name = _KNOWN_INDICES.get(symbol) or (derived_id(f"index {symbol}"), "CBOE", symbol)
    return Instrument(
        contract_id=contract_id,
        symbol=symbol,
        security_type=SecurityType.INDEX,
        exchange=exchange,
        primary_exchange=exchange,
        local_symbol=symbol,
        trading_class=symbol,
        long_name=name,
        stock_type="",
    )


def pair(name: str) -> Instrument:
    """Return the contract of a currency pair written like EUR.USD."""
    base = name.split(".")[0]
    return Instrument(
        contract_id=_KNOWN_PAIRS.get(name) or derived_id(f"pair {name}"),
        symbol=base,
        security_type=SecurityType.CURRENCY,
        exchange="IDEALPRO",
        primary_exchange="IDEALPRO",
        local_symbol=name,
        trading_class=name,
        long_name=_CURRENCY_NAMES.get(base, base),
        unit=Decimal("0.00005"),
        market_rule=CURRENCY_RULE,
        stock_type="",
    )


@dataclass(frozen=True, slots=True)
class ContractQuery:
    """What a client says about the contract it means; 0 and empty text mean "not said"."""

    contract_id: int = 0
    symbol: str = ""
    security_type: str = ""
    expiry: str = ""
    """YYYYMMDD or YYYYMM."""
    strike: Decimal = Decimal(0)
    right: str = ""
    """C, CALL, P or PUT."""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    include_expired: bool = False


class Catalogue:
    """The contracts of one market, found by id or by description."""

    def __init__(self, listed: Iterable[Instrument], futures: Futures, chains: Chains) -> None:
        """Raises ValueError if two of the instruments listed by name have the same contract id."""
        self.listed: Sequence[Instrument] = tuple(listed)
        self._by_id = {found.contract_id: found for found in self.listed}
        if len(self._by_id) != len(self.listed):
            raise ValueError("symbols: two of them derive the same contract id; leave one out")
        self.has_futures = bool(futures.contracts)
        self._futures = futures
        self._chains = chains

    def by_id(self, contract_id: int) -> Instrument:
        """Return the contract. Raises KeyError for an id that never was or will be listed."""
        found = self._by_id.get(contract_id) or self._futures.by_id(contract_id) or self._chains.by_id(contract_id)
        if found is None:
            raise KeyError(f"contract id {contract_id} is not in the catalogue")
        return found

    def find(self, query: ContractQuery, now: datetime | None = None) -> list[Instrument]:
        """Return every contract that fits, in the order of expiry, strike and right. A contract id decides by itself.

        With `now` only options and futures listed at that time are found, and expired ones if the query includes
        them; without, all that there ever will be.
        """
        today = now.astimezone(NEW_YORK).date() if now else None
        if query.contract_id:
            try:
                found = [self.by_id(query.contract_id)]
            except KeyError:
                return []
        elif query.security_type == SecurityType.OPTION:
            found = self._chains.find(query, today)
        elif query.security_type == SecurityType.FUTURE:
            found = self._futures.find(query, today)
        else:
            return [listed for listed in self.listed if _fits(query, listed)]
        if today is None or query.include_expired:
            return found
        return [contract for contract in found if contract.expiry is None or contract.expiry >= today]

    def chain(self, underlying_id: int, now: datetime) -> list[Chain]:
        """Return the option chains listed on a stock, one per exchange; none if it has no options."""
        return self._chains.chain(underlying_id, now.astimezone(NEW_YORK).date())

    def matching(self, pattern: str) -> list[Instrument]:
        """Return stocks, indices and pairs whose symbol begins with `pattern` or whose name contains it."""
        wanted = pattern.upper()
        return [
            listed
            for listed in self.listed
            if wanted and (listed.local_symbol.upper().startswith(wanted) or wanted in listed.long_name.upper())
        ]

    @property
    def rules(self) -> str:
        """Return a text that differs whenever other derivatives are listed."""
        return f"{sorted(self._futures.contracts)} {sorted(self._chains.underlyings)} {self._chains.weeks}"

    def has_options(self, contract_id: int) -> bool:
        return contract_id in self._chains.underlyings

    def derivatives(self, contract_id: int) -> tuple[str, ...]:
        """Return the security types of what is derived from a contract, as symbol samples report them."""
        kinds = (("OPT",) if self.has_options(contract_id) else ()) + (
            ("FUT",) if self._futures.on(contract_id) else ()
        )
        return (*kinds, "BAG") if kinds else ()


def _fits(query: ContractQuery, listed: Instrument) -> bool:
    return (
        query.symbol in ("", listed.symbol)
        and bool(query.symbol or query.local_symbol)
        and query.security_type == listed.security_type
        and query.local_symbol in ("", listed.local_symbol)
        and query.currency in ("", listed.currency)
        and query.exchange in ("", *listed.exchanges, listed.primary_exchange)
        and query.primary_exchange in ("", listed.primary_exchange)
        and query.trading_class in ("", listed.trading_class)
    )
