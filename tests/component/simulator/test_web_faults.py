"""What can go wrong over the Web API: limits, the log-in, the link to IBKR, and rules about messages."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from ibind import ExternalBrokerError

from services.simulator.app import Simulator
from services.simulator.entitlement import Access
from services.simulator.faults import Script
from services.simulator.faults.effects import Close, Cut, FarmState, HalfOpen, Link, MarketDataAccess
from services.simulator.web.limits import RequestRate
from tests.component.simulator.simulation import OPEN, make_settings, until
from tests.component.simulator.web_client import AAPL, ACCOUNT, Web, web

_FAR = {"order_type": "LMT", "price": 100, "tif": "GTC"}


async def opened(api: Web) -> None:
    api.simulator.broker.advance(OPEN + timedelta(minutes=5))


def add(api: Web, when: dict[str, Any], *do: dict[str, Any]) -> None:
    api.simulator.faults.add(Script.model_validate({"rule": [{"when": when, "do": do}]}))


async def status_of(api: Web) -> tuple[bool, bool, bool]:
    found = await api.ask("authentication_status")
    return found["authenticated"], found["competing"], found["connected"]


def test_ten_requests_a_second_and_fewer_to_some_paths() -> None:
    rate = RequestRate(active=True)
    assert [rate.admits("/iserver/accounts", 0) for _ in range(11)] == [True] * 10 + [False]
    assert rate.admits("/iserver/accounts", 1)
    assert rate.admits("/iserver/account/orders", 1)
    assert not rate.admits("/iserver/account/orders", 5.9)
    assert rate.admits("/iserver/account/orders", 6)
    assert all(RequestRate(active=False).admits("/iserver/account/orders", 0) for _ in range(50))


async def test_a_port_that_is_taken_is_said_and_nothing_is_left_open(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        other = Simulator(make_settings(web_port=api.simulator.web_port), None)
        with pytest.raises(OSError, match="in use"):
            async with other.serving():
                pass
        with pytest.raises(RuntimeError, match="not served"):
            _ = other.web_port
        other.close()


async def test_a_request_too_many_is_answered_with_429(tmp_path: Path) -> None:
    async with web(tmp_path, limited=True, accounts_read=False) as api, httpx.AsyncClient() as client:
        url = f"http://{api.address}/iserver/account/pnl/partitioned"
        assert [(await client.get(url)).status_code for _ in range(2)] == [200, 429]


async def test_after_a_log_out_everything_else_is_refused(tmp_path: Path) -> None:
    async with web(tmp_path) as api, api.stream("sor+{}") as heard:
        await heard.until("sor")
        await api.ask("logout")
        assert await status_of(api) == (False, False, False)
        with pytest.raises(ExternalBrokerError, match="not authenticated"):
            await api.ask("live_orders")
        assert (await heard.until("sts", authenticated=False))["args"]["connected"] is False
        async with api.stream() as late:
            await late.until("sts")
            assert late.messages[0] == {"message": "waiting for session"}
        await api.ask("initialize_brokerage_session")
        assert await status_of(api) == (True, False, True)
        with pytest.raises(ExternalBrokerError, match="query /accounts first"):
            await api.ask("live_orders")


async def test_a_competing_log_in_takes_the_session_until_it_is_taken_back(tmp_path: Path) -> None:
    async with web(tmp_path) as api, api.stream() as heard:
        await heard.until("sts")
        api.simulator.faults.fire(MarketDataAccess(access=Access.COMPETING))
        assert await status_of(api) == (False, True, True)
        await heard.until("sts", competing=True)
        with pytest.raises(ExternalBrokerError, match="401"):
            await api.ask("live_orders")
        await api.ask("initialize_brokerage_session", False)
        assert await status_of(api) == (False, True, True)
        await api.ask("initialize_brokerage_session", True)
        assert await status_of(api) == (True, False, True)


async def test_without_the_link_an_order_waits_and_the_rest_is_unavailable(tmp_path: Path) -> None:
    async with web(tmp_path) as api, api.stream("sor+{}") as heard:
        await opened(api)
        await heard.until("sor")
        api.simulator.faults.fire(Link(up=False))
        await heard.until("sts", connected=False)
        with pytest.raises(ExternalBrokerError, match="503"):
            await api.ask("positions")
        placing = asyncio.create_task(api.place(**_FAR))
        with pytest.raises(ExternalBrokerError, match="503"):
            await api.ask("account_profit_and_loss")
        assert not placing.done()
        api.simulator.faults.fire(Link(up=True))
        assert (await placing)["order_status"] == "Submitted"
        await heard.until("sor", order_ref="one", status="Submitted")
        assert await status_of(api) == (True, False, True)


async def test_orders_that_wait_for_the_link_are_each_placed_once(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        await api.ask("suppress_messages", ["o163"])
        api.simulator.faults.fire(Link(up=False))
        add(api, {"receives": "placeOrder", "times": 2}, {"effect": "deliver"})  # only counts
        url = f"http://{api.address}/iserver/account/{ACCOUNT}/orders"
        body = {"orderType": "LMT", "price": 100, "tif": "GTC", "side": "BUY", "quantity": 1, "conid": AAPL}
        async with httpx.AsyncClient() as client:
            bodies = [{"orders": [{**body, "cOID": name}]} for name in ("one", "two")]
            placing = [asyncio.create_task(client.post(url, json=each)) for each in bodies]
            await until(lambda: api.simulator.faults.rules()[0]["fired"] == 2, "both wait")
            again = await client.post(url, json=bodies[0])
            assert "already registered" in again.json()["error"]
            api.simulator.faults.fire(Link(up=True))
            answers = [(await each).json()[0] for each in placing]
        assert [answer["local_order_id"] for answer in answers] == ["one", "two"]
        assert sorted(one.request.order_ref for one in api.simulator.engine.book.live()) == ["one", "two"]


async def test_lost_market_data_come_back_by_themselves(tmp_path: Path) -> None:
    async with web(tmp_path) as api, api.stream(f'smd+{AAPL}+{{"fields":["31"]}}') as heard:
        await opened(api)
        await heard.until(f"smd+{AAPL}")
        api.simulator.faults.fire(Link(up=False))
        api.simulator.faults.fire(Link(up=True, data_lost=True))
        await heard.all_due()
        api.simulator.broker.advance(OPEN + timedelta(minutes=9))
        assert "31" in await heard.until(f"smd+{AAPL}")


async def test_a_broken_farm_silences_quotes_and_history(tmp_path: Path) -> None:
    async with web(tmp_path) as api, api.stream(f'smd+{AAPL}+{{"fields":["31"]}}') as heard:
        await opened(api)
        await heard.until(f"smd+{AAPL}")
        api.simulator.faults.fire(FarmState(farm="usfarm", up=False))
        api.simulator.faults.fire(FarmState(farm="ushmds", up=False))
        await heard.all_due()
        api.simulator.broker.advance(OPEN + timedelta(minutes=9))
        assert await heard.all_due() == []
        with pytest.raises(ExternalBrokerError, match="503"):
            await api.ask("marketdata_history_by_conid", str(AAPL), "5min", None, "1h")


async def test_data_that_are_not_subscribed_are_marked_and_delayed_ones_too(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        api.simulator.broker.advance(OPEN + timedelta(minutes=30))
        for access, expected in ((Access.NOT_SUBSCRIBED, "N"), (Access.DELAYED, "DPB"), (Access.LIVE, "RpB")):
            api.simulator.faults.fire(MarketDataAccess(access=access))
            await api.ask("live_marketdata_snapshot", str(AAPL), ["31"])
            (row,) = await api.ask("live_marketdata_snapshot", str(AAPL), ["31"])
            assert (row["6509"], "31" in row) == (expected, expected != "N")
            await api.ask("marketdata_unsubscribe_all")


async def test_a_cut_closes_websockets_and_a_half_open_one_falls_silent(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        async with api.stream("sor+{}") as heard:
            await heard.until("sor")
            api.simulator.faults.fire(Cut())
            with pytest.raises(websockets.ConnectionClosedError):
                await heard.until("never")
        async with api.stream("sor+{}") as silent:
            await silent.until("sor")
            api.simulator.faults.fire(HalfOpen())
            async with api.stream("sor+{}") as heard:
                await heard.until("sor")
                await opened(api)
                await api.place()
                await heard.until("sor", status="Filled")
            await silent.socket.send("tic")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(silent.socket.recv(), 0.2)


async def test_close_ends_the_log_in_and_orders_stay(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        await api.place(**_FAR)
        api.simulator.faults.fire(Close())
        assert await status_of(api) == (False, False, False)
        await api.ask("initialize_brokerage_session")
        await api.ask("receive_brokerage_accounts")
        assert (await api.orders())["one"]["status"] == "Submitted"


async def test_a_rule_rejects_an_order_of_the_web_api(tmp_path: Path) -> None:
    async with web(tmp_path) as api, api.stream("sor+{}") as heard:
        await opened(api)
        await heard.until("sor")
        add(
            api,
            {"receives": "placeOrder", "order_ref": "o*"},
            {"effect": "drop"},
            {"effect": "reject", "text": "Not today"},
        )
        with pytest.raises(ExternalBrokerError, match="Not today"):
            await api.place()
        row = (await heard.until("sor", status="Inactive"))["args"][0]
        assert (row["order_ref"], row["text"]) == ("one", "Not today")
        assert not api.simulator.engine.book.orders


async def test_an_order_that_becomes_inactive_without_any_error(tmp_path: Path) -> None:
    async with web(tmp_path, scenario="silent-inactive") as api, api.stream("sor+{}") as heard:
        await opened(api)
        await heard.until("sor")
        placing = asyncio.create_task(api.place())
        row = (await heard.until("sor", status="Inactive"))["args"][0]
        assert row["order_ref"] == "one"
        assert not api.simulator.engine.book.orders
        await api.ask("tickle")
        placing.cancel()


async def test_an_execution_that_is_held_is_told_when_it_is_released(tmp_path: Path) -> None:
    async with web(tmp_path) as api, api.stream("sor+{}", "str+{}") as heard:
        await opened(api)
        await heard.all_due()
        add(api, {"sends": "execDetails"}, {"effect": "hold", "until": "release"})
        await api.place()
        assert not [message for message in await heard.all_due() if message["topic"] == "str"]
        api.simulator.faults.release()
        await heard.until("str", order_ref="one")


async def test_an_order_that_is_lost_leaves_its_caller_without_an_answer(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        await opened(api)
        add(api, {"receives": "placeOrder"}, {"effect": "drop"})
        placing = asyncio.create_task(api.place())
        await until(lambda: api.simulator.faults.rules()[0]["fired"] == 1, "the order arrived")
        await api.ask("tickle")
        assert not placing.done()
        assert not api.simulator.engine.book.orders
        api.simulator.faults.fire(Close())  # lets go of those who wait
        with pytest.raises(ExternalBrokerError, match="503"):
            await placing


async def test_a_wrong_clock_shows_in_the_answers(tmp_path: Path) -> None:
    async with web(tmp_path) as api, httpx.AsyncClient() as client:
        api.simulator.faults.world.skew = 3600
        answer = await client.get(f"http://{api.address}/iserver/account/{ACCOUNT}/nothing")
        assert answer.status_code == 404
        answer = await client.get(f"http://{api.address}/tickle")
        assert answer.headers["date"] == "Mon, 04 Jan 2010 15:00:00 GMT"


@pytest.mark.parametrize("body", ["[1]", "{", '"text"', "[[[[" * 10_000])
async def test_a_body_that_is_no_object_is_refused(tmp_path: Path, body: str) -> None:
    async with web(tmp_path) as api, httpx.AsyncClient() as client:
        answer = await client.post(f"http://{api.address}/iserver/account/{ACCOUNT}/orders", content=body)
        assert (answer.status_code, "error" in answer.json()) == (400, True)


_ODD_ORDERS: list[Any] = [
    {}, {"conid": AAPL}, {"conid": [1], "side": "BUY", "quantity": 1, "orderType": "MKT"},
    {"conid": 10**30, "side": "BUY", "quantity": 1, "orderType": "MKT"},
    {"conidex": "28812380;;;1/1,2/-1", "side": "BUY", "quantity": 1, "orderType": "MKT"},
    {"conidex": f"28812380;;;{AAPL}/0,8314/-1", "side": "BUY", "quantity": 1, "orderType": "MKT"},
    {"conidex": f"28812380;;;{AAPL}/1", "side": "BUY", "quantity": 1, "orderType": "LMT", "price": 1},
    {"conidex": "1;;;", "side": "BUY", "quantity": 1, "orderType": "MKT"},
    {"conid": AAPL, "side": "BUY", "quantity": "NaN", "orderType": "MKT"},
    {"conid": AAPL, "side": "BUY", "quantity": -1, "orderType": "MKT"},
    {"conid": AAPL, "side": "BUY", "quantity": 10**17, "orderType": "LMT", "price": 10**17},
    {"conid": AAPL, "side": "BUY", "quantity": 1, "orderType": "MKT", "cOID": "a\0b"},
    {"conid": AAPL, "side": "BUY", "quantity": 1, "orderType": {"a": 1}, "tif": ["DAY"]},
    {"conid": AAPL, "side": "BUY", "quantity": 1, "orderType": "TRAIL", "trailingAmt": 200, "trailingType": "%"},
    {"conid": AAPL, "side": "BUY", "quantity": 1, "orderType": "LMT", "price": True},
    {"conid": AAPL, "side": "BUY", "quantity": 1, "orderType": "MKT", "cOID": "self", "parentId": "self"},
]  # fmt: skip


async def test_odd_orders_are_refused_and_the_log_in_goes_on(tmp_path: Path) -> None:
    async with web(tmp_path) as api, httpx.AsyncClient() as client:
        await opened(api)
        await api.ask("suppress_messages", ["o163", "o10151", "o10331"])
        url = f"http://{api.address}/iserver/account/{ACCOUNT}/orders"
        for body in _ODD_ORDERS:
            answer = await client.post(url, json={"orders": [body]})
            assert answer.status_code in (200, 400), body
            assert "error" in answer.json(), (body, answer.json())
        pair = [{**_ODD_ORDERS[-1], "cOID": name, "parentId": other} for name, other in (("a", "b"), ("b", "a"))]
        assert "own child" in (await client.post(url, json={"orders": pair})).json()["error"]
        assert not api.simulator.engine.book.live()
        assert await status_of(api) == (True, False, True)


async def test_odd_words_over_the_stream_are_answered_or_ignored(tmp_path: Path) -> None:
    words = [
        "",
        "+",
        "smd",
        "smd+",
        f"smd+{AAPL}+[]",
        f'smd+{AAPL}+{{"fields":{{}}}}',
        "str+{",
        "umd+7",
        "umh",
        "\0",
        "x" * 5000,
    ]
    async with web(tmp_path) as api, api.stream(*words) as heard:
        await heard.socket.send(b"\xff\x00")
        await heard.all_due()
        assert await status_of(api) == (True, False, True)
