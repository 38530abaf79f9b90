"""The Web API's WebSocket: with a plain client, and with ibind's own."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

from ib_async import MarketOrder
from ibind import IbkrWsClient, QueueSink, events
from ibind.ibkr_ws.ibkr_subscriptions import MarketDataSubscription, OrdersSubscription, TradesSubscription

from tests.component.simulator.simulation import AAPL as STOCK
from tests.component.simulator.simulation import OPEN, connected, until
from tests.component.simulator.web_client import AAPL, ACCOUNT, web


async def test_a_stream_begins_with_the_state_of_the_log_in(tmp_path: Path) -> None:
    async with web(tmp_path) as api, api.stream() as heard:
        assert (await heard.until("sts"))["args"]["authenticated"] is True
        assert [message["topic"] for message in heard.messages] == ["system", "act", "sts"]
        assert heard.messages[1]["args"]["accounts"] == [ACCOUNT]


async def test_market_data_begin_whole_and_go_on_with_what_changes(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        api.simulator.broker.advance(OPEN + timedelta(minutes=5))
        async with api.stream(f'smd+{AAPL}+{{"fields":["31","84","55"]}}') as heard:
            first = await heard.until(f"smd+{AAPL}")
            assert {"31", "84", "55", "6509"} <= first.keys()
            api.simulator.broker.advance(OPEN + timedelta(minutes=6))
            second = await heard.until(f"smd+{AAPL}")
            assert "55" not in second
            quote = api.simulator.engine.market.quote(AAPL, api.simulator.engine.now)
            assert quote is not None
            assert second["31"] == str(quote.last)
            assert second["_updated"] == int(api.simulator.engine.now.timestamp() * 1000)
            await heard.socket.send(f"umd+{AAPL}+{{}}")
            await heard.all_due()
            api.simulator.broker.advance(OPEN + timedelta(minutes=7))
            assert await heard.all_due() == []
            assert not api.simulator.broker.sessions[2**31 - 1].data.quotes


async def test_orders_and_trades_of_all_clients_are_told(tmp_path: Path) -> None:
    async with web(tmp_path) as api, connected(api.simulator) as client:
        api.simulator.broker.advance(OPEN + timedelta(minutes=5))
        await api.place(coid="before")
        async with api.stream("sor+{}", "str+{}", "spl+{}") as heard:
            assert (await heard.until("sor"))["args"][0]["order_ref"] == "before"
            assert (await heard.until("str"))["args"][0]["order_ref"] == "before"
            client.placeOrder(STOCK, MarketOrder("BUY", 10, orderRef="theirs"))
            trade = await heard.until("str", order_ref="theirs")
            assert "commission" not in trade["args"][0]
            assert (await heard.until("sor", order_ref="theirs", status="Filled"))["args"][0]["filledQuantity"] == 10.0
            await api.place(coid="ours", order_type="LMT", price=100)
            await heard.until("sor", order_ref="ours", status="Submitted")
            api.simulator.broker.advance(OPEN + timedelta(minutes=6))
            assert f"{ACCOUNT}.Core" in (await heard.until("spl"))["args"]
            await heard.socket.send("uor+{}")
            await api.ask("cancel_order", (await api.orders())["ours"]["orderId"])
            assert not [message for message in await heard.all_due() if message["topic"] == "sor"]


async def test_a_subscription_that_cannot_be_is_answered_with_an_error(tmp_path: Path) -> None:
    async with web(tmp_path) as api, api.stream("smd+12345+{}", "smd+x+{}", "nothing", "ssd+DU7", "smd+1+[") as heard:
        found = [message for message in await heard.all_due() if "error" in message]
        assert [message["topic"] for message in found] == ["smd+12345", "smd+x", "nothing", "ssd+DU7", "smd+1"]


async def test_market_data_asked_for_while_logged_out_are_refused_and_can_be_had_later(tmp_path: Path) -> None:
    async with web(tmp_path) as api, api.stream() as heard:
        await heard.until("sts")
        await api.ask("logout")
        await heard.socket.send(f"smd+{AAPL}+{{}}")
        assert (await heard.until(f"smd+{AAPL}"))["code"] == 401
        await api.ask("initialize_brokerage_session")
        await heard.socket.send(f'smd+{AAPL}+{{"fields":["31"]}}')
        assert "6509" in await heard.until(f"smd+{AAPL}")


async def test_executions_of_earlier_days_are_told_on_demand(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        api.simulator.broker.advance(OPEN + timedelta(minutes=5))
        await api.place()
        api.simulator.broker.advance(OPEN + timedelta(days=1))
        for wanted, found in (("{}", []), ('{"days":2}', ["one"])):
            async with api.stream(f"str+{wanted}") as heard:
                assert [row["order_ref"] for row in (await heard.until("str"))["args"]] == found
        async with api.stream('str+{"days":2,"realtimeUpdatesOnly":true}') as heard:
            assert not [message for message in await heard.all_due() if message["topic"] == "str"]


async def test_balances_and_history_come_over_the_stream(tmp_path: Path) -> None:
    subscriptions = f"ssd+{ACCOUNT}+{{}}", f"sld+{ACCOUNT}+{{}}", f'smh+{AAPL}+{{"period":"2d","bar":"1d"}}'
    async with web(tmp_path) as api, api.stream(*subscriptions) as heard:
        summary = await heard.until(f"ssd+{ACCOUNT}")
        assert {"key": "AccountCode", "value": ACCOUNT}.items() <= summary["result"][0].items()
        ledger = await heard.until(f"sld+{ACCOUNT}")
        assert [row["key"] for row in ledger["result"]] == ["LedgerListBASE", "LedgerListUSD"]
        assert len((await heard.until(f"smh+{AAPL}"))["data"]) == 2


async def test_ibinds_own_client_streams(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        api.simulator.broker.advance(OPEN + timedelta(minutes=5))
        sink: Any = QueueSink()
        client = IbkrWsClient(ACCOUNT, f"ws://{api.address}/ws", ibkr_client=api.client, sink=sink)
        kinds = (events.MarketData, events.Orders, events.Trades)
        queues = {kind: sink.new_queue_accessor(kind) for kind in kinds}
        assert await asyncio.to_thread(client.start)
        try:
            wanted = (
                MarketDataSubscription(conid=str(AAPL), fields=["31"]),
                OrdersSubscription(),
                TradesSubscription(),
            )
            handles = [client.subscribe(one) for one in wanted]
            assert await asyncio.to_thread(client.wait_all, handles, 10) == []
            await api.place(coid="streamed")
            found: dict[Any, list[Any]] = {kind: [] for kind in kinds}

            def complete() -> bool:
                for kind, queue in queues.items():
                    while not queue.empty():
                        found[kind].append(queue.get())
                return all("streamed" in str(found[kind]) for kind in kinds[1:]) and bool(found[events.MarketData])

            await until(complete, "order, trade and quote")
        finally:
            await asyncio.to_thread(client.shutdown)
