"""What is listed: contract details, option chains, symbol search, market rules."""

from services.simulator.broker import Broker
from services.simulator.core.increments import MARKET_RULES
from services.simulator.core.instruments import Instrument
from services.simulator.handlers import NO_CONTRACT, Handler, find_contracts
from services.simulator.present import contracts as present
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_MOST_SAMPLES = 16
"""Symbols of one search, at most (IBKR)."""


def contract_details(broker: Broker, session: ClientSession, request: Request) -> None:
    """Answer with every contract that fits: one, or a whole chain of options if no strike is named."""
    request_id, engine = request.integer("request_id"), broker.engine
    found = _by_identifier(broker, request) if request.text("sec_id") else find_contracts(broker, request)
    if not found:
        session.error(request_id, 200, NO_CONTRACT)
        return
    exchange, describe = request.text("exchange"), present.Describer(engine.market, engine.today)
    for instrument in found:
        session.send(answers.CONTRACT_DETAILS, describe.details(instrument, request_id, exchange))
    session.send(answers.CONTRACT_DETAILS_END, {"request_id": request_id})


def _by_identifier(broker: Broker, request: Request) -> list[Instrument]:
    wanted = request.text("sec_id_type"), request.text("sec_id")
    return [one for one in broker.engine.market.catalogue.listed if wanted in present.security_ids(one)]


def option_parameters(broker: Broker, session: ClientSession, request: Request) -> None:
    """Answer with the chains on an underlying, one per exchange."""
    request_id, contract_id = request.integer("request_id"), request.integer("under_con_id")
    for chain in broker.engine.market.catalogue.chain(contract_id, broker.engine.now):
        session.send(answers.OPTION_PARAMETERS, present.option_parameters(request_id, contract_id, chain))
    session.send(answers.OPTION_PARAMETERS_END, {"request_id": request_id})


def matching_symbols(broker: Broker, session: ClientSession, request: Request) -> None:
    catalogue = broker.engine.market.catalogue
    found = catalogue.matching(request.text("pattern"))[:_MOST_SAMPLES]
    rows = [present.symbol_sample(one, catalogue.derivatives(one.contract_id)) for one in found]
    session.send(answers.SYMBOL_SAMPLES, {"request_id": request.integer("request_id"), "contracts": rows})


def market_rule(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    rule_id = request.integer("market_rule_id")
    if rule_id not in MARKET_RULES:
        session.error(-1, 321, f"Error validating request.-'bX' : cause - Unknown market rule {rule_id}")
        return
    increments = [{"low_edge": step.low_edge, "increment": step.increment} for step in MARKET_RULES[rule_id]]
    session.send(answers.MARKET_RULE, {"market_rule_id": rule_id, "increments": increments})


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_CONTRACT_DETAILS: contract_details,
    requests.REQUEST_OPTION_PARAMETERS: option_parameters,
    requests.REQUEST_MATCHING_SYMBOLS: matching_symbols,
    requests.REQUEST_MARKET_RULE: market_rule,
}
