"""Quotes: market data lines, snapshots, and the kind of data a client wants."""

import re

from services.simulator.broker import Broker
from services.simulator.core.generic_ticks import LEGAL
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.news import PROVIDERS
from services.simulator.data_subscriptions import QuoteLine
from services.simulator.handlers import Handler, RefusedError, combo_legs, find_contract
from services.simulator.handlers.data import COMBO, answered, check_limit, check_new, end_line, permitted
from services.simulator.publish_quotes import DELAYED_FROZEN, FROZEN
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_NEWS = 292
_NEWS_PROVIDERS = re.compile(r"292:([A-Z0-9+\-_]+)")
_TOO_MANY = (101, "Max number of tickers has been reached")


@answered
def request_quotes(broker: Broker, session: ClientSession, request: Request) -> None:
    """Open a market data line, or for a snapshot send the quote once. The latest known values come at once."""
    request_id = check_new(request, session.data.quotes)
    snapshot = request.flag("snapshot") or request.flag("regulatory_snapshot")
    line = _line(broker, request)
    if snapshot and line.generic:
        text = "Error validating request.-'bQ' : cause - Snapshot market data subscription is not applicable to generic"
        raise RefusedError(321, f"{text} ticks")
    check_limit(broker, lambda data: data.quotes, session.limits.lines, _TOO_MANY)
    line.delayed = permitted(broker, session, request, line.instrument)
    _begin(broker, session, request_id, line)
    broker.market_data.send_quote(session, request_id, line)
    if snapshot:
        session.send(answers.SNAPSHOT_END, {"request_id": request_id})
    else:
        session.data.quotes[request_id] = line


def _line(broker: Broker, request: Request) -> QuoteLine:
    generic, providers = _generic_ticks(request.text("generic_ticks"))
    if request.text("sec_type") == SecurityType.COMBO:
        return QuoteLine(COMBO, combo_legs(broker, request), generic)
    return QuoteLine(find_contract(broker, request), (), generic, providers)


def _generic_ticks(text: str) -> tuple[frozenset[int], frozenset[str]]:
    """Return the generic ticks that are asked for, and the news providers (`292:BRFG+DJNL`; all of plain `292`).

    Raises RefusedError for an id that IBKR does not know.
    """
    found: set[int] = set()
    providers: set[str] = set()
    for part in (part.strip() for part in text.split(",")):
        chosen = _NEWS_PROVIDERS.fullmatch(part)
        if chosen is not None:
            providers.update(chosen[1].split("+"))
        elif part == str(_NEWS):
            providers.update(PROVIDERS)
        elif part.isascii() and part.isdecimal() and len(part) <= 5 and int(part) in LEGAL:
            found.add(int(part))
        elif part not in ("", "mdoff"):
            legal = ",".join(str(number) for number in sorted(LEGAL))
            cause = f"Incorrect generic tick list of {text[:80]}.  Legal ones are: {legal}"
            raise RefusedError(321, f"Error validating request.-'bQ' : cause - {cause}")
    return frozenset(found), frozenset(providers)


def _begin(broker: Broker, session: ClientSession, request_id: int, line: QuoteLine) -> None:
    market, now = broker.engine.market, broker.engine.now
    line.keeps_last = session.market_data_type in (FROZEN, DELAYED_FROZEN)
    broker.market_data.send_type(session, request_id, line)
    step = COMBO.unit
    if not line.legs:
        quote = market.quote(line.instrument.contract_id, now)
        price = line.instrument.unit if quote is None else quote.last
        step = market.increment(line.instrument.contract_id, price)
    values = {"request_id": request_id, "min_tick": step, "bbo_exchange": bbo_exchange(line.instrument)}
    session.send(answers.TICK_REQUEST_PARAMETERS, values)


def bbo_exchange(instrument: Instrument) -> str:
    """Return the key to the components of the best bid and offer, of which only routed instruments have any."""
    return "9c0001" if instrument.exchange == "SMART" else ""


def cancel_quotes(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    end_line(session, request, session.data.quotes)


def market_data_type(broker: Broker, session: ClientSession, request: Request) -> None:
    """1 live, 2 frozen, 3 delayed, 4 delayed and frozen. It holds for what is subscribed to afterwards."""
    del broker
    session.market_data_type = request.integer("market_data_type")


def current_time(broker: Broker, session: ClientSession, request: Request) -> None:
    del request
    session.send(answers.CURRENT_TIME, {"time": int(broker.engine.now.timestamp())})


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_MARKET_DATA: request_quotes,
    requests.CANCEL_MARKET_DATA: cancel_quotes,
    requests.REQUEST_MARKET_DATA_TYPE: market_data_type,
    requests.REQUEST_CURRENT_TIME: current_time,
}
