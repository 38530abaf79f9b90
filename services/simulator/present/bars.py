"""Bars and historical ticks as TWS API messages."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from services.simulator.core.aggregate import Bar
from services.simulator.core.calendars import NEW_YORK
from services.simulator.core.tick_data import BidAsk, Midpoint, Tick, Trade
from services.simulator.present.times import ZONE_NAME, exchange_time
from services.simulator.wire.layout import Values, Writable

_ZONES_SINCE = 174
"""From this version on times bear the name of their zone; before, two spaces stood between date and time."""


def bar_date(start: datetime | date, format_date: int, version: int) -> str:
    """Return when a bar begins: a date for days and more, else a time as `formatDate` asks (2 = epoch seconds)."""
    if not isinstance(start, datetime):
        return f"{start:%Y%m%d}"
    if format_date == 2:
        return str(int(start.timestamp()))
    return exchange_time(start) if version >= _ZONES_SINCE else f"{start.astimezone(NEW_YORK):%Y%m%d  %H:%M:%S}"


def dashed(moment: datetime) -> str:
    """Return UTC time with a dash, as head timestamps are."""
    return f"{moment.astimezone(UTC):%Y%m%d-%H:%M:%S}"


def historical_bar(bar: Bar, format_date: int, version: int) -> dict[str, Writable]:
    return {
        "date": bar_date(bar.start, format_date, version),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "average": bar.average,
        "count": bar.count,
    }


def historical_tick(tick: Tick) -> Values:
    """Return a row of historicalTicks, historicalTicksBidAsk or historicalTicksLast, by the kind of tick."""
    time = int(tick.time.timestamp())
    match tick:
        case Trade():
            return {"time": time, "price": tick.price, "size": tick.size, "exchange": EXCHANGE_OF_TRADES}
        case BidAsk():
            return {
                "time": time,
                "bid_price": tick.bid,
                "ask_price": tick.ask,
                "bid_size": tick.bid_size,
                "ask_size": tick.ask_size,
            }
        case Midpoint():
            return {"time": time, "price": tick.price, "size": 0}


EXCHANGE_OF_TRADES = "NASDAQ"
"""Where every trade is reported from: the simulated market has one venue."""


def real_time_bar(request_id: int, bar: Bar) -> Values:
    assert isinstance(bar.start, datetime)  # noqa: S101 - a five-second bar begins at a time
    return {
        "request_id": request_id,
        "time": int(bar.start.timestamp()),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "average": bar.average,
        "count": bar.count,
    }


def histogram_points(points: Sequence[tuple[Decimal, int]]) -> list[Values]:
    return [{"price": price, "count": count} for price, count in points]


def schedule(request_id: int, sessions: Sequence[tuple[datetime, datetime, date]]) -> Values:
    """Return start, end and date of trading sessions, in the exchange's time."""
    rows: list[Values] = [
        {"start": _local(start), "end": _local(end), "reference_date": f"{day:%Y%m%d}"} for start, end, day in sessions
    ]
    return {
        "request_id": request_id,
        "start": _local(sessions[0][0]),
        "end": _local(sessions[-1][1]),
        "time_zone": ZONE_NAME,
        "sessions": rows,
    }


def _local(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%Y%m%d-%H:%M:%S}"
