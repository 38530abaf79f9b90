"""Orders: place, change and cancel."""

from math import gcd

from services.simulator.broker import Broker
from services.simulator.core.instruments import COMBO_CONTRACT_ID
from services.simulator.core.orders import ConditionKind, Leg, OrderRequest
from services.simulator.core.rules import Refusal
from services.simulator.core.what_if import WhatIf
from services.simulator.handlers import Handler, RefusedError, combo_legs, contract_of, find_contract
from services.simulator.handlers.order_terms import InvalidTimeError, order_terms
from services.simulator.present import orders as present
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_MOST_LEGS = 6
_HIGHEST_ORDER_ID = 2**31 - 2
"""The next one up is how the API writes "no number"."""
_WARNINGS = frozenset({105, 165, 321, 329, 399, 404, 434, 492})
"""Codes that clients log and otherwise ignore; 110 is one as well, but not of a what-if order."""
_ABOUT_CONTRACTS = frozenset({ConditionKind.PRICE, ConditionKind.VOLUME, ConditionKind.PERCENT_CHANGE})
_INVALID_TIME = (
    "Error validating request.-'bK' : cause - The date, time, or time-zone entered is invalid. The correct format is "
    "yyyymmdd hh:mm:ss xx/xxxx where yyyymmdd and xx/xxxx are optional."
)
_PRESET_NOTICE = "Order TIF was set to DAY based on order preset."


def place(broker: Broker, session: ClientSession, request: Request) -> None:
    """A new order, new terms for a live one, or the question what an order would do to margin and equity.

    What is refused here has no openOrder; the order does not exist.
    """
    order_id, asks = request.integer("order_id"), request.flag("what_if")
    try:
        if order_id > _HIGHEST_ORDER_ID:
            raise RefusedError(322, f"Error processing request. Order id {order_id} is not a 32-bit number")
        if order_id <= 0 and (client_of(session), order_id) not in broker.engine.book.orders:
            raise RefusedError(103, "Duplicate order id")  # such ids belong to orders entered by hand
        terms = _terms(broker, session, request)
        if asks:
            _answer(broker, session, terms)
            return
    except RefusedError as refused:
        _refuse(session, order_id, refused.code, refused.text, asks)
    except InvalidTimeError:
        _refuse(session, order_id, 321, _INVALID_TIME, asks)
    else:
        if broker.preset_notice and not request.text("tif"):
            session.error(order_id, 10349, _PRESET_NOTICE)
        broker.place(terms)


def _answer(broker: Broker, session: ClientSession, terms: OrderRequest) -> None:
    """Answer a what-if order. Raises RefusedError if it could not be placed."""
    found = broker.engine.what_if(terms)
    refusal = found if isinstance(found, Refusal) else found.refusal()
    if refusal is not None:
        raise RefusedError(refusal.code, refusal.text)
    assert isinstance(found, WhatIf)  # noqa: S101 - it is one or the other
    session.send(answers.OPEN_ORDER, present.what_if(terms, found, broker.engine.market.instrument))


def _refuse(session: ClientSession, order_id: int, code: int, text: str, asks: bool) -> None:
    """Send an error. A client takes some codes for warnings and would wait for the answer to its question for ever."""
    if asks and code in _WARNINGS:
        code, text = 322, f"Error processing request.{text.removeprefix('Error validating request.')}"
    session.error(order_id, code, text)


def _terms(broker: Broker, session: ClientSession, request: Request) -> OrderRequest:
    legs: tuple[Leg, ...] = ()
    contract_id = COMBO_CONTRACT_ID
    if request.text("sec_type") == "BAG":
        legs = _order_legs(broker, request)
    else:
        contract_id = find_contract(broker, request).contract_id
    account = request.text("account") or next(iter(broker.engine.accounts))
    if account not in broker.engine.accounts:
        raise RefusedError(321, f"Error validating request.-'bS' : cause - Invalid account code '{account}'.")
    terms = order_terms(request, client_of(session), contract_id, account, legs)
    for condition in terms.conditions:
        if condition.kind in _ABOUT_CONTRACTS:
            contract_of(broker, condition.contract_id)
    return terms


def _order_legs(broker: Broker, request: Request) -> tuple[Leg, ...]:
    """Return a combination's legs; their ratios have no common factor, as at the exchange."""
    legs = combo_legs(broker, request)
    if not 2 <= len(legs) <= _MOST_LEGS or gcd(*(leg.ratio for leg in legs)) != 1:
        raise RefusedError(312, "The combo details are invalid.")
    return legs


def client_of(session: ClientSession) -> int:
    assert session.client_id is not None  # noqa: S101 - the server starts no handler before startApi
    return session.client_id


def cancel(broker: Broker, session: ClientSession, request: Request) -> None:
    broker.cancel(client_of(session), request.integer("order_id"))


def cancel_all(broker: Broker, session: ClientSession, request: Request) -> None:
    del session, request
    broker.cancel_all()


def next_id(broker: Broker, session: ClientSession, request: Request) -> None:
    del request
    session.send(answers.NEXT_VALID_ID, {"order_id": broker.engine.next_order_id(client_of(session))})


HANDLERS: dict[int, Handler] = {
    requests.PLACE: place,
    requests.CANCEL_ORDER: cancel,
    requests.GLOBAL_CANCEL: cancel_all,
    requests.REQUEST_IDS: next_id,
}
