"""Requests of clients: each handler turns one kind of request into engine calls and answers.

A handler raises ValueError when a field of the request cannot be understood; the connection then ends with error 320.
"""

from collections.abc import Callable
from typing import TypeAlias

from services.simulator.broker import Broker
from services.simulator.core.instruments import ContractQuery, Instrument
from services.simulator.session import ClientSession
from services.simulator.wire.requests import Request

Handler: TypeAlias = Callable[[Broker, ClientSession, Request], None]
NO_CONTRACT = "No security definition has been found for the request"


def find_contract(broker: Broker, request: Request) -> Instrument | None:
    """Return the contract that the request's contract fields describe, or None."""
    return broker.engine.instruments.find(
        ContractQuery(
            contract_id=request.integer("con_id"),
            symbol=request.text("symbol"),
            security_type=request.text("sec_type"),
            exchange=request.text("exchange"),
            primary_exchange=request.text("primary_exchange"),
            currency=request.text("currency"),
            local_symbol=request.text("local_symbol"),
        )
    )


def contract_or_error(broker: Broker, session: ClientSession, request: Request) -> Instrument | None:
    """Return the contract of a request, or send error 200 and return None."""
    found = find_contract(broker, request)
    if found is None:
        session.error(request.integer("request_id"), 200, NO_CONTRACT)
    return found
