from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from ib_async.objects import BarData
from ib_async.order import Order
from ib_async.util import UNSET_DOUBLE

from services.gateway.adapters import convert
from services.gateway.adapters.quotes import Lines
from services.gateway.core.order_ids import BracketIds
from shared.messages.broker import SubmitOrder
from shared.types import QuoteQuality, Side, Timeframe, TimeInForce

NOW = datetime(2010, 1, 4, 15, tzinfo=UTC)


def test_floats_become_the_decimals_that_were_written() -> None:
    assert [str(convert.decimal(value)) for value in (0.1, 100.0, 189.35)] == ["0.1", "100", "189.35"]
    assert [convert.decimal_or_none(value) for value in (UNSET_DOUBLE, float("nan"), None)] == [None] * 3
    assert [convert.price_or_none(value) for value in (-1.0, 0.0, UNSET_DOUBLE, None)] == [None] * 4


def test_bracket_is_transmitted_by_its_last_leg() -> None:
    command = SubmitOrder(
        order_id="a",
        symbol="IBM",
        side=Side.SELL,
        quantity=Decimal("1E+2"),
        limit_price=Decimal("10.50"),
        stop_price=Decimal("11"),
        target_price=Decimal("9"),
        time_in_force=TimeInForce.DAY,
        expires_at=NOW,
    )
    legs = convert.bracket(command, BracketIds(4, 5, 6), "DU1")
    assert [leg.transmit for leg in legs] == [False, False, True]
    assert [leg.action for leg in legs] == ["SELL", "BUY", "BUY"]
    assert [leg.parentId for leg in legs] == [0, 4, 4]
    assert [leg.tif for leg in legs] == ["DAY", "GTC", "GTC"]
    assert [leg.orderRef for leg in legs] == ["a", "a.stop", "a.target"]
    assert str(legs[0].totalQuantity) == "100"


def test_change_of_an_echoed_order_sends_nothing_that_we_did_not_set() -> None:
    echo = Order(
        orderId=4,
        action="BUY",
        totalQuantity=100.0,
        orderType="LMT",
        lmtPrice=10.0,
        auxPrice=0.0,
        tif="GTC",
        orderRef="a.target",
        parentId=3,
        account="DU1",
        deltaNeutralOrderType="None",
        deltaNeutralOpenClose="?",
        adjustedOrderType="None",
        trailStopPrice=11.0,
    )
    changed = convert.with_limit(echo, Decimal("12.5"))
    assert (changed.lmtPrice, changed.parentId, changed.tif, changed.orderRef) == (
        Decimal("12.5"),
        3,
        "GTC",
        "a.target",
    )
    assert (changed.deltaNeutralOrderType, changed.adjustedOrderType) == ("", "")
    assert changed.trailStopPrice == UNSET_DOUBLE


@pytest.mark.parametrize(
    ("timeframe", "count", "expected"),
    [(Timeframe.DAY, 10, "11 D"), (Timeframe.DAY, 400, "2 Y"), (Timeframe.MINUTE, 390, "2 D")],
)
def test_duration(timeframe: Timeframe, count: int, expected: str) -> None:
    assert convert.duration(timeframe, count) == expected


def test_daily_bar_spans_its_session() -> None:
    told = BarData(date(2010, 1, 4), 1.0, 2.0, 0.5, 1.5, 100.0)
    bar = convert.bar("IBM", Timeframe.DAY, told)
    assert bar is not None
    assert (bar.start, bar.end) == (NOW.replace(hour=14, minute=30), NOW.replace(hour=21))
    told.date = date(2010, 1, 3)  # a Sunday
    assert convert.bar("IBM", Timeframe.DAY, told) is None


@pytest.mark.parametrize("trade_time", [True, False])
def test_quote_of_a_line(trade_time: bool) -> None:
    lines = Lines(lambda: NOW, trade_time=trade_time)
    lines.open(3, "IBM")
    lines.quality(3, 3)
    lines.price(3, 1, 10.25, 100.0)
    lines.price(3, 2, -1.0, 0.0)
    lines.price(3, 6, 99.0, 0.0)  # the day's high is no part of a quote
    lines.price(77, 1, 1.0, 1.0)  # nobody's line
    traded = NOW - timedelta(minutes=5)
    assert lines.text(3, 45, str(int(traded.timestamp()))) == traded
    lines.stamp()
    (quote,) = lines.take(0)
    assert (quote.bid, quote.bid_size, quote.ask, quote.last) == (Decimal("10.25"), 100, None, None)
    assert quote.time == (traded if trade_time else NOW)
    assert quote.quality is QuoteQuality.DELAYED
    assert not lines.changed
