"""Questions with one answer, asked of the Web API."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Never, cast

import structlog

from services.gateway.adapters.web import convert
from services.gateway.adapters.web.connection import Connection
from services.gateway.adapters.web.contracts import Contracts, section
from services.gateway.adapters.web.convert import Row
from services.gateway.adapters.web.history import History
from services.gateway.core.trading_hours import Span
from services.gateway.ports import RequestRefused, Unsupported, Urgency
from shared import instruments
from shared.calendar import NEW_YORK
from shared.clock import Clock
from shared.messages.market import Bar
from shared.messages.market_requests import ContractFacts, FetchHistory, OptionChain, PriceIncrement, ScanMarket
from shared.types import OrderType, Right, SecurityType

_SMART = "SMART"
ORDER_TYPES: Mapping[str, OrderType] = MappingProxyType(
    {
        "market": OrderType.MARKET,
        "limit": OrderType.LIMIT,
        "stop": OrderType.STOP,
        "stop_limit": OrderType.STOP_LIMIT,
        "trailing_stop": OrderType.TRAILING_STOP,
        "trailing_stop_limit": OrderType.TRAILING_STOP_LIMIT,
        "mit": OrderType.MARKET_IF_TOUCHED,
        "lit": OrderType.LIMIT_IF_TOUCHED,
        "marketonclose": OrderType.MARKET_ON_CLOSE,
        "limitonclose": OrderType.LIMIT_ON_CLOSE,
        "relative": OrderType.RELATIVE,
        "midprice": OrderType.MIDPRICE,
    }
)
"""As the order rules name them; a type that is not here keeps IBKR's word."""
_log = structlog.get_logger()
_FILTERS = {"above_price": "priceAbove", "below_price": "priceBelow", "above_volume": "volumeAbove"}


class Requests:
    """Implements `ports.Requests`."""

    def __init__(self, connection: Connection, contracts: Contracts, clock: Clock) -> None:
        self._connection = connection
        self._contracts = contracts
        self._clock = clock
        self._history = History(connection, contracts)
        self._facts: dict[str, tuple[date, ContractFacts]] = {}

    async def contract(self, symbol: str) -> ContractFacts:
        today = self._clock.now().astimezone(NEW_YORK).date()
        known = self._facts.get(symbol)
        if known is None or known[0] != today:
            known = self._facts[symbol] = (today, await self._fetch(symbol))
        return known[1]

    async def _fetch(self, symbol: str) -> ContractFacts:
        """`minimum_size` and `size_increment` are assumed to be 1: the rules tell only the steps of IBKR's screens."""
        contract = await self._contracts.find(symbol)
        wanted = instruments.parse(symbol)
        ask, number = self._connection.ask, str(contract.contract_id)
        told = await ask(Urgency.DATA, "info_and_rules_by_conid", number, True)
        exchange = str(told.get("exchange") or _SMART)
        hours = await ask(Urgency.DATA, "get", "contract/trading-schedule", {"conid": number, "exchange": exchange})
        rules: Row = told.get("rules") or {}
        trading_hours, liquid_hours, closed_days = hours_of(symbol, hours)
        return ContractFacts(
            symbol=symbol,
            contract_id=contract.contract_id,
            security_type=wanted.security_type,
            long_name=str(told.get("company_name") or ""),
            exchange=exchange,
            primary_exchange=contract.exchange or str(told.get("listing_exchange") or ""),
            currency=str(told.get("currency") or wanted.currency),
            multiplier=convert.number(told.get("multiplier")) or Decimal(1),
            increments=_increments(symbol, rules),
            minimum_size=Decimal(1),
            size_increment=Decimal(1),
            time_zone=str(hours.get("exchange_time_zone") or ""),
            trading_hours=trading_hours,
            liquid_hours=liquid_hours,
            closed_days=closed_days,
            order_types=tuple(ORDER_TYPES.get(str(name), str(name)) for name in rules.get("orderTypes") or ()),
            underlying=await self._underlying(told),
        )

    async def _underlying(self, told: Row) -> str | None:
        contract_id = int(told.get("underlying_con_id") or 0)
        if told.get("instrument_type") != SecurityType.OPTION.value or not contract_id:
            return None
        return (await self._contracts.of(contract_id)).name

    async def option_chain(self, symbol: str) -> OptionChain:
        """Strikes of all months; expiries as one strike near the middle of each month has them (assumed: all)."""
        listing = await self._contracts.underlying(symbol)
        options = section(listing, SecurityType.OPTION) or {}
        strikes: set[Decimal] = set()
        rows: list[Row] = []
        for month in filter(None, str(options.get("months") or "").split(";")):
            found = await self._strikes(str(listing["conid"]), month)
            if found:
                strikes.update(found)
                rows += await self._expiring(str(listing["conid"]), month, found[len(found) // 2])
        named = instruments.parse(symbol).symbol
        of_class = [row for row in rows if row.get("tradingClass") == named] or rows
        if not of_class:
            raise RequestRefused(f"no options on {symbol} are listed")
        return OptionChain(
            symbol=symbol,
            exchange=_SMART,
            trading_class=str(of_class[0].get("tradingClass") or named),
            multiplier=convert.number(of_class[0].get("multiplier")) or Decimal(100),
            expiries=tuple(sorted({convert.day(row["maturityDate"]) for row in of_class})),
            strikes=tuple(sorted(strikes)),
        )

    async def _strikes(self, underlying: str, month: str) -> list[Decimal]:
        told = await self._connection.ask(
            Urgency.DATA, "search_strikes_by_conid", underlying, SecurityType.OPTION.value, month
        )
        values = (convert.number(value) for side in ("call", "put") for value in told.get(side) or ())
        return sorted({value for value in values if value is not None})

    async def _expiring(self, underlying: str, month: str, strike: Decimal) -> list[Row]:
        return await self._connection.ask(
            Urgency.DATA,
            "search_secdef_info_by_conid",
            underlying,
            SecurityType.OPTION.value,
            month,
            strike=str(convert.written(strike)),
            right=Right.CALL.value,
        )

    async def history(self, request: FetchHistory, until: datetime) -> Sequence[Bar]:
        return await self._history.fetch(request, until)

    async def scan(self, request: ScanMarket) -> Sequence[str]:
        filters: list[dict[str, Any]] = [{"code": code, "value": value} for code, value in request.filters.items()]
        for name, code in _FILTERS.items():
            if (value := getattr(request, name)) is not None:
                filters.append({"code": code, "value": convert.written(Decimal(value))})
        told = await self._connection.ask(
            Urgency.DATA,
            "market_scanner",
            request.instrument,
            request.scan_code,
            request.location,
            filters,
        )
        found = convert.rows(told, "contracts")[: request.rows]
        return [(await self._contracts.of(int(row["con_id"]))).name for row in found]

    async def news(self, symbol: str, count: int) -> Never:
        raise Unsupported(f"{count} headlines about {symbol}: there is no news over the Web API; use adapter = tws")


def _increments(symbol: str, rules: Row) -> tuple[PriceIncrement, ...]:
    """Lowest price first. Raises RequestRefused where IBKR told none."""
    told = [
        PriceIncrement(
            from_price=convert.number(rule.get("lowerEdge")) or Decimal(0),
            increment=convert.number(rule.get("increment")) or Decimal(0),
        )
        for rule in convert.rows(rules, "incrementRules")
    ]
    found = sorted((rule for rule in told if rule.increment > 0), key=lambda rule: rule.from_price)
    if not found:
        raise RequestRefused(f"{symbol}: IBKR tells no price increments")
    return tuple(found)


def hours_of(symbol: str, told: Row) -> tuple[tuple[Span, ...], tuple[Span, ...], tuple[date, ...]]:
    """All and the regular hours, and the dates without regular ones.

    What can't be read is none: the rest of the facts is worth having.
    """
    try:
        days = {convert.day(day): hours for day, hours in cast("dict[str, Row]", told.get("schedules") or {}).items()}
        liquid = _spans(days.values(), "liquid_hours")
        closed = tuple(sorted(day for day, hours in days.items() if not convert.rows(hours, "liquid_hours")))
        return _spans(days.values(), "extended_hours") or liquid, liquid, closed
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        _log.warning("hours of a contract are left out", symbol=symbol, error=repr(error))
        return (), (), ()


def _spans(days: Iterable[Row], kind: str) -> tuple[Span, ...]:
    """Hours of one kind, in order of time."""
    spans = [
        (datetime.fromtimestamp(int(span["opening"]), UTC), datetime.fromtimestamp(int(span["closing"]), UTC))
        for day in days
        for span in convert.rows(day, kind)
    ]
    return tuple(sorted(spans))
