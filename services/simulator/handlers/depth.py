"""The book of an instrument, and which exchanges have one."""

from services.simulator.broker import Broker
from services.simulator.core.instruments import SecurityType
from services.simulator.data_subscriptions import DepthLine
from services.simulator.handlers import Handler, RefusedError
from services.simulator.handlers.data import answered, check_limit, check_new, contract_with_data
from services.simulator.present.contracts import depth_exchanges, smart_components
from services.simulator.publish_depth import send_depth
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_UNSUPPORTED = (10092, "Deep market data is not supported for this combination of security type/exchange")


@answered
def request_depth(broker: Broker, session: ClientSession, request: Request) -> None:
    """Open a book of one exchange, or of all of them for a smart one; the present rows come at once."""
    instrument = contract_with_data(broker, session, request)
    request_id = check_new(request, session.data.depth)
    smart = request.flag("smart_depth")
    exchange = request.text("exchange") or instrument.exchange
    if instrument.security_type is SecurityType.INDEX or (exchange == "SMART" and not smart):
        raise RefusedError(*_UNSUPPORTED)
    most = session.limits.depth
    refusal = (309, f"Max number ({most}) of market depth requests has been reached")
    check_limit(broker, lambda data: data.depth, most, refusal)
    line = DepthLine(instrument, max(1, request.integer("rows", 5)), smart)
    session.data.depth[request_id] = line
    send_depth(session, request_id, line, broker.engine.market, broker.engine.now)


def cancel_depth(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    request_id = request.integer("request_id")
    if session.data.depth.pop(request_id, None) is None:
        session.error(request_id, 310, f"Can't find the subscribed market depth with tickerId:{request_id}")


def exchanges(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker, request
    session.send(answers.DEPTH_EXCHANGES, {"exchanges": depth_exchanges()})


def components(broker: Broker, session: ClientSession, request: Request) -> None:
    """Answer which exchanges the letters of a best bid or offer stand for."""
    del broker
    row = {"request_id": request.integer("request_id"), "components": smart_components()}
    session.send(answers.SMART_COMPONENTS, row)


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_MARKET_DEPTH: request_depth,
    requests.CANCEL_MARKET_DEPTH: cancel_depth,
    requests.REQUEST_DEPTH_EXCHANGES: exchanges,
    requests.REQUEST_SMART_COMPONENTS: components,
}
