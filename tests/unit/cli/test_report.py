"""Trades from fills, and the books' arithmetic."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from cli.report import Books, trades

NOON = datetime(2012, 7, 2, 16, tzinfo=UTC)


def fill(order_id: str, leg: str, quantity: str, price: str, day: int, **others: str) -> Mapping[str, Any]:
    return {
        "order_id": order_id,
        "leg": leg,
        "symbol": "IBM",
        "quantity": Decimal(quantity),
        "price": Decimal(price),
        "realised": Decimal(others.get("realised", "0")),
        "commission": Decimal(others["commission"]) if "commission" in others else None,
        "time": NOON + timedelta(days=day),
    }


def test_a_trade_is_its_entries_and_exits_with_average_prices() -> None:
    found = trades(
        [
            fill("A", "entry", "60", "100", 0, commission="1"),
            fill("A", "entry", "40", "101", 0, commission="1"),
            fill("A", "stop", "100", "98", 3, realised="-240", commission="1.5"),
        ],
        {},
    )
    assert len(found) == 1
    trade = found[0]
    assert (trade.quantity, trade.entry_price, trade.exit_price) == (Decimal(100), Decimal("100.4"), Decimal(98))
    assert (trade.entry_time, trade.exit_time) == (NOON, NOON + timedelta(days=3))
    assert trade.exit_reason == "stop"
    assert trade.profit == Decimal("-243.5")


def test_a_target_that_risk_moved_tells_why() -> None:
    entry, out = fill("A", "entry", "1", "10", 0), fill("A", "target", "1", "11", 1)
    assert trades([entry, out], {"A": "held for 30 days"})[0].exit_reason == "held for 30 days"
    assert trades([entry, out], {"B": "another"})[0].exit_reason == "target"


def test_an_exit_of_its_own_tells_why() -> None:
    entry, out = fill("A", "entry", "1", "10", 0), fill("A", "exit", "1", "11", 1)
    assert trades([entry, out], {"A": "crossed below"})[0].exit_reason == "crossed below"
    assert trades([entry, out], {})[0].exit_reason == "exit"


def test_a_stop_that_beat_the_close_is_a_stop() -> None:
    found = [fill("A", "entry", "1", "10", 0), fill("A", "stop", "1", "9", 1)]
    assert trades(found, {"A": "held for 30 days"})[0].exit_reason == "stop"


def test_a_partly_closed_trade_is_open() -> None:
    trade = trades([fill("A", "entry", "2", "10", 0), fill("A", "target", "1", "11", 1, realised="1")], {})[0]
    assert trade.exit_time is None
    assert trade.profit == Decimal(1)


def books(net_liquidation: str) -> Books:
    return Books(Decimal(1000), Decimal("20.005"), Decimal("3.01"), Decimal("-7.001"), Decimal(net_liquidation))


def test_books_agree_to_the_cent_and_no_further() -> None:
    assert books("1009.99").value == Decimal("1009.99")
    assert books("1009.99").agree
    assert not books("1009.98").agree
