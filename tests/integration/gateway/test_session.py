"""The gateway's session, with real Redis and PostgreSQL, against the simulated IB Gateway over its socket."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import psycopg
import pytest

from services.gateway import standing
from services.gateway.app import Gateway
from services.gateway.lease import LeaseTaken
from services.gateway.session import ClientIdTaken
from services.simulator.faults import load
from services.simulator.faults.effects import ClockSkew, Effect, FarmState, HalfOpen, Link, MarketDataAccess, Refuse
from services.simulator.faults.model import Rule, Script
from shared.messages.base import Message
from shared.messages.broker import (
    BrokerErrorReported,
    BrokerSnapshot,
    BrokerTime,
    ExecutionReported,
    SessionChanged,
)
from shared.messages.market_requests import Feed
from shared.types import Mode, SessionState
from tests.integration.gateway.desk import OPEN, Desk, Watch, order, until

DISCONNECTED, CONNECTING, AWAITING_LOGIN, SYNCHRONISING, READY, DEGRADED, COMPETING = SessionState
IN_RESET = datetime.fromisoformat("2010-01-05T00:30:00-05:00")


class Lost:
    """Counts how often market data were said to be lost."""

    def __init__(self, gateway: Gateway) -> None:
        self.times = 0
        gateway.session.standing.on_data_lost = self

    def __call__(self) -> None:
        self.times += 1


def fire(desk: Desk, *effects: Effect) -> None:
    for effect in effects:
        desk.simulator.faults.fire(effect)


async def changes(desk: Desk) -> list[SessionChanged]:
    return [event.data for event in await desk.events(SessionChanged)]


async def reached(desk: Desk, state: SessionState) -> None:
    """Wait until the newest state that was told is this one."""

    async def told() -> bool:
        return (await desk.states())[-1:] == [state]

    await until(told)


async def resynchronised(desk: Desk) -> bool:
    return len(await desk.events(BrokerSnapshot)) == 2 and (await desk.states())[-1] is READY


async def test_session_begins_with_a_full_snapshot_and_ends_with_a_word(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        assert await gateway.ready() is None
        assert await desk.states() == [CONNECTING, SYNCHRONISING, READY]
        (snapshot,) = await desk.events(BrokerSnapshot)
        assert snapshot.data.request_id is None
        assert (snapshot.data.account.account, snapshot.data.account.cash) == ("DU1000001", Decimal(1_000_000))
        (time,) = await desk.events(BrokerTime)
        assert time.data.now == desk.simulator.engine.now
        kinds = [event.type for event in await desk.events()]
        assert kinds.index("BrokerSnapshot") == len(kinds) - 2, "all is known before READY is told"
    last = (await changes(desk))[-1]
    assert (last.state, last.reason) == (DISCONNECTED, "the gateway has stopped")


async def test_broker_time_is_published_after_all_that_preceded_it(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        desk.advance()
        assert await gateway.session.beat() == OPEN
        last = (await desk.events())[-1]
        assert isinstance(last.data, BrokerTime)
        assert last.data.now == OPEN


async def test_a_lost_connection_is_one_story_and_everything_is_asked_again(desk: Desk) -> None:
    async with desk.gateway(reconnect_backoff_seconds=0.1) as gateway:
        lost = Lost(gateway)
        fire(desk, Refuse(seconds=10))  # half a second: many attempts
        desk.drop_clients()
        await reached(desk, CONNECTING)
        assert not gateway.session.linked.is_set()
        reason = await gateway.ready()
        assert reason is not None
        assert "CONNECTING since 2010-01-04T" in reason
        await reached(desk, READY)
        story = await changes(desk)
        assert [change.state for change in story[3:]] == [
            DISCONNECTED, CONNECTING, CONNECTING, SYNCHRONISING, READY
        ]  # fmt: skip
        assert "ConnectionRefused" in story[5].reason
        assert len(await desk.events(BrokerSnapshot)) == 2
        assert lost.times == 1


@pytest.mark.parametrize("data_lost", [False, True], ids=["1102", "1101"])
async def test_a_lost_link_is_waited_for_and_all_is_asked_again(desk: Desk, data_lost: bool) -> None:
    async with desk.gateway() as gateway:
        lost = Lost(gateway)
        fire(desk, Link(up=False))
        await reached(desk, DEGRADED)
        assert (gateway.session.ready.is_set(), gateway.session.linked.is_set()) == (False, False)
        assert "DEGRADED" in (await gateway.ready() or "")
        await gateway.session.beat()  # the gateway program itself answers
        fire(desk, Link(up=True, data_lost=data_lost))
        await reached(desk, READY)
        assert await desk.states() == [CONNECTING, SYNCHRONISING, READY, DEGRADED, SYNCHRONISING, READY]
        assert len(await desk.events(BrokerSnapshot)) == 2
        assert lost.times == data_lost


async def test_a_link_that_is_lost_at_the_start_is_waited_for_on_one_connection(desk: Desk) -> None:
    fire(desk, Link(up=False))
    async with desk.starting() as (gateway, _):
        await reached(desk, DEGRADED)
        told = await changes(desk)
        assert "broken" in told[-1].reason
        fire(desk, Link(up=True))
        await reached(desk, READY)
        assert (await desk.states())[-3:] == [DEGRADED, SYNCHRONISING, READY]
        assert (await desk.states()).count(CONNECTING) == 1
        assert gateway.session.linked.is_set()


async def test_a_farm_that_is_down_degrades_and_its_return_calls_for_the_data(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        lost = Lost(gateway)
        fire(desk, FarmState(farm="usfarm", up=False), FarmState(farm="ushmds", up=False))
        await reached(desk, DEGRADED)
        await until(lambda: "ushmds" in (gateway.session.not_ready() or ""))
        assert (gateway.session.ready.is_set(), gateway.session.linked.is_set()) == (False, True)
        fire(desk, FarmState(farm="usfarm", up=True))
        await until(lambda: "usfarm" not in (gateway.session.not_ready() or "usfarm"))
        assert not gateway.session.ready.is_set()
        fire(desk, FarmState(farm="ushmds", up=True))
        await reached(desk, READY)
        assert lost.times == 2
        assert len(await desk.events(BrokerSnapshot)) == 1, "orders were never out of reach"


async def test_an_outage_in_the_announced_hours_says_so(desk: Desk) -> None:
    desk.advance(IN_RESET)
    async with desk.gateway(reconnect_backoff_seconds=0.1) as gateway:
        await gateway.session.beat()
        fire(desk, Link(up=False))
        await reached(desk, DEGRADED)
        fire(desk, Refuse(seconds=4))
        desk.drop_clients()  # also the connection is lost: still one story
        await until(lambda: not desk.simulator.broker.sessions)
        fire(desk, Link(up=True, notice=False))
        await reached(desk, READY)
        outage = (await changes(desk))[3:]
        assert {change.state for change in outage[:-2]} == {DEGRADED}
        assert all(change.reason.startswith("expected reset window (until 01:45 New York)") for change in outage[:-2])
        assert [change.state for change in outage[-2:]] == [SYNCHRONISING, READY]
        assert all(change.expected for change in outage)
        assert outage[0].since >= IN_RESET


async def test_the_nightly_reset_is_one_calm_story(desk: Desk) -> None:
    """Pain 1, as it is seen on the wire: farms flap, 1100 again and again, farms break, and 1102."""
    (reset,) = load("nightly-reset").rules
    desk.advance(IN_RESET)  # it is to know the time before it hears of the reset
    async with desk.gateway() as gateway:
        await gateway.session.beat()
        desk.simulator.faults.add(Script(rule=(Rule(do=reset.do),)))
        await until(lambda: not gateway.session.ready.is_set())
        await until(lambda: resynchronised(desk))
        outage = (await changes(desk))[3:]
        assert all(change.expected for change in outage)
        assert len([change for change in outage if "1100" in change.reason or "lost" in change.reason]) == 1
        assert {change.state for change in outage} == {DEGRADED, SYNCHRONISING, READY}
        assert len(outage) < 12


async def test_the_weekly_log_out_is_survived(desk: Desk) -> None:
    """Pain 5: 1100, the socket ends, and for a while nobody can connect."""
    desk.simulator.faults.add(load("weekly-logout"))
    async with desk.gateway(reconnect_backoff_seconds=0.2) as gateway:
        desk.advance(datetime.fromisoformat("2010-01-10T00:59:00-05:00"))
        await gateway.session.beat()
        desk.advance(datetime.fromisoformat("2010-01-10T01:00:00-05:00"))
        await until(lambda: not desk.simulator.broker.sessions)
        await reached(desk, READY)
        assert len(await desk.events(BrokerSnapshot)) == 2
        assert desk.simulator.broker.sessions.keys() == {1}


@pytest.mark.parametrize("events", ["held", "lost"])
async def test_a_fill_behind_a_lost_link_is_told_once_when_the_link_is_back(
    desk: Desk, events: Literal["held", "lost"]
) -> None:
    """Pain 3: whether the broker tells it afterwards or never, the executions are asked for."""
    async with desk.gateway() as gateway:
        desk.advance()
        await gateway.session.beat()
        await desk.command(order(desk.simulator, limit="212.60"))
        await desk.settled(gateway)
        fire(desk, Link(up=False, events=events))
        await reached(desk, DEGRADED)
        desk.advance(OPEN + timedelta(hours=6))
        filled = [execution.order.request.order_ref for execution in desk.simulator.engine.executions]
        assert "order-1" in filled
        assert await desk.events(ExecutionReported) == []
        fire(desk, Link(up=True))
        await reached(desk, READY)
        await gateway.session.beat()
        told = [event.data for event in await desk.events(ExecutionReported)]
        ids = [execution.execution_id for execution in told]
        assert len(ids) == len(set(ids)) == len(filled)


async def test_a_competing_login_is_a_state_of_its_own_until_quotes_come_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "RIVAL_GONE_SECONDS", 0.1)
    desk.advance(OPEN)
    async with desk.gateway() as gateway:
        await gateway.session.broker.lines.open("AAPL", Feed.QUOTES)
        await gateway.session.beat()
        fire(desk, MarketDataAccess(access="competing"))  # type: ignore[arg-type]
        await reached(desk, COMPETING)
        assert "10197" in str([event.data.code for event in await desk.events(BrokerErrorReported)])
        assert (gateway.session.ready.is_set(), gateway.session.linked.is_set()) == (False, True)
        fire(desk, MarketDataAccess(access="live"))  # type: ignore[arg-type]
        minutes = iter(range(1, 300))

        def quoted() -> bool:
            desk.advance(OPEN + timedelta(minutes=next(minutes)))
            return gateway.session.ready.is_set()

        await until(quoted)
        await reached(desk, READY)


async def test_a_clock_that_is_wrong_is_told_and_far_off_it_forbids_orders(desk: Desk) -> None:
    desk.common = desk.common.model_copy(update={"mode": Mode.PAPER})
    clock = Watch(desk)
    async with desk.gateway(clock) as gateway:
        clock.error = timedelta(seconds=4)
        await until(lambda: warnings(desk))
        assert gateway.session.ready.is_set()
        fire(desk, ClockSkew(seconds=90))
        await reached(desk, DEGRADED)
        assert "behind the broker's" in (gateway.session.not_ready() or "")
        assert (gateway.session.ready.is_set(), gateway.session.linked.is_set()) == (False, True)
        fire(desk, ClockSkew(seconds=0))
        clock.error = timedelta(0)
        await reached(desk, READY)
        assert len(await warnings(desk)) == 1


async def warnings(desk: Desk) -> list[BrokerErrorReported]:
    told = [event.data for event in await desk.events(BrokerErrorReported)]
    return [error for error in told if "our clock" in error.text]


async def test_in_simulated_mode_the_brokers_clock_is_the_clock(desk: Desk) -> None:
    async with desk.gateway() as gateway:
        fire(desk, ClockSkew(seconds=90))
        await gateway.session.beat()
        assert gateway.session.ready.is_set()
        assert await warnings(desk) == []


async def test_an_answer_that_does_not_come_is_no_empty_answer(desk: Desk) -> None:
    """Pain 21: lists that never end make no READY, and are asked for on the next connection."""
    desk.simulator.faults.add(load("missing-ends"))
    async with desk.starting(answer_timeout_seconds=0.5, reconnect_backoff_seconds=0.1) as (gateway, _):
        await reached(desk, DISCONNECTED)
        assert (await changes(desk))[-1].reason.startswith("no answer to a request for")
        await until(lambda: desk.simulator.broker.sessions)
        assert READY not in await desk.states()
        assert await desk.events(BrokerSnapshot) == []
        desk.simulator.faults.clear()
        await reached(desk, READY)
        assert gateway.session.ready.is_set()


async def test_a_broker_that_falls_silent_is_taken_for_gone(desk: Desk) -> None:
    """Liveness is an answered question, not an open socket."""
    async with desk.gateway(answer_timeout_seconds=0.5, reconnect_backoff_seconds=0.1):
        fire(desk, HalfOpen())
        await reached(desk, DISCONNECTED)
        assert (await changes(desk))[-1].reason == "no answer to a request for current time"
        desk.drop_clients()  # the dead connection keeps the client id
        await reached(desk, READY)


async def test_a_login_that_is_awaited_is_a_state_of_its_own(desk: Desk) -> None:
    silent = desk.simulator.faults.add(load("dead-gateway"))
    assert silent
    async with desk.starting(connect_timeout_seconds=0.5, reconnect_backoff_seconds=0.1) as (gateway, _):
        await reached(desk, AWAITING_LOGIN)
        assert "confirm it on the phone" in (await changes(desk))[-1].reason
        assert "AWAITING_LOGIN" in (await gateway.ready() or "")
        desk.simulator.faults.clear()
        await reached(desk, READY)
        assert await desk.states() == [CONNECTING, AWAITING_LOGIN, SYNCHRONISING, READY]


class Deaf:
    def heard(self, message: Message) -> None: ...

    def quotes_changed(self) -> None: ...


async def hold_client_id(desk: Desk) -> asyncio.StreamWriter:
    """Somebody else connects with client id 1."""
    _, writer = await asyncio.open_connection("127.0.0.1", desk.simulator.port)
    start = b"71\x002\x001\x00\x00"
    writer.write(b"API\0" + framed(b"v157..178") + framed(start))
    await until(lambda: 1 in desk.simulator.broker.sessions)
    return writer


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


async def test_a_client_id_that_is_in_use_is_waited_for(desk: Desk) -> None:
    squatter = await hold_client_id(desk)
    async with desk.starting(reconnect_backoff_seconds=0.1) as (_, running):

        async def refused() -> bool:
            return any("326" in change.reason for change in await changes(desk))

        await until(refused)
        squatter.close()
        await reached(desk, READY)
        assert not running.done()


async def test_a_client_id_that_stays_in_use_ends_the_gateway_and_no_other_is_tried(desk: Desk) -> None:
    squatter = await hold_client_id(desk)
    stranger = desk.simulator.broker.sessions[1]
    with pytest.raises(ClientIdTaken, match=r"client_id = 1 is in use .* restart IB Gateway"):
        await desk.make(client_id_wait_seconds=0.3, reconnect_backoff_seconds=0.1).run(asyncio.Event())
    assert desk.simulator.broker.sessions == {1: stranger}
    squatter.close()


async def test_account_of_another_mode_is_refused_before_anything_is_sent(desk: Desk) -> None:
    settings = {
        "REDIS_URL": desk.common.redis_url,
        "DATABASE_URL": desk.common.database_url,
        "MODE": "live",
        "HTTP_PORT": "0",
        "GATEWAY__PORT": str(desk.simulator.port),
    }
    environment = os.environ | {f"MILLRACE_{name}": value for name, value in settings.items()}
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", env=environment, stdout=PIPE, stderr=STDOUT
    )
    said, _ = await gateway.communicate()
    assert gateway.returncode == 2
    assert b"'DU1000001' does not fit mode = live" in said
    assert await desk.events(BrokerSnapshot) == []


async def test_a_gateway_whose_lease_is_taken_says_nothing_more_and_fails(desk: Desk) -> None:
    async def lose_it() -> None:
        async with desk.starting(lease_seconds=1) as (gateway, running):
            await until(gateway.session.ready.is_set)
            before = len(await desk.events())
            change_lease(desk, "UPDATE leases SET holder = 'thief', epoch = epoch + 1")
            await until(running.done)
            assert len(await desk.events()) == before
            assert not gateway.session.ready.is_set()

    with pytest.raises(LeaseTaken, match="thief took it, epoch 2"):
        await lose_it()


def change_lease(desk: Desk, statement: Any) -> None:
    with psycopg.connect(desk.common.database_url) as connection:
        connection.execute(statement)
