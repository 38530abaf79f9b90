"""What an option is worth at a volatility, and which volatility a price implies."""

from decimal import Decimal

from services.simulator.broker import Broker
from services.simulator.core.instruments import SecurityType
from services.simulator.handlers import Handler, RefusedError, find_contract
from services.simulator.handlers.data import answered
from services.simulator.present.order_fields import decimal
from services.simulator.present.quotes import greeks
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request
from shared.options import Greeks

_CUSTOM = 53
"""The tick type of a computation that was asked for."""
_HIGHEST_PRICE, _HIGHEST_VOLATILITY = Decimal(1_000_000), Decimal(20)


def _positive(request: Request, name: str, highest: Decimal) -> float:
    value = decimal(name, request.text(name))
    if value is None or not Decimal("0.000001") <= value <= highest:
        cause = f"{name} is not a number above 0 up to {highest}"
        raise RefusedError(322, f"Error processing request.-'bS' : cause - {cause}")
    return float(value)


@answered
def calculate(broker: Broker, session: ClientSession, request: Request) -> None:
    """Answer with the whole computation; without any numbers if no volatility gives the price."""
    option = find_contract(broker, request)
    if option.security_type is not SecurityType.OPTION:
        raise RefusedError(322, "Error processing request.-'bS' : cause - The contract is not an option")
    spot = _positive(request, "under_price", _HIGHEST_PRICE)
    model, found = broker.engine.market.options, None
    years = model.years(option, broker.engine.now)
    if request.message_id == requests.CALCULATE_OPTION_PRICE:
        volatility = _positive(request, "volatility", _HIGHEST_VOLATILITY)
        found = model.at_volatility(option, spot, years, volatility)
    else:
        found = model.at_price(option, spot, years, _positive(request, "option_price", _HIGHEST_PRICE))
    _answer(session, request, found)


def _answer(session: ClientSession, request: Request, found: Greeks | None) -> None:
    session.send(answers.TICK_OPTION, greeks(request.integer("request_id"), _CUSTOM, found))


def finished(broker: Broker, session: ClientSession, request: Request) -> None:
    """Cancel a calculation that was answered when it came: there is nothing left to do."""
    del broker, session
    request.integer("request_id")


HANDLERS: dict[int, Handler] = {
    requests.CALCULATE_IMPLIED_VOLATILITY: calculate,
    requests.CALCULATE_OPTION_PRICE: calculate,
    requests.CANCEL_CALCULATE_IMPLIED_VOLATILITY: finished,
    requests.CANCEL_CALCULATE_OPTION_PRICE: finished,
}
