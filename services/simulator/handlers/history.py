"""Historical bars and what goes with them, and five-second bars."""

from datetime import datetime, timedelta

from services.simulator.broker import Broker
from services.simulator.core import history as core
from services.simulator.core.calendars import NEW_YORK
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.real_time import SHOWS
from services.simulator.core.tick_data import histogram, within_regular
from services.simulator.core.tick_data import stretches as tick_stretches
from services.simulator.data_subscriptions import LiveHistory, SecondsStream
from services.simulator.handlers import Handler, RefusedError
from services.simulator.handlers.data import answered, contract_with_data, end_line, moment
from services.simulator.present import bars as present
from services.simulator.session import ClientSession
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import Request

_ERROR = "Historical Market Data Service error message:"
_KEPT_UP = ("TRADES", "MIDPOINT", "BID", "ASK")
_SCHEDULE = "SCHEDULE"
_PERIODS = {"second": "S", "seconds": "S", "day": "D", "days": "D", "week": "W", "weeks": "W", "month": "M",
            "months": "M", "year": "Y", "years": "Y"}  # fmt: skip


def _no_data(instrument: Instrument, show: str) -> RefusedError:
    name = f"{instrument.symbol}@{instrument.exchange}"
    return RefusedError(162, f"{_ERROR}HMDS query returned no data: {name} {show.capitalize()}")


@answered
def history(broker: Broker, session: ClientSession, request: Request) -> None:
    """Answer at once with all bars. A request that cannot be served ends with 162, which clients take as its end."""
    if request.text("sec_type") == SecurityType.COMBO:
        raise RefusedError(162, f"{_ERROR}HMDS query returned no data: BAG")
    instrument = contract_with_data(broker, session, request, _ERROR)
    try:
        query = _query(broker, request, instrument)
        if query.show == _SCHEDULE:
            _send_schedule(broker, session, request, query)
        else:
            _send_bars(broker, session, request, query)
    except core.NoDataError:
        raise _no_data(instrument, request.text("what_to_show")) from None
    except ValueError as error:
        raise RefusedError(162, f"{_ERROR}{error}") from error


def _query(broker: Broker, request: Request, instrument: Instrument) -> core.HistoryQuery:
    end = moment(request, "end")
    show = request.text("what_to_show")
    if end is not None and request.flag("keep_up_to_date"):
        raise ValueError("end date and time must be empty if keepUpToDate is set")
    if end is not None and show == "ADJUSTED_LAST":
        raise ValueError("End Date not supported with adjusted last")
    now = broker.engine.now
    return core.HistoryQuery(
        instrument.contract_id,
        now if end is None else min(end, now),
        request.text("duration"),
        request.text("bar_size"),
        show,
        request.flag("use_rth"),
    )


def _send_bars(broker: Broker, session: ClientSession, request: Request, query: core.HistoryQuery) -> None:
    request_id, format_date = request.integer("request_id"), request.integer("format_date", 1)
    live = request.flag("keep_up_to_date")
    if live and (query.show not in _KEPT_UP or core.bar_size_of(query.bar_size) == "1 secs"):
        raise ValueError(f"keepUpToDate needs bars of 5 seconds or more and one of {', '.join(_KEPT_UP)}")
    found = core.bars(broker.engine.market, query, broker.engine.today)
    if not found:
        raise core.NoDataError("no bars")
    first = found[0].start
    start = first if isinstance(first, datetime) else datetime(first.year, first.month, first.day, tzinfo=NEW_YORK)
    session.send(
        answers.HISTORICAL_DATA,
        {
            "request_id": request_id,
            "start": present.bar_date(start, 1, session.version),
            "end": present.bar_date(query.end, 1, session.version),
            "bars": [present.historical_bar(bar, format_date, session.version) for bar in found],
        },
    )
    if live:
        session.data.history[request_id] = LiveHistory(query, format_date)


def _send_schedule(broker: Broker, session: ClientSession, request: Request, query: core.HistoryQuery) -> None:
    if core.bar_size_of(query.bar_size) != "1 day":
        raise ValueError("SCHEDULE needs bars of 1 day")
    sessions = core.schedule(broker.engine.market, query)
    if not sessions:
        raise core.NoDataError("no sessions")
    session.send(answers.HISTORICAL_SCHEDULE, present.schedule(request.integer("request_id"), sessions))


def cancel_history(broker: Broker, session: ClientSession, request: Request) -> None:
    """End the updates of bars; a query without any is over as soon as it is answered."""
    del broker
    request_id = request.integer("request_id")
    if session.data.history.pop(request_id, None) is None:
        session.error(request_id, 366, f"No historical data query found for ticker id:{request_id}")
    else:
        session.error(request_id, 162, f"{_ERROR}API historical data query cancelled: {request_id}")


@answered
def head_timestamp(broker: Broker, session: ClientSession, request: Request) -> None:
    instrument, show = contract_with_data(broker, session, request, _ERROR), request.text("what_to_show")
    market = broker.engine.market
    try:
        core.check_kind(market, instrument.contract_id, show)
    except ValueError:
        raise _no_data(instrument, show) from None
    first = core.head(market, instrument.contract_id, regular=request.flag("use_rth"))
    if first is None:
        raise _no_data(instrument, show)
    timestamp = str(int(first.timestamp())) if request.integer("format_date", 1) == 2 else present.dashed(first)
    session.send(answers.HEAD_TIMESTAMP, {"request_id": request.integer("request_id"), "timestamp": timestamp})


@answered
def request_histogram(broker: Broker, session: ClientSession, request: Request) -> None:
    """Answer with what traded at each price over a period like `3 days`."""
    instrument = contract_with_data(broker, session, request, _ERROR)
    number, _, unit = request.text("period").strip().partition(" ")
    market, now = broker.engine.market, broker.engine.now
    regular = request.flag("use_rth")
    duration = f"{number} {_PERIODS.get(unit, unit)}"
    query = core.HistoryQuery(instrument.contract_id, now, duration, "1 day", "TRADES", regular)
    try:
        frames, earliest = core.frames_of(market, query)
    except ValueError as error:
        raise RefusedError(162, f"{_ERROR}{error}") from error
    if not frames or instrument.security_type is SecurityType.CURRENCY:
        raise _no_data(instrument, "TRADES")
    found = tick_stretches(market, instrument.contract_id, earliest - timedelta(microseconds=1), now)
    parts = [within_regular(each) if regular else each for each in found]
    points = histogram([part for part in parts if part is not None])
    row = {"request_id": request.integer("request_id"), "points": present.histogram_points(points)}
    session.send(answers.HISTOGRAM, row)


def finished(broker: Broker, session: ClientSession, request: Request) -> None:
    """Cancel a query that was answered when it came: there is nothing left to do."""
    del broker, session
    request.integer("request_id")


@answered
def request_real_time_bars(broker: Broker, session: ClientSession, request: Request) -> None:
    """Begin five-second bars, the only real-time bars there are, whatever size is asked for."""
    instrument, show = contract_with_data(broker, session, request), request.text("what_to_show")
    try:
        if show not in SHOWS:
            raise ValueError(f"whatToShow {show[:40]!r} is not one of {', '.join(SHOWS)}")
        core.check_kind(broker.engine.market, instrument.contract_id, show)
    except ValueError as error:
        raise RefusedError(420, f"Invalid Real-time Query:{error}") from error
    stream = SecondsStream(instrument, show, request.flag("use_rth"))
    session.data.seconds[request.integer("request_id")] = stream


def cancel_real_time_bars(broker: Broker, session: ClientSession, request: Request) -> None:
    del broker
    end_line(session, request, session.data.seconds)


HANDLERS: dict[int, Handler] = {
    requests.REQUEST_HISTORICAL_DATA: history,
    requests.CANCEL_HISTORICAL_DATA: cancel_history,
    requests.REQUEST_HEAD_TIMESTAMP: head_timestamp,
    requests.CANCEL_HEAD_TIMESTAMP: finished,
    requests.REQUEST_HISTOGRAM: request_histogram,
    requests.CANCEL_HISTOGRAM: finished,
    requests.REQUEST_REAL_TIME_BARS: request_real_time_bars,
    requests.CANCEL_REAL_TIME_BARS: cancel_real_time_bars,
}
