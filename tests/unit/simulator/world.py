"""A small market with prices known in advance, and short ways to say orders."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from services.simulator.core.account import CommissionSchedule
from services.simulator.core.engine import Engine
from services.simulator.core.market import DailyBar, Market, Session
from services.simulator.core.orders import Event, Order, OrderRequest

# Monday to Thursday in winter: New York opens at 14:30 UTC
DAYS = (date(2010, 1, 4), date(2010, 1, 5), date(2010, 1, 6), date(2010, 1, 7))
SESSIONS = tuple(
    Session(
        day,
        datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC),
        datetime(day.year, day.month, day.day, 21, tzinfo=UTC),
    )
    for day in DAYS
)
# cents: open, high, low, close; the first day is history
AAA = (
    DailyBar(DAYS[0], 9900, 10100, 9800, 10000, 390_000),
    DailyBar(DAYS[1], 10000, 11000, 9000, 10500, 391_000),  # rises: low first
    DailyBar(DAYS[2], 12000, 12500, 11500, 11600, 400_001),  # gaps up, falls: high first
    DailyBar(DAYS[3], 11600, 11700, 11000, 11100, 1),
)
BBB = (DailyBar(DAYS[1], 5000, 5100, 4900, 5050, 1000), DailyBar(DAYS[3], 5000, 5050, 4950, 5000, 1000))
CASH = Decimal(1_000_000)


def make_market(tick_seconds: int = 60) -> Market:
    return Market(SESSIONS, {"AAA": AAA, "BBB": BBB}, DAYS[1], DAYS[3], tick_seconds, Decimal("0.01"))


def make_engine() -> Engine:
    return Engine(make_market(), CASH, CommissionSchedule())


def at_open(engine: Engine, day: int = 1) -> Engine:
    """Advance to the first tick of a day and return the engine."""
    engine.advance(SESSIONS[day].open)
    return engine


def minutes(day: int, count: int) -> datetime:
    return SESSIONS[day].open + timedelta(minutes=count)


def order(order_id: int, action: str, order_type: str, price: str | None = None, **more: object) -> OrderRequest:
    values: dict[str, object] = {"symbol": "AAA", "quantity": Decimal(100), "order_ref": f"ref-{order_id}"}
    if price is not None:
        values["stop_price" if order_type == "STP" else "limit_price"] = Decimal(price)
    return OrderRequest(client_id=1, order_id=order_id, action=action, order_type=order_type, **{**values, **more})  # type: ignore[arg-type]


def bracket(first_id: int, entry: str, target: str, stop: str, **more: object) -> list[OrderRequest]:
    return [
        order(first_id, "BUY", "LMT", entry, transmit=False, **more),
        order(first_id + 1, "SELL", "LMT", target, parent_id=first_id, transmit=False, **more),
        order(first_id + 2, "SELL", "STP", stop, parent_id=first_id, **more),
    ]


def place_all(engine: Engine, requests: list[OrderRequest]) -> list[Event]:
    return [event for request in requests for event in engine.place(request)]


def state(engine: Engine, order_id: int) -> Order:
    return engine.book.orders[1, order_id]
