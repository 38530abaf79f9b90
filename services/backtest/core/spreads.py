"""Option spreads in a backtest: the chain that a vertical is picked from, as the simulated broker lists it."""

from datetime import date
from decimal import Decimal

from services.backtest.core.desk import Desk
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.instruments import SecurityType
from services.strategy.core.vertical import Chain, NoPackage, SpreadStrategy, package_intent, select
from shared.calendar import NEW_YORK
from shared.messages.market import Greeks, GreeksSource, Quote
from shared.messages.strategy import OrderIntent


def spread_intent(desk: Desk, entry: OrderIntent, strategy: SpreadStrategy) -> OrderIntent | NoPackage:
    """The intent to enter the vertical that an entry signal asks for, at the present quotes, or why there is none."""
    quote = desk.quote(entry.symbol)
    if quote is None or not quote.last:
        return NoPackage("no_quote", f"{entry.symbol} has no price")
    today = desk.engine.now.astimezone(NEW_YORK).date()
    chain = listed(desk, entry.symbol, strategy, today)
    package = select(strategy, entry.symbol, quote.last, chain, lambda name: option_quote(desk, name), today)
    return package if isinstance(package, NoPackage) else package_intent(entry, strategy, package)


def listed(desk: Desk, symbol: str, strategy: SpreadStrategy, today: date) -> Chain:
    """The expiries that would do for the vertical, with their strikes, as listed today."""
    catalogue, now = desk.engine.market.catalogue, desk.engine.now
    chains = catalogue.chain(desk.instrument(symbol).contract_id, now)
    expiries = [day for day in (chains[0].expiries if chains else ()) if strategy.vertical.takes(day, today)]
    found: dict[date, list[Decimal]] = {}
    for day in expiries:
        query = ContractQuery(
            symbol=symbol, security_type=SecurityType.OPTION, expiry=f"{day:%Y%m%d}", right=strategy.kind.right
        )
        found[day] = [option.strike for option in catalogue.find(query, now)]
    return found


def option_quote(desk: Desk, name: str) -> Quote | None:
    """An option's quote with the broker's Greeks."""
    quote = desk.quote(name)
    found = desk.engine.market.greeks(desk.instrument(name).contract_id, desk.engine.now) if quote else None
    if quote is None or found is None:
        return quote
    greeks = Greeks(
        implied_volatility=found.volatility,
        delta=found.delta,
        gamma=found.gamma,
        vega=found.vega,
        theta=found.theta,
        underlying_price=Decimal(repr(found.underlying)),
        source=GreeksSource.BROKER,
    )
    return quote.model_copy(update={"greeks": greeks})
