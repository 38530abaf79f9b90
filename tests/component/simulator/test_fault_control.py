"""Faults through the control port and from Python: added, listed, counted, fired at once, and gone after a restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from ib_async import LimitOrder, MarketOrder
from starlette.applications import Starlette

from services.simulator.app import Simulator
from services.simulator.control import account_state
from services.simulator.faults import Script
from tests.component.simulator.simulation import AAPL, CLOSE, OPEN, connected, running, until


@asynccontextmanager
async def control_of(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=list(simulator.routes)))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as control:
        yield control


def listening(client: Any) -> list[tuple[int, int]]:
    errors: list[tuple[int, int]] = []
    client.errorEvent += lambda request_id, code, _text, _contract: errors.append((request_id, code))
    return errors


async def test_a_rule_is_added_counted_and_removed(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client, control_of(simulator) as control:
        simulator.broker.advance(OPEN)
        errors = listening(client)
        rule = {
            "name": "mine",
            "when": {"sends": "orderStatus", "order_ref": "marked-*", "nth": 2, "times": 2},
            "do": [{"effect": "error", "code": 10349, "text": "about {order_id}"}],
        }
        assert (await control.post("/faults", json=rule)).json() == {"added": [1]}
        session = simulator.broker.sessions[1]
        assert session.filter is not None
        for reference in ("marked-1", "other", "marked-2", "marked-3", "marked-4"):
            client.placeOrder(AAPL, LimitOrder("BUY", 1, 100, tif="DAY", orderRef=reference))
        await client.reqCurrentTimeAsync()
        orders = {order.request.order_ref: order.request.order_id for order in simulator.engine.book.live()}
        assert errors == [(orders["marked-2"], 10349), (orders["marked-3"], 10349)]
        (listed,) = (await control.get("/faults")).json()["rules"]
        assert (listed["name"], listed["matched"], listed["fired"], listed["spent"]) == ("mine", 3, 2, True)
        assert listed["do"][0] == {"effect": "error", "code": 10349, "text": "about {order_id}", "id": None}
        assert session.filter is None, "a rule that is spent costs nothing more"
        assert (await control.delete("/faults")).json() == {"rules": []}


async def test_effects_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client, control_of(simulator) as control:
        errors = listening(client)
        await control.post("/faults/farm", json={"up": False})
        await control.post("/faults/link", json={"up": False})
        assert simulator.broker.sessions[1].filter is not None
        await control.post("/faults/link", json={"up": True, "data_lost": True})
        await control.post("/faults/farm", json={"up": True})
        assert simulator.broker.sessions[1].filter is None
        await until(lambda: [code for _, code in errors] == [2103, 1100, 1101, 2104], "all told")
        await control.post("/faults/edit-position", json={"symbol": "IBM", "quantity": -5, "average_price": "130"})
        await until(lambda: [one.position for one in client.positions()] == [-5], "position told")
        await control.post("/faults/manual-order", json={"symbol": "IBM", "action": "BUY", "quantity": "5"})
        simulator.broker.advance(OPEN)
        simulator.broker.advance(CLOSE)
        await until(lambda: not client.positions(), "bought back by hand")
        (execution,) = (await control.get("/executions")).json()
        assert (execution["client_id"], execution["order_id"], execution["shares"]) == (0, -1, "5")
        assert (await control.get("/positions")).json()["DU1000001"]["IBM"]["quantity"] == "0"
        await control.post("/faults/cut")
        await until(lambda: not client.isConnected(), "cut")


async def test_everything_is_mended_by_delete(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, connected(simulator) as client, control_of(simulator) as control:
        simulator.broker.advance(OPEN)
        ticker = client.reqMktData(AAPL)
        await until(ticker.hasBidAsk, "quotes")
        simulator.faults.add(
            Script.model_validate(
                {
                    "rule": [
                        {"do": [{"effect": "farm", "up": False}, {"effect": "clock-skew", "seconds": 60}]},
                        {"do": [{"effect": "access", "access": "competing"}, {"effect": "link", "up": False}]},
                        {"when": {"receives": "placeOrder"}, "do": [{"effect": "hold", "until": "release"}]},
                    ]
                }
            )
        )
        trade = client.placeOrder(AAPL, LimitOrder("BUY", 1, 100, tif="DAY"))
        before = ticker.time
        simulator.broker.advance(CLOSE)
        assert await client.reqCurrentTimeAsync() != simulator.engine.now
        assert (simulator.engine.received, ticker.time) == ([], before)
        await control.delete("/faults")
        await until(lambda: trade.orderStatus.status == "PreSubmitted", "order carried out")
        assert await client.reqCurrentTimeAsync() == simulator.engine.now
        simulator.broker.advance(CLOSE.replace(day=5))
        await until(lambda: ticker.time != before, "quotes again")


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "/faults", b"nonsense", "body"),
        ("POST", "/faults", b"[]", "dict"),
        ("POST", "/faults", b'{"do": [{"effect": "melt"}]}', "melt"),
        ("POST", "/faults", b'{"when": {"sends": "nothing"}, "do": [{"effect": "drop"}]}', "did you mean"),
        ("POST", "/faults", b'{"scenario": "no-such"}', "no-such"),
        ("POST", "/faults/melt", b"{}", "melt"),
        ("POST", "/faults/drop", b"", "needs a message"),
        ("POST", "/faults/edit-position", b'{"symbol": "NOPE", "quantity": 1, "average_price": 1}', "NOPE"),
    ],
)
async def test_nonsense_is_refused(tmp_path: Path, method: str, path: str, body: bytes, message: str) -> None:
    async with running(tmp_path) as simulator, control_of(simulator) as control:
        answer = await control.request(method, path, content=body)
        assert answer.status_code == 400
        assert message in answer.json()["error"]
        assert (await control.get("/faults")).json() == {"rules": []}


async def test_scenarios_by_name(tmp_path: Path) -> None:
    async with running(tmp_path) as simulator, control_of(simulator) as control:
        names = (await control.get("/scenarios")).json()
        assert "nightly-reset" in names
        assert (await control.post("/faults", json={"scenario": "nightly-reset"})).status_code == 201
        assert [rule["name"] for rule in (await control.get("/faults")).json()["rules"]] == ["reset"]


async def test_messages_held_for_a_new_connection_reach_it(tmp_path: Path) -> None:
    rule = {"when": {"sends": "execDetails"}, "do": [{"effect": "hold", "until": "reconnect"}]}
    async with running(tmp_path) as simulator:
        simulator.broker.advance(OPEN)
        simulator.faults.add(Script.model_validate({"rule": [rule]}))
        async with connected(simulator) as client:
            trade = client.placeOrder(AAPL, MarketOrder("BUY", 10, tif="DAY"))
            await client.reqCurrentTimeAsync()
            simulator.broker.advance(CLOSE)
            await until(lambda: trade.orderStatus.status == "Filled", "status")
            assert client.fills() == []
        await until(lambda: not simulator.broker.sessions, "left")
        live: list[int] = []
        decode = client.wrapper.execDetails
        client.wrapper.execDetails = lambda request_id, *rest: (live.append(request_id), decode(request_id, *rest))
        await client.connectAsync("127.0.0.1", simulator.port, clientId=1)
        assert live.count(-1) == 1, "besides the answer to the client's own request"
        assert len(client.fills()) == 1
        client.disconnect()


async def test_two_rules_and_their_order(tmp_path: Path) -> None:
    script = {
        "rule": [
            {"when": {"receives": "reqCurrentTime", "nth": 2}, "do": [{"effect": "drop"}]},
            {"when": {"sends": "currentTime", "times": 0}, "do": [{"effect": "replace", "fields": {"time": "1000"}}]},
        ]
    }
    async with running(tmp_path) as simulator, connected(simulator) as client:
        simulator.faults.add(Script.model_validate(script))
        assert (await client.reqCurrentTimeAsync()).timestamp() == 1000
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reqCurrentTimeAsync(), 0.2)
        assert (await client.reqCurrentTimeAsync()).timestamp() == 1000


async def test_faults_that_change_the_books_survive_a_restart_once(tmp_path: Path) -> None:
    script = {
        "rule": [
            {
                "when": {"at": "2010-01-04T15:00:00Z"},
                "do": [
                    {"effect": "manual-order", "symbol": "AAPL", "action": "BUY", "quantity": 10},
                    {"effect": "wait", "virtual_seconds": 600},
                    {"effect": "correct", "price": 200},
                    {"effect": "edit-position", "symbol": "IBM", "quantity": 7, "average_price": 100},
                ],
            }
        ]
    }
    path = tmp_path / "script.toml"
    states: list[object] = []
    path.write_text(_toml(script))
    for _ in range(2):
        async with running(tmp_path, scenario=str(path)) as simulator:
            simulator.broker.advance(CLOSE)
            assert len(simulator.engine.executions) == 2, "the fill and its correction"
            states.append(account_state(simulator.broker))
    assert states[0] == states[1]


def _toml(script: dict[str, Any]) -> str:
    """The one script of this test, as a file has it."""
    (rule,) = script["rule"]
    effects = ",\n".join(
        "{ " + ", ".join(f"{key} = {value!r}" for key, value in effect.items()) + " }" for effect in rule["do"]
    )
    return f"[[rule]]\nwhen = {{ at = {rule['when']['at']} }}\ndo = [\n{effects}\n]\n"
