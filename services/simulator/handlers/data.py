"""What requests for market data have in common: the contract, the permission, the number of subscriptions."""

from collections.abc import Callable, Container, MutableMapping, Sized
from datetime import datetime
from typing import Any

from services.simulator.broker import Broker
from services.simulator.core.calendars import NEW_YORK
from services.simulator.core.instruments import COMBO_CONTRACT_ID, Instrument, SecurityType
from services.simulator.data_subscriptions import DataSubscriptions
from services.simulator.handlers import Handler, RefusedError, find_contract
from services.simulator.handlers.times import parse_time
from services.simulator.session import ClientSession
from services.simulator.wire.requests import Request

COMBO = Instrument(
    contract_id=COMBO_CONTRACT_ID,
    symbol="",
    security_type=SecurityType.COMBO,
    exchange="SMART",
    primary_exchange="",
    local_symbol=str(COMBO_CONTRACT_ID),
    trading_class="COMB",
    long_name="",
)
"""What stands for any combination: its legs say what it is."""


def answered(handle: Handler) -> Handler:
    """Return a handler that answers a refusal with its error, under the id of the request."""

    def handler(broker: Broker, session: ClientSession, request: Request) -> None:
        try:
            handle(broker, session, request)
        except RefusedError as refused:
            session.error(request.integer("request_id"), refused.code, refused.text)

    return handler


def permitted(broker: Broker, session: ClientSession, request: Request, instrument: Instrument) -> bool:
    """Tell a client what it is entitled to, and return whether its data are delayed.

    Raises RefusedError if it gets none.
    """
    found = broker.entitlement(session, instrument)
    if not found.delivers:
        raise RefusedError(found.code, found.text)
    if found.code:
        session.error(request.integer("request_id"), found.code, found.text)
    return found.delayed


def contract_with_data(broker: Broker, session: ClientSession, request: Request, service_error: str = "") -> Instrument:
    """Return the one contract that is meant, if the client is entitled to its data. Raises RefusedError if not.

    Historical data have a refusal of their own, 162, whose text begins with `service_error`.
    """
    found = find_contract(broker, request)
    entitlement = broker.entitlement(session, found)
    if not entitlement.delivers and service_error:
        place = f"{found.primary_exchange or found.exchange} {found.security_type}"
        raise RefusedError(162, f"{service_error}No market data permissions for {place}")
    if not entitlement.delivers:
        raise RefusedError(entitlement.code, entitlement.text)
    return found


def check_limit(broker: Broker, of: Callable[[DataSubscriptions], Sized], most: int, refusal: tuple[int, str]) -> None:
    """Raise RefusedError if all clients together have as many subscriptions of a kind as they may; 0 = no limit."""
    if most and sum(len(of(session.data)) for session in broker.sessions.values()) >= most:
        raise RefusedError(*refusal)


def check_new(request: Request, kept: Container[int]) -> int:
    """Return the id of a subscription. Raises RefusedError if one of its kind has it already."""
    request_id = request.integer("request_id")
    if request_id in kept:
        raise RefusedError(322, "Error processing request.-'bQ' : cause - Duplicate ticker id")
    return request_id


def moment(request: Request, name: str) -> datetime | None:
    """Return a time of a request, None if it names none. Raises ValueError for what is not a time of these days."""
    text = request.text(name)
    return checked(parse_time(text, NEW_YORK)) if text else None


def checked(time: datetime) -> datetime:
    """Return a time that can be reckoned with. Raises ValueError for one outside 1900 to 2200."""
    if not _EARLIEST <= time.year <= _LATEST:
        raise ValueError(f"the year {time.year} is not {_EARLIEST} to {_LATEST}")
    return time


_EARLIEST, _LATEST = 1900, 2200


def end_line(session: ClientSession, request: Request, lines: MutableMapping[int, Any]) -> None:
    """End one of the session's subscriptions, or say that there is none of that id."""
    request_id = request.integer("request_id")
    if lines.pop(request_id, None) is None:
        session.error(request_id, 300, f"Can't find EId with tickerId:{request_id}")
