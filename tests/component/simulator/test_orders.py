"""Orders at the simulated gateway through the real client: unmodified ib_async over TCP."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from ib_async import IB, LimitOrder, MarketOrder, Stock, StopOrder, Trade

from tests.component.simulator.simulation import (
    AAPL,
    CLOSE,
    OPEN,
    connected,
    running,
    statuses,
    until,
)


def place_bracket(client: IB, entry: float, target: float, stop: float) -> list[Trade]:
    orders = client.bracketOrder("BUY", 100, entry, target, stop, tif="GTC")
    for order in orders:
        order.orderRef = f"order-{order.orderId}"
    return [client.placeOrder(AAPL, order) for order in orders]


async def test_bracket_from_entry_to_target(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        simulator.broker.advance(OPEN)
        trades = place_bracket(client, 213.0, 214.0, 200.0)
        entry, target, stop = trades
        await until(lambda: stop.orderStatus.whyHeld == "child,trigger", "bracket accepted")
        assert statuses(trades) == ["Submitted", "PreSubmitted", "PreSubmitted"]
        simulator.broker.advance(CLOSE)
        await until(lambda: statuses(trades)[0] == "Filled", "entry filled")
        simulator.broker.advance(datetime(2010, 1, 5, 21, tzinfo=UTC))
        await until(lambda: statuses(trades) == ["Filled", "Filled", "Cancelled"], "target filled")
        assert target.order.ocaGroup == stop.order.ocaGroup == ""  # the client keeps what it sent itself
        bought, sold = entry.fills[0], target.fills[0]
        await until(lambda: sold.commissionReport.execId, "commission of the exit")
        assert bought.commissionReport.commission == sold.commissionReport.commission == 1.0
        profit = (sold.execution.price - bought.execution.price) * 100 - 2
        assert sold.commissionReport.realizedPNL == pytest.approx(profit, abs=1e-9)
        assert sold.execution.orderRef == target.order.orderRef
        await until(lambda: not client.positions(), "position closed")
        cash = {value.value for value in client.accountValues() if value.tag == "TotalCashValue"}
        assert cash == {f"{1_000_000 + profit:.2f}"}


async def test_change_and_cancel(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        errors: list[int] = []
        client.errorEvent += lambda _id, code, _text, _contract: errors.append(code)
        simulator.broker.advance(OPEN)
        trade = client.placeOrder(AAPL, LimitOrder("BUY", 100, 200.0, tif="GTC"))
        await until(lambda: trade.orderStatus.status == "Submitted", "order works")
        trade.order.lmtPrice = 201.0
        client.placeOrder(AAPL, trade.order)
        await until(lambda: trade.log[-1].message == "Modified", "change acknowledged")
        assert simulator.engine.book.live()[0].request.limit_price == Decimal(201)
        client.cancelOrder(trade.order)
        await until(lambda: trade.orderStatus.status == "Cancelled", "order cancelled")
        await until(lambda: errors == [202], "reason of the cancel")
        stop = client.placeOrder(AAPL, StopOrder("SELL", 10, 150.0, tif="GTC"))
        await until(lambda: stop.orderStatus.whyHeld == "trigger", "stop rests")
        client.reqGlobalCancel()
        await until(lambda: stop.orderStatus.status == "Cancelled", "everything cancelled")


async def test_out_of_hours_order_fills_at_the_next_open(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        trade = client.placeOrder(AAPL, MarketOrder("BUY", 100))
        await until(lambda: trade.orderStatus.status == "PreSubmitted", "order rests")
        assert [entry.errorCode for entry in trade.log if entry.errorCode] == [399]
        simulator.broker.advance(OPEN)
        await until(lambda: trade.orderStatus.status == "Filled", "filled at the open")
        assert trade.fills[0].execution.time == OPEN
        (position,) = client.positions()
        await until(lambda: client.portfolio(), "portfolio sent")
        assert (position.position, position.avgCost) == (100, pytest.approx(trade.fills[0].execution.price + 0.01))


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (LimitOrder("BUY", 100, 200.001), 110),
        (MarketOrder("BUY", 1_000_000), 201),
        (MarketOrder("BUY", 0), 434),
        (LimitOrder("BUY", 1, 200, tif="GTX"), 201),
        (LimitOrder("BUY", 1, 200, account="DU9"), 321),
        (LimitOrder("BUY", 1, 200, parentId=77), 135),
    ],
)
async def test_refused_orders(tmp_path: Path, order: LimitOrder, code: int) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        simulator.broker.advance(OPEN)
        trade = client.placeOrder(AAPL, order)
        await until(lambda: code in [entry.errorCode for entry in trade.log], f"error {code}")
        assert not simulator.engine.book.live()


async def test_unknown_contract_and_unknown_cancel(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client:
        errors: list[int] = []
        client.errorEvent += lambda _id, code, _text, _contract: errors.append(code)
        client.placeOrder(Stock("NOPE", "SMART", "USD"), MarketOrder("BUY", 1))
        client.client.cancelOrder(999)
        await until(lambda: errors == [200, 10147], "both refused")
