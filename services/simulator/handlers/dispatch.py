"""From the fields of a message to its handler."""

from services.simulator.broker import Broker
from services.simulator.handlers import (
    Handler,
    accounts,
    contracts,
    depth,
    history,
    market_data,
    news,
    options,
    order_lists,
    orders,
    scanner,
    ticks,
)
from services.simulator.session import ClientSession
from services.simulator.wire import requests
from services.simulator.wire.framing import ProtocolError
from services.simulator.wire.requests import Request


def _log_level(broker: Broker, session: ClientSession, request: Request) -> None:
    """A client sets how much TWS logs about it; our log level is a setting of ours."""
    del broker, session
    request.integer("level")


_LONGEST_MESSAGE_ID = 9

HANDLERS: dict[int, Handler] = {
    **accounts.HANDLERS,
    **contracts.HANDLERS,
    **depth.HANDLERS,
    **history.HANDLERS,
    **market_data.HANDLERS,
    **news.HANDLERS,
    **options.HANDLERS,
    **order_lists.HANDLERS,
    **orders.HANDLERS,
    **scanner.HANDLERS,
    **ticks.HANDLERS,
    requests.SET_SERVER_LOG_LEVEL: _log_level,
}


def message_id(fields: list[str]) -> int:
    """Raises ProtocolError when the first field is not a message id."""
    if not (fields[0].isascii() and fields[0].isdecimal() and len(fields[0]) <= _LONGEST_MESSAGE_ID):
        raise ProtocolError(f"message id {fields[0][:40]!r} is not a number")
    return int(fields[0])


def dispatch(broker: Broker, session: ClientSession, fields: list[str]) -> None:
    """Answer one request. Raises ProtocolError when its fields cannot be understood.

    A message id of the TWS API that the simulator does not answer gets error 505, and the connection goes on.
    """
    identity = message_id(fields)
    handler = HANDLERS.get(identity)
    if handler is None:
        session.error(-1, 505, f"Fatal Error: Unknown message id. {identity} is not simulated")
        return
    try:
        request = Request.parse(identity, fields, session.version)
        handler(broker, session, request)
    except (ValueError, ArithmeticError) as error:
        raise ProtocolError(f"message {identity}: {error or type(error).__name__}") from error
