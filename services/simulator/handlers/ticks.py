"""Ticks one by one: historical ones and tick-by-tick data as they come."""

from services.simulator.broker import Broker
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.tick_data import KINDS, Tick, ticks_before, ticks_from
from services.simulator.data_subscriptions import TickStream
from services.simulator.handlers import Handler, RefusedError
from services.simulator.handlers.data import answered, check_limit, check_new, contract_with_data, end_line, moment
from services.simulator.present import bars as present
from services.simulator.present.ticks import STREAMS
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_MOST = 1000
"""Historical ticks of one request, at most (IBKR)."""
_TOO_MANY = (10190, "Max number of tick-by-tick requests has been reached.")
_KIND_OF = {"Last": "TRADES", "AllLast": "TRADES", "BidAsk": "BID_ASK", "MidPoint": "MIDPOINT"}
_ANSWERS = {
    "TRADES": answers.HISTORICAL_TICKS_LAST,
    "BID_ASK": answers.HISTORICAL_TICKS_BID_ASK,
    "MIDPOINT": answers.HISTORICAL_TICKS,
}


def _has(instrument: Instrument, show: str) -> bool:
    """Return whether an instrument has a kind of ticks: currencies do not trade, indices are not quoted."""
    if instrument.security_type is SecurityType.CURRENCY:
        return show != "TRADES"
    return instrument.security_type is not SecurityType.INDEX or show == "TRADES"


def _send(session: ClientSession, request_id: int, show: str, found: list[Tick]) -> None:
    rows = [present.historical_tick(tick) for tick in found]
    session.send(_ANSWERS[show], {"request_id": request_id, "ticks": rows, "done": True})


@answered
def historical_ticks(broker: Broker, session: ClientSession, request: Request) -> None:
    """Answer with the ticks from a start or before an end, at most a thousand."""
    instrument, show = contract_with_data(broker, session, request), request.text("what_to_show")
    try:
        start, end = moment(request, "start"), moment(request, "end")
        if (start is None) == (end is None):
            raise ValueError("give either the start or the end date and time")
        count = request.integer("count")
        if not 1 <= count <= _MOST:
            raise ValueError(f"number of ticks {count} is not 1 to {_MOST}")
        if show not in KINDS or not _has(instrument, show):
            raise ValueError(f"no {show[:40]} ticks for {instrument.security_type}")
    except ValueError as error:
        raise RefusedError(10187, f"Failed to request historical ticks:{error}") from error
    market, now, regular = broker.engine.market, broker.engine.now, request.flag("use_rth")
    contract_id, kind = instrument.contract_id, KINDS[show]
    if start is not None:
        found = ticks_from(market, contract_id, kind, start, now, count, regular=regular)
    else:
        last = now if end is None else min(end, now)
        found = ticks_before(market, contract_id, kind, last, count, regular=regular)
    _send(session, request.integer("request_id"), show, found)


@answered
def tick_by_tick(broker: Broker, session: ClientSession, request: Request) -> None:
    """Begin tick-by-tick data, after so many of the latest ticks as are asked for.

    IBKR has none for options, of indices and currencies only what exists of them ("Tick-by-tick data").
    """
    instrument, kind = contract_with_data(broker, session, request), request.text("tick_type")
    request_id = check_new(request, session.data.ticks)
    show = _KIND_OF.get(kind)
    if show is None or not _has(instrument, show) or instrument.security_type is SecurityType.OPTION:
        text = f"{kind[:40]} tick-by-tick requests are not supported for {instrument.local_symbol}"
        raise RefusedError(10189, f"Failed to request tick-by-tick data.{text}")
    check_limit(broker, lambda data: data.ticks, session.limits.tick_by_tick, _TOO_MANY)
    count = min(request.integer("count"), _MOST)
    if count > 0:
        market, now = broker.engine.market, broker.engine.now
        past = ticks_before(market, instrument.contract_id, STREAMS[kind][1], now, count, regular=False)
        _send(session, request_id, show, past)
    session.data.ticks[request_id] = TickStream(instrument, kind)


def cancel_tick_by_tick(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    end_line(session, request, session.data.ticks)


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_HISTORICAL_TICKS: historical_ticks,
    requests.REQUEST_TICK_BY_TICK: tick_by_tick,
    requests.CANCEL_TICK_BY_TICK: cancel_tick_by_tick,
}
