"""What our names are called at IBKR: contract ids, and the way back."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from services.gateway.adapters.web import convert
from services.gateway.adapters.web.connection import Connection
from services.gateway.adapters.web.convert import Row
from services.gateway.ports import RequestRefused, Urgency
from shared import instruments
from shared.instruments import Instrument
from shared.types import SecurityType

_FUTURE = re.compile(r"(?P<root>[A-Z0-9]+?)(?P<month>[FGHJKMNQUVXZ])(?P<year>\d)")
_FUTURE_MONTHS = "FGHJKMNQUVXZ"
_FUTURES_TRIED = 4  # contracts whose local symbol is looked up: an expiry may lie in the month before the named one
_OPTION = SecurityType.OPTION
NO_INSTRUMENT = 200
"""IBKR's code of "no security definition": the TWS API's, for both adapters."""


@dataclass(frozen=True, slots=True)
class Contract:
    """`exchange` is the primary one where the search told it, else empty; `multiplier` is in units per contract."""

    contract_id: int
    name: str
    exchange: str
    multiplier: Decimal


class Contracts:
    """Contract ids do not change, so they are kept for the life of the process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_name: dict[str, Contract] = {}
        self._by_id: dict[int, Contract] = {}

    async def find(self, symbol: str) -> Contract:
        """The contract of a name. Raises RequestRefused unless there is exactly one."""
        if symbol in self._by_name:
            return self._by_name[symbol]
        try:
            wanted = instruments.parse(symbol)
        except ValueError as error:
            raise RequestRefused(str(error), NO_INSTRUMENT) from None
        match wanted.security_type:
            case SecurityType.STOCK:
                found = await self._stock(wanted)
            case SecurityType.OPTION:
                found = await self._option(wanted)
            case SecurityType.INDEX:
                found = await self._index(wanted)
            case SecurityType.FUTURE:
                found = await self._future(wanted)
            case SecurityType.CURRENCY:
                found = await self._pair(wanted)
        self._keep(found)
        return found

    async def of(self, contract_id: int) -> Contract:
        """The contract of an id; one of a kind that is not known here is named by IBKR's own symbol."""
        if contract_id not in self._by_id:
            told = await self._ask("contract_information_by_conid", str(contract_id))
            self._keep(Contract(contract_id, name_of(told), "", convert.number(told.get("multiplier")) or Decimal(1)))
        return self._by_id[contract_id]

    async def underlying(self, symbol: str) -> Row:
        """What the search tells of a stock or index on which options are listed."""
        wanted = instruments.parse(symbol)
        kind = wanted.security_type
        if kind not in (SecurityType.STOCK, SecurityType.INDEX):
            raise RequestRefused(f"{symbol} is a {kind} contract: options are looked for on stocks and indices")
        rows = await self._search(wanted.symbol, kind)
        listed = [row for row in rows if row.get("symbol") == wanted.symbol and section(row, _OPTION)]
        if kind is SecurityType.STOCK:
            contract_id = (await self.find(symbol)).contract_id
            listed = [row for row in listed if int(row["conid"]) == contract_id]
        if len(listed) != 1:
            raise RequestRefused(f"options on {symbol}: {len(listed)} listings; exactly one is needed", NO_INSTRUMENT)
        return listed[0]

    def _keep(self, contract: Contract) -> None:
        self._by_name[contract.name] = self._by_id[contract.contract_id] = contract

    async def _ask(self, request: str, *arguments: Any, **options: Any) -> Any:
        return await self._connection.ask(Urgency.DATA, request, *arguments, **options)

    async def _search(self, symbol: str, kind: SecurityType) -> list[Row]:
        return list(await self._ask("get", "iserver/secdef/search", {"symbol": symbol, "secType": kind.value}))

    async def _stock(self, wanted: Instrument) -> Contract:
        told = await self._ask("get", "trsrv/stocks", {"symbols": wanted.symbol})
        listings = [
            listing
            for company in convert.rows(told, wanted.symbol)
            if company.get("assetClass", "STK") == "STK"
            for listing in convert.rows(company, "contracts")
            if listing.get("isUS")
        ]
        listing = _only(wanted, listings, "US stocks")
        return Contract(int(listing["conid"]), wanted.name, str(listing.get("exchange") or ""), Decimal(1))

    async def _index(self, wanted: Instrument) -> Contract:
        rows = await self._search(wanted.symbol, SecurityType.INDEX)
        listing = _only(
            wanted,
            [row for row in rows if row.get("symbol") == wanted.symbol and section(row, SecurityType.INDEX)],
            "indices",
        )
        return Contract(int(listing["conid"]), wanted.name, str(listing.get("description") or ""), Decimal(1))

    async def _option(self, wanted: Instrument) -> Contract:
        expiry, strike, right = wanted.expiry, wanted.strike, wanted.right
        assert expiry is not None and strike is not None and right is not None  # noqa: S101, PT018 - it is an option
        underlying: list[Row] = []
        for kind in (SecurityType.STOCK, SecurityType.INDEX):
            rows = underlying or await self._search(wanted.symbol, kind)
            underlying = [row for row in rows if row.get("symbol") == wanted.symbol and section(row, _OPTION)]
        told = await self._ask(
            "search_secdef_info_by_conid",
            str(_only(wanted, underlying, "underlyings")["conid"]),
            "OPT",
            convert.month(expiry),
            strike=str(convert.written(strike)),
            right=right.value,
        )
        expiring = [row for row in told if convert.day(row["maturityDate"]) == expiry]
        of_class = [row for row in expiring if row.get("tradingClass") == wanted.symbol]
        listing = _only(wanted, of_class or expiring, "options")
        return Contract(int(listing["conid"]), wanted.name, "", convert.number(listing.get("multiplier")) or Decimal(1))

    async def _future(self, wanted: Instrument) -> Contract:
        named = _FUTURE.fullmatch(wanted.local_symbol)
        if named is None:
            raise RequestRefused(f"{wanted.name} names no future: write root, month letter and last digit of the year")
        told = await self._ask("security_future_by_symbol", named["root"])
        month = _FUTURE_MONTHS.index(named["month"])

        def distance(row: Row) -> int:
            expiry = convert.day(row["expirationDate"])
            year = (int(named["year"]) - expiry.year + 5) % 10 - 5
            return abs(year * 12 + month - (expiry.month - 1))

        for row in sorted(convert.rows(told, named["root"]), key=distance)[:_FUTURES_TRIED]:
            details = await self._ask("contract_information_by_conid", str(row["conid"]))
            if details.get("local_symbol") == wanted.local_symbol:
                multiplier = convert.number(details.get("multiplier")) or Decimal(1)
                return Contract(int(row["conid"]), wanted.name, str(details.get("exchange") or ""), multiplier)
        raise RequestRefused(f"no future has the local symbol {wanted.local_symbol}", NO_INSTRUMENT)

    async def _pair(self, wanted: Instrument) -> Contract:
        told = await self._ask("currency_pairs", wanted.symbol)
        rows = [row for pairs in told.values() for row in pairs if row.get("symbol") == wanted.name]
        return Contract(int(_only(wanted, rows, "currency pairs")["conid"]), wanted.name, "", Decimal(1))


def _only(wanted: Instrument, rows: list[Row], kind: str) -> Row:
    """The one that fits; the same contract listed twice is one."""
    found = {int(row["conid"]): row for row in rows}
    if len(found) != 1:
        raise RequestRefused(f"{len(found)} {kind} have the name {wanted.name}; exactly one is needed", NO_INSTRUMENT)
    return next(iter(found.values()))


def section(row: Row, kind: SecurityType) -> Row | None:
    """What the search tells of one kind of contract under a symbol."""
    return next((part for part in convert.rows(row, "sections") if part.get("secType") == kind.value), None)


def name_of(told: Row) -> str:
    """Our name of a contract that IBKR describes."""
    symbol, local = str(told.get("symbol") or ""), str(told.get("local_symbol") or "")
    match str(told.get("instrument_type") or ""):
        case "OPT":
            return local
        case "IND":
            return f"^{symbol}"
        case "FUT":
            return f"/{local}"
        case "CASH":
            return f"{symbol}.{told.get('currency')}"
        case _:
            return symbol
