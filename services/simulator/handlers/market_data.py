"""Quotes, real-time bars, history, contracts and the time."""

from datetime import datetime

from services.simulator import present
from services.simulator.broker import Broker
from services.simulator.core.exchange import EXCHANGE_ZONE
from services.simulator.core.history import bars
from services.simulator.core.instruments import Instrument
from services.simulator.handlers import Handler, contract_or_error
from services.simulator.handlers.times import parse_time
from services.simulator.publish import send_quote
from services.simulator.session import ClientSession, QuoteSubscription
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_FROZEN = 2
_HISTORY_ERROR = "Historical Market Data Service error message:"


def request_quotes(broker: Broker, session: ClientSession, request: Request) -> None:
    """Open a market data line, or for a snapshot send the quote once. The latest known values come at once."""
    listing = contract_or_error(broker, session, request)
    if listing is None:
        return
    request_id = request.integer("request_id")
    closed = broker.engine.market.session_at(broker.engine.now) is None
    data_type = _FROZEN if closed and session.market_data_type in (2, 4) else 1
    session.send(answers.MARKET_DATA_TYPE, {"request_id": request_id, "market_data_type": data_type})
    session.send(
        answers.TICK_REQUEST_PARAMETERS,
        {"request_id": request_id, "min_tick": present.MIN_TICK, "bbo_exchange": "9c0001"},
    )
    line = QuoteSubscription(listing.symbol)
    quote = broker.engine.market.quote(listing.symbol, broker.engine.now)
    if quote is not None:
        send_quote(session, request_id, quote, line.sent)
    if request.flag("snapshot"):
        session.send(answers.SNAPSHOT_END, {"request_id": request_id})
    else:
        session.quotes[request_id] = line


def cancel_quotes(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    request_id = request.integer("request_id")
    if session.quotes.pop(request_id, None) is None:
        session.error(request_id, 300, f"Can't find EId with tickerId:{request_id}")


def market_data_type(broker: Broker, session: ClientSession, request: Request) -> None:
    """1 live, 2 frozen, 3 delayed, 4 delayed and frozen. All data here are live, so delayed ones are never sent."""
    del broker
    session.market_data_type = request.integer("market_data_type")


def request_real_time_bars(broker: Broker, session: ClientSession, request: Request) -> None:
    listing = contract_or_error(broker, session, request)
    if listing is not None:
        session.real_time_bars[request.integer("request_id")] = listing.symbol


def cancel_real_time_bars(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    session.real_time_bars.pop(request.integer("request_id"), None)


def history(broker: Broker, session: ClientSession, request: Request) -> None:
    """Answer at once with all bars. A request that cannot be served ends with 162, which clients take as its end."""
    listing = contract_or_error(broker, session, request)
    if listing is None:
        return
    request_id = request.integer("request_id")
    try:
        _send_history(broker, session, request, listing)
    except ValueError as error:
        session.error(request_id, 162, f"{_HISTORY_ERROR}{error}")


def _send_history(broker: Broker, session: ClientSession, request: Request, listing: Instrument) -> None:
    engine, show = broker.engine, request.text("what_to_show")
    if show != "TRADES":
        raise ValueError(f"whatToShow {show!r} is not simulated; ask for TRADES")
    if request.flag("keep_up_to_date"):
        raise ValueError("keepUpToDate is not simulated; ask for real-time bars")
    end_text = request.text("end")
    end = min(parse_time(end_text, EXCHANGE_ZONE), engine.now) if end_text else engine.now
    duration = request.text("duration")
    found = bars(engine.market, listing.symbol, end, duration, request.text("bar_size"), EXCHANGE_ZONE)
    if not found:
        raise ValueError(f"HMDS query returned no data: {listing.symbol}@SMART Trades")
    format_date = request.integer("format_date", 1)
    first = found[0].start
    start = first if isinstance(first, datetime) else engine.market.session_of(first).open
    session.send(
        answers.HISTORICAL_DATA,
        {
            "request_id": request.integer("request_id"),
            "start": present.exchange_time(start),
            "end": present.exchange_time(end),
            "bars": [present.historical_bar(bar, format_date, session.version) for bar in found],
        },
    )


def cancel_history(broker: Broker, session: ClientSession, request: Request) -> None:
    """Answers are complete when sent, so there is never a query left to cancel."""
    del broker, session
    request.integer("request_id")


def head_timestamp(broker: Broker, session: ClientSession, request: Request) -> None:
    listing = contract_or_error(broker, session, request)
    if listing is None:
        return
    request_id = request.integer("request_id")
    of_symbol = broker.engine.market.bars[listing.symbol]
    if not of_symbol:
        text = f"{_HISTORY_ERROR}HMDS query returned no data: {listing.symbol}@SMART Trades"
        session.error(request_id, 162, text)
        return
    first = broker.engine.market.session_of(of_symbol[0].day).open
    epoch = request.integer("format_date", 1) == 2
    timestamp = str(int(first.timestamp())) if epoch else f"{first:%Y%m%d-%H:%M:%S}"
    session.send(answers.HEAD_TIMESTAMP, {"request_id": request_id, "timestamp": timestamp})


def contract_details(broker: Broker, session: ClientSession, request: Request) -> None:
    listing = contract_or_error(broker, session, request)
    if listing is None:
        return
    request_id = request.integer("request_id")
    details = present.contract_details(listing, request_id, broker.engine.market, broker.engine.today)
    session.send(answers.CONTRACT_DETAILS, details)
    session.send(answers.CONTRACT_DETAILS_END, {"request_id": request_id})


def market_rule(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    rule_id = request.integer("market_rule_id")
    if rule_id != present.MARKET_RULE_ID:
        session.error(-1, 321, f"Error validating request.-'bX' : cause - Unknown market rule {rule_id}")
        return
    increments = [{"low_edge": 0, "increment": present.MIN_TICK}]
    session.send(answers.MARKET_RULE, {"market_rule_id": rule_id, "increments": increments})


def current_time(broker: Broker, session: ClientSession, request: Request) -> None:
    del request
    session.send(answers.CURRENT_TIME, {"time": int(broker.engine.now.timestamp())})


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_MARKET_DATA: request_quotes,
    requests.CANCEL_MARKET_DATA: cancel_quotes,
    requests.REQUEST_MARKET_DATA_TYPE: market_data_type,
    requests.REQUEST_REAL_TIME_BARS: request_real_time_bars,
    requests.CANCEL_REAL_TIME_BARS: cancel_real_time_bars,
    requests.REQUEST_HISTORICAL_DATA: history,
    requests.CANCEL_HISTORICAL_DATA: cancel_history,
    requests.REQUEST_HEAD_TIMESTAMP: head_timestamp,
    requests.CANCEL_HEAD_TIMESTAMP: cancel_history,
    requests.REQUEST_CONTRACT_DETAILS: contract_details,
    requests.REQUEST_MARKET_RULE: market_rule,
    requests.REQUEST_CURRENT_TIME: current_time,
}
