"""Orders over the Web API, placed by ibind: questions, families, changes, refusals, lists."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ib_async import LimitOrder, MarketOrder
from ibind import ExternalBrokerError

from services.simulator.entitlement import Access
from services.simulator.faults.effects import MarketDataAccess
from tests.component.simulator.simulation import AAPL as STOCK
from tests.component.simulator.simulation import CLOSE, OPEN, connected, make_settings, until
from tests.component.simulator.web_client import AAPL, ACCOUNT, YES, Web, order, web

_FAR = {"order_type": "LMT", "price": 100, "tif": "GTC"}
"""A limit far below the market: it rests, after a question."""


async def opened(api: Web) -> None:
    api.simulator.broker.advance(OPEN + timedelta(minutes=5))


async def test_a_market_order_fills_in_the_book_that_tws_clients_see(tmp_path: Path) -> None:
    async with web(tmp_path) as api, connected(api.simulator) as client:
        await opened(api)
        placed = await api.place()
        assert (placed["local_order_id"], placed["order_status"]) == ("one", "Filled")
        row = (await api.orders())["one"]
        assert (str(row["orderId"]), row["filledQuantity"], row["remainingQuantity"]) == (
            placed["order_id"],
            100.0,
            0.0,
        )
        (trade,) = await api.ask("trades")
        assert (trade["order_ref"], trade["side"], trade["size"], trade["commission"]) == ("one", "B", 100.0, "1.00")
        (execution,) = api.simulator.engine.executions
        assert trade["trade_time_r"] == int(execution.time.timestamp() * 1000)
        assert (trade["execution_id"], trade["price"]) == (execution.execution_id, str(execution.price))
        await until(lambda: client.positions(), "the TWS client sees the position")
        assert [fill.execution.orderRef for fill in await client.reqExecutionsAsync()] == ["one"]


async def test_orders_of_tws_clients_are_listed_and_can_be_cancelled(tmp_path: Path) -> None:
    async with web(tmp_path) as api, connected(api.simulator) as client:
        await opened(api)
        trade = client.placeOrder(STOCK, LimitOrder("BUY", 10, 100, orderRef="theirs"))
        await until(lambda: trade.orderStatus.status == "Submitted", "submitted")
        row = (await api.orders())["theirs"]
        await api.ask("cancel_order", row["orderId"])
        await until(lambda: trade.orderStatus.status == "Cancelled", "cancelled")


async def test_questions_come_one_after_the_other(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        stop = {"orderType": "STOP_LIMIT", "price": 300, "auxPrice": 250, "side": "BUY", "quantity": 1, "conid": AAPL}
        path = f"iserver/account/{ACCOUNT}/orders"
        (first,) = await api.ask("post", path, {"orders": [stop]})
        assert first["messageIds"] == ["o10331"]
        assert first["isSuppressed"] is False
        (second,) = await api.ask("reply", first["id"], True)
        assert second["messageIds"] == ["o163"]
        assert "price exceeds" in second["message"][0]
        assert not api.simulator.engine.book.orders, "nothing is placed before the last answer"
        (placed,) = await api.ask("reply", second["id"], True)
        assert placed["order_status"] == "PreSubmitted"
        with pytest.raises(ExternalBrokerError, match="no question of that id"):
            await api.ask("reply", second["id"], True)


async def test_a_declined_question_discards_the_order_and_suppressed_ones_are_not_asked(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        path, market = (
            f"iserver/account/{ACCOUNT}/orders",
            {"orders": [{"orderType": "MKT", "side": "BUY", "quantity": 1, "conid": AAPL}]},
        )
        (question,) = await api.ask("post", path, market)
        assert question["messageIds"] == ["o10151"]
        assert "error" in await api.ask("reply", question["id"], False)
        assert not api.simulator.engine.book.orders
        await api.ask("suppress_messages", ["o10151"])
        assert (await api.ask("post", path, market))[0]["order_status"] == "Filled"
        await api.ask("reset_suppressed_messages")
        assert (await api.ask("post", path, market))[0]["messageIds"] == ["o10151"]


async def test_without_live_data_it_is_asked_first(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        api.simulator.faults.fire(MarketDataAccess(access=Access.DELAYED))
        body = {"orders": [{"orderType": "MKT", "side": "BUY", "quantity": 1, "conid": AAPL}]}
        (question,) = await api.ask("post", f"iserver/account/{ACCOUNT}/orders", body)
        assert question["messageIds"] == ["o354"]


async def test_a_client_id_can_be_used_once(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        await api.place()
        with pytest.raises(ExternalBrokerError, match="already registered"):
            await api.place()
        assert len(api.simulator.engine.executions) == 1


async def test_a_bracket_is_a_family_whose_first_fill_cancels_the_other_child(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        family = [
            order(coid="parent"),
            order(coid="profit", parent_id="parent", side="SELL", order_type="LMT", price=214.0, tif="GTC"),
            order(coid="loss", parent_id="parent", side="SELL", order_type="STP", price=100, tif="GTC"),
        ]
        rows = await api.ask("place_order", family, YES)
        assert [row["local_order_id"] for row in rows] == ["parent", "profit", "loss"]
        found = await api.orders()
        assert found["parent"]["status"] == "Filled"
        assert found["profit"]["parentId"] == found["loss"]["parentId"] == found["parent"]["orderId"]
        assert (found["profit"]["status"], found["loss"]["status"]) == ("Submitted", "PreSubmitted")
        api.simulator.broker.advance(CLOSE)
        found = await api.orders()
        assert (found["profit"]["status"], found["loss"]["status"]) == ("Filled", "Cancelled")


async def test_a_family_with_a_member_that_is_refused_is_not_placed(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        family = [
            order(coid="parent", **_FAR),
            order(coid="profit", parent_id="parent", side="SELL", order_type="LMT", price=214.001),
        ]
        with pytest.raises(ExternalBrokerError, match="minimum price variation"):
            await api.ask("place_order", family, YES)
        assert not api.simulator.engine.book.orders


async def test_orders_of_a_single_group_cancel_each_other(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        group = [order(coid="resting", is_single_group=True, **_FAR), order(coid="filling", is_single_group=True)]
        await api.ask("place_order", group, YES)
        found = await api.orders()
        assert (found["resting"]["status"], found["filling"]["status"]) == ("Cancelled", "Filled")


async def test_an_order_is_changed_and_cancelled_by_its_id(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        placed = await api.place(**_FAR)
        changed = await api.ask(
            "modify_order", placed["order_id"], order(**{**_FAR, "price": 101, "quantity": 50}), YES
        )
        assert changed["order_id"] == placed["order_id"]
        status = await api.ask("order_status", placed["order_id"])
        assert (status["limit_price"], status["total_size"], status["order_status"]) == ("101", "50.0", "Submitted")
        assert (await api.ask("cancel_order", placed["order_id"]))["msg"] == "Request was submitted"
        assert (await api.ask("order_status", placed["order_id"]))["order_status"] == "Cancelled"
        assert "cannot be cancelled" in (await api.ask("cancel_order", placed["order_id"]))["error"]
        assert "doesn't exist" in (await api.ask("cancel_order", "77"))["error"]
        with pytest.raises(ExternalBrokerError, match="cannot be changed"):
            await api.ask("modify_order", placed["order_id"], order(**_FAR), YES)
        await api.place(**{**_FAR, "coid": "two"})
        await api.ask("cancel_order", "-1")
        assert (await api.orders())["two"]["status"] == "Cancelled"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"quantity": 10**7}, "EQUITY WITH LOAN VALUE"),
        ({"order_type": "LMT", "price": 210.001}, "minimum price variation"),
        ({"quantity": 0.5}, "Fractional-sized"),
        ({"conid": 12345}, "no contract found"),
        ({"parent_id": "nobody"}, "is no order's cOID"),
        ({"side": "HOLD"}, "needs side"),
        ({"cash_qty": 100}, "cashQty is not simulated"),
        ({"order_type": "LMT", "price": "dear"}, "price 'dear' is not a number"),
    ],
)
async def test_an_order_that_cannot_be_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        with pytest.raises(ExternalBrokerError, match=reason):
            await api.place(**changes)
        assert all(not one.live for one in api.simulator.engine.book.orders.values())


async def test_an_order_that_margin_refuses_is_listed_as_inactive_with_its_text(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        with pytest.raises(ExternalBrokerError):
            await api.place(quantity=10**7)
        row = (await api.orders())["one"]
        assert row["status"] == "Inactive"
        assert "EQUITY WITH LOAN VALUE" in row["text"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"order_type": "STP", "side": "SELL", "price": 200}, {"aux_price": 200}),
        (
            {"order_type": "STOP_LIMIT", "side": "SELL", "price": 209, "aux_price": 210},
            {"aux_price": 210, "limit_price": 209},
        ),
        ({"order_type": "TRAIL", "side": "SELL", "trailing_amt": 2, "trailing_type": "amt"}, {"aux_price": 2}),
        ({"order_type": "TRAIL", "side": "SELL", "trailing_amt": 5, "trailing_type": "%"}, {"trailing_percent": 5}),
        ({"order_type": "MIDPRICE", "price": 213}, {"price_cap": 213}),
        ({"order_type": "MARKETONCLOSE"}, {"order_type": "MOC"}),
        ({**_FAR, "outside_rth": True}, {"outside_regular_hours": True, "time_in_force": "GTC"}),
    ],
)
async def test_terms_arrive_at_the_broker(tmp_path: Path, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        await api.place(**changes)
        (placed,) = api.simulator.engine.book.orders.values()
        assert {name: getattr(placed.request, name) for name in expected} == expected


async def test_a_combination_is_ordered_by_its_legs(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        options = await api.ask("search_secdef_info_by_conid", str(AAPL), "OPT", "FEB10", right="C")
        near, far = (next(one["conid"] for one in options if one["strike"] == strike) for strike in (210.0, 220.0))
        spread = f"28812380;;;{near}/1,{far}/-1"
        await api.place(conid=None, conidex=spread, quantity=1, order_type="LMT", price=9)
        row = (await api.orders())["one"]
        assert (row["conidex"], row["secType"], row["status"]) == (spread, "BAG", "Filled")
        trades = await api.ask("trades")
        assert {trade["conid"] for trade in trades} == {28812380, near, far}
        assert [("commission" in trade) for trade in trades] == [trade["conid"] != 28812380 for trade in trades]


async def test_a_preview_shows_margin_and_places_nothing(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        found = await api.ask("whatif_order", order())
        assert found["amount"]["commission"] == "1 USD"
        assert float(found["initial"]["after"].replace(",", "")) > 0
        assert not api.simulator.engine.book.orders
        assert "EQUITY" in (await api.ask("whatif_order", order(quantity=10**7)))["error"]


async def test_orders_outlive_a_restart(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        await api.place(coid="kept", **_FAR)
        await api.place(coid="done")
        before = await api.orders()
    async with web(tmp_path) as api:
        assert await api.orders() == before
        await api.ask("cancel_order", before["kept"]["orderId"])
        assert (await api.orders())["kept"]["status"] == "Cancelled"
        with pytest.raises(ExternalBrokerError, match="already registered"):
            await api.place(coid="done")


async def test_a_filtered_list_and_days_of_trades(tmp_path: Path) -> None:
    async with web(tmp_path) as api, connected(api.simulator) as client:
        await opened(api)
        await api.place(coid="kept", **_FAR)
        trade = client.placeOrder(STOCK, MarketOrder("BUY", 1))
        await until(trade.isDone, "filled")
        await api.orders()
        found = (await api.ask("live_orders", ["filled"]))["orders"]
        assert [row["status"] for row in found] == ["Filled"]
        api.simulator.broker.advance(CLOSE + timedelta(days=1))
        assert await api.ask("trades") == []
        assert len(await api.ask("trades", "3")) == 1
        assert list(await api.orders()) == ["kept"], "yesterday's filled order is gone"


def test_the_web_api_is_off_unless_it_is_set() -> None:
    assert make_settings().web_port is None
