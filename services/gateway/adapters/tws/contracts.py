"""What the TWS API knows of instruments: one contract for each name, its facts, its price increments.

Everything is asked once a day (New York's date), also across reconnects.
"""

from datetime import date
from decimal import Decimal

import structlog
from ib_async.contract import Contract, ContractDetails
from ib_async.objects import PriceIncrement as TwsIncrement

from services.gateway.adapters.tws import names
from services.gateway.adapters.tws.answers import market_rule_key
from services.gateway.adapters.tws.connection import Connection
from services.gateway.adapters.tws.convert import decimal, decimal_or_none
from services.gateway.core.times import zone
from services.gateway.core.trading_hours import Span, closed_days, parse_hours
from services.gateway.ports import RequestRefused, Urgency
from services.gateway.shared_answers import SharedAnswers
from shared.calendar import NEW_YORK
from shared.clock import Clock
from shared.messages.market_requests import ContractFacts, PriceIncrement
from shared.types import SecurityType

_NOT_FOUND = 200
_ONE = Decimal(1)
_CENT = Decimal("0.01")
_log = structlog.get_logger()


class Contracts:
    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._day = date.min
        self._details = SharedAnswers[str, ContractDetails]()
        self._rules = SharedAnswers[int, tuple[PriceIncrement, ...]]()

    async def qualified(self, symbol: str, urgency: Urgency = Urgency.DATA) -> Contract:
        """The one contract of this name, where its orders and questions go. It is shared: nobody may change it.

        Args:
            urgency: ORDER where an order waits for it.

        Raises:
            RequestRefused: no contract, or several, have this name.
        """
        contract = (await self._details_of(symbol, urgency)).contract
        assert contract is not None  # noqa: S101 - names.only returns none without
        return contract

    async def facts(self, symbol: str) -> ContractFacts:
        """As `ports.Requests.contract`."""
        details = await self._details_of(symbol)
        contract = await self.qualified(symbol)
        trading_hours, _ = _hours(symbol, details.tradingHours, details.timeZoneId)
        liquid_hours, closed = _hours(symbol, details.liquidHours, details.timeZoneId)
        return ContractFacts(
            symbol=symbol,
            contract_id=contract.conId,
            security_type=SecurityType(contract.secType),
            long_name=details.longName,
            exchange=contract.exchange,
            primary_exchange=contract.primaryExchange,
            currency=contract.currency,
            multiplier=Decimal(contract.multiplier or 1),
            increments=await self._increments(details, contract.exchange),
            minimum_size=decimal_or_none(details.minSize) or _ONE,
            size_increment=decimal_or_none(details.sizeIncrement) or _ONE,
            time_zone=details.timeZoneId,
            trading_hours=trading_hours,
            liquid_hours=liquid_hours,
            closed_days=closed,
            order_types=tuple(filter(None, details.orderTypes.split(","))),
            underlying=details.underSymbol or None if contract.secType == SecurityType.OPTION else None,
        )

    async def _details_of(self, symbol: str, urgency: Urgency = Urgency.DATA) -> ContractDetails:
        today = self._clock.now().astimezone(NEW_YORK).date()
        if today != self._day:
            self._day = today
            self._details.clear()
            self._rules.clear()
        return await self._details.get(symbol, lambda: self._ask(symbol, urgency))

    async def _ask(self, symbol: str, urgency: Urgency) -> ContractDetails:
        request, asked = self._connection.request_id(), names.wanted(symbol)
        try:
            found = await self._connection.ask(
                request, lambda: self._connection.client.reqContractDetails(request, asked), urgency
            )
        except RequestRefused as refusal:
            if refusal.code != _NOT_FOUND:
                raise
            found = []
        details = names.only(symbol, found)
        assert details.contract is not None  # noqa: S101 - names.only returns none without
        details.contract = names.routed(details.contract)
        return details

    async def _increments(self, details: ContractDetails, exchange: str) -> tuple[PriceIncrement, ...]:
        """The steps of the market rule at the exchange where orders go; contract details name one rule for each."""
        rules = [int(rule) for rule in details.marketRuleIds.split(",") if rule.strip()]
        rule_of = dict(zip(details.validExchanges.split(","), rules, strict=False))
        rule = rule_of.get(exchange, next(iter(rules), None))
        if rule is None:
            step = decimal_or_none(details.minTick) or _CENT  # assumed, of what can't be traded
            return (PriceIncrement(from_price=Decimal(0), increment=step),)
        return await self._rules.get(rule, lambda: self._ask_rule(rule))

    async def _ask_rule(self, rule: int) -> tuple[PriceIncrement, ...]:
        told = await self._connection.ask(market_rule_key(rule), lambda: self._connection.client.reqMarketRule(rule))
        steps: list[TwsIncrement] = told[0]
        found = [PriceIncrement(from_price=decimal(step.lowEdge), increment=decimal(step.increment)) for step in steps]
        if not found:
            raise RequestRefused(f"the broker has no price increments for market rule {rule}")
        return tuple(sorted(found, key=lambda step: step.from_price))


def _hours(symbol: str, text: str, zone_name: str) -> tuple[tuple[Span, ...], tuple[date, ...]]:
    """Hours, and the dates without any. What can't be read is none: the rest of the facts is worth having."""
    place = zone(zone_name.partition(" (")[0])  # such as "EST (Eastern Standard Time)"
    if place is None:
        _log.warning("hours of a contract are left out: their time zone is not known", symbol=symbol, zone=zone_name)
        return (), ()
    try:
        return parse_hours(text, place), closed_days(text)
    except ValueError as error:
        _log.warning("hours of a contract are left out", symbol=symbol, error=str(error))
        return (), ()
