"""Requests of clients: each handler turns one kind of request into engine calls and answers.

A handler raises ValueError when a field of the request cannot be understood; the connection then ends with error 320.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeAlias

from services.simulator.broker import Broker
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.orders import Leg
from services.simulator.present.order_fields import decimal
from services.simulator.session import ClientSession
from services.simulator.wire.requests import Request

Handler: TypeAlias = Callable[[Broker, ClientSession, Request], None]
NO_CONTRACT = "No security definition has been found for the request"


class RefusedError(Exception):
    """A request that is answered with an error; the connection goes on."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


def contract_query(request: Request) -> ContractQuery:
    """Return what the request's contract fields say; what a client writes for "nothing" is nothing."""
    right = request.text("right")
    return ContractQuery(
        contract_id=request.integer("con_id"),
        symbol=request.text("symbol"),
        security_type=request.text("sec_type"),
        expiry=request.text("expiry"),
        strike=decimal("strike", request.text("strike")) or Decimal(0),
        right={"CALL": "C", "PUT": "P", "?": "", "0": "", "None": ""}.get(right, right),
        multiplier=request.text("multiplier"),
        exchange=request.text("exchange"),
        primary_exchange=request.text("primary_exchange"),
        currency=request.text("currency"),
        local_symbol=request.text("local_symbol"),
        trading_class=request.text("trading_class"),
        include_expired=request.flag("include_expired"),
    )


def find_contracts(broker: Broker, request: Request) -> list[Instrument]:
    """Return every contract that fits what the request says."""
    return broker.engine.market.catalogue.find(contract_query(request), broker.engine.now)


def find_contract(broker: Broker, request: Request) -> Instrument:
    """Return the one contract that the request describes. Raises RefusedError, code 200, for none and for several."""
    found = find_contracts(broker, request)
    if not found:
        raise RefusedError(200, NO_CONTRACT)
    if len(found) > 1:
        name = request.text("symbol") or request.text("local_symbol")
        raise RefusedError(200, f"The contract description specified for {name} is ambiguous.")
    return found[0]


def contract_or_error(broker: Broker, session: ClientSession, request: Request) -> Instrument | None:
    """Return the contract of a request, or send error 200 and return None."""
    try:
        return find_contract(broker, request)
    except RefusedError as refused:
        session.error(request.integer("request_id"), refused.code, refused.text)
        return None


def contract_of(broker: Broker, contract_id: int) -> Instrument:
    """Return a contract by its id. Raises RefusedError, code 200, if there is none."""
    try:
        return broker.engine.market.catalogue.by_id(contract_id)
    except KeyError:
        raise RefusedError(200, NO_CONTRACT) from None


def combo_legs(broker: Broker, request: Request) -> tuple[Leg, ...]:
    """Return the legs of a request for a combination.

    Raises RefusedError for none, and for a leg that is not a tradable contract, not BUY or SELL, or without a ratio.
    """
    rows = request.row.get("combo_legs")
    if not isinstance(rows, list) or not rows:
        raise RefusedError(314, "Security type 'BAG' requires combo leg details.")
    legs: list[Leg] = []
    for number, row in enumerate(rows, 1):
        field = Request(request.message_id, row)
        found = contract_of(broker, field.integer("con_id"))
        leg = Leg(found.contract_id, field.integer("ratio"), field.text("action"), field.text("exchange") or "SMART")
        if leg.ratio < 1 or leg.action not in ("BUY", "SELL") or found.security_type is SecurityType.INDEX:
            raise RefusedError(313, f"The combo details for leg '{number}' are invalid.")
        legs.append(leg)
    if len({leg.contract_id for leg in legs}) != len(legs):
        raise RefusedError(312, "The combo details are invalid.")
    return tuple(legs)
