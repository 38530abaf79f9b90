"""What the gateway checks once it is READY, in paper mode, against the simulator over both of its APIs."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.gateway import checks
from services.gateway.core import calendar_check
from services.simulator.app import Simulator
from services.simulator.config import Settings
from services.simulator.faults import Script
from shared.messages.broker import BrokerErrorReported, BrokerSnapshot, ErrorEffect, OrderPreviewed
from shared.messages.broker_commands import OrderTerms, PreviewOrder
from shared.types import Mode, OrderType, SessionState, Side
from tests.broker_port.stage import ADAPTERS, addresses
from tests.integration.gateway.desk import SYMBOLS, Desk, Watch, until

FRIDAY, SATURDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 23)
NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)
WHAT_IF = {"receives": "placeOrder", "fields": {"what_if": "1"}, "times": 0}
Rounds = list[Sequence[date]]
STARTED = [SessionState.CONNECTING, SessionState.SYNCHRONISING, SessionState.READY]


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    settings = Settings(
        port=0,
        web_port=0,
        market="synthetic",
        symbols=(*SYMBOLS, "SPY"),
        start=FRIDAY,
        end=date(2026, 12, 4),
        messages_per_second=0,
    )
    made = Simulator(settings, tmp_path / "simulator")
    async with made.serving():
        made.broker.advance(NOON)
        yield made


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LOOK_SECONDS", 0.02)


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    """The dates that the broker named as closed, of each comparison so far: how often the checks were made."""
    made: Rounds = []
    compare = checks.differences

    def noted(hours: Any, closed: Any) -> dict[date, str]:
        made.append(closed)
        return compare(hours, closed)

    monkeypatch.setattr(checks, "differences", noted)
    return made


@pytest.fixture
def paper(desk: Desk) -> Desk:
    desk.common = desk.common.model_copy(update={"mode": Mode.PAPER})
    return desk


def settings(desk: Desk, adapter: str = "tws", **given: Any) -> dict[str, Any]:
    return {
        "adapter": adapter,
        **addresses(desk.simulator, adapter),
        "reconnect_backoff_seconds": 0.1,
        **given,
    }


def fault(desk: Desk, when: dict[str, Any], *effects: dict[str, Any]) -> None:
    desk.simulator.faults.add(Script.model_validate({"rule": [{"when": when, "do": effects}]}))


def hours(desk: Desk, text: str) -> None:
    """The broker tells these regular hours from now on."""
    desk.simulator.faults.clear()
    fault(desk, {"sends": "contractDetails", "times": 0}, {"effect": "replace", "fields": {"liquid_hours": text}})


async def alerts(desk: Desk) -> list[BrokerErrorReported]:
    told = [event.data for event in await desk.events(BrokerErrorReported)]
    return [error for error in told if error.effect is ErrorEffect.UNKNOWN]


async def alerted(desk: Desk, *texts: str) -> Sequence[BrokerErrorReported]:
    """Wait for as many alerts, which say this, in this order."""

    async def told() -> bool:
        return len(await alerts(desk)) >= len(texts)

    await until(told)
    found = await alerts(desk)
    assert len(found) == len(texts), found
    for alert, text in zip(found, texts, strict=True):
        assert text in alert.text
    return found


def probes(desk: Desk) -> int:
    """How many previews the broker was asked for; a rule for them must be there."""
    (rule,) = [rule for rule in desk.simulator.faults.rules() if "placeOrder" in str(rule)]
    return int(str(rule["fired"]))


async def twice_more(desk: Desk, rounds: Rounds) -> None:
    """A new connection and a new date: when the checks of the second begin, those of the first are over."""
    for happens in (desk.drop_clients, lambda: desk.advance(NOON + timedelta(days=3))):
        before = len(rounds)
        happens()
        await until(lambda before=before: len(rounds) > before)


# Our calendar and the broker's hours


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_date_on_which_our_calendar_differs_is_told(
    paper: Desk, adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pain 22: here it is ours that is wrong."""
    right = calendar_check.session_hours

    def wrong(day: date) -> tuple[datetime, datetime] | None:
        return None if day == MONDAY else right(day)

    monkeypatch.setattr(calendar_check, "session_hours", wrong)
    async with paper.gateway(Watch(paper), **settings(paper, adapter)):
        (alert,) = await alerted(paper, "2026-11-23: our calendar says closed, the broker 09:30 to 16:00 (New York)")
        assert alert.code == 0
        assert "exchange_calendars" in alert.text
        assert await paper.states() == STARTED


async def test_a_difference_is_told_once_and_a_new_date_asks_again(paper: Desk) -> None:
    hours(paper, "20261120:0930-20261120:1600;20261121:CLOSED;20261123:0930-20261123:1300")
    monday = "2026-11-23: our calendar says 09:30 to 16:00, the broker 09:30 to 13:00"
    async with paper.gateway(Watch(paper), **settings(paper)):
        await alerted(paper, monday)
        hours(paper, "20261123:0930-20261123:1300;20261124:CLOSED")
        paper.advance(NOON + timedelta(days=3))
        await alerted(paper, monday, "2026-11-24: our calendar says 09:30 to 16:00, the broker closed")


@pytest.mark.parametrize("text", ["", "soon", "20261120:0930", "99991231:CLOSED"])
async def test_hours_that_cannot_be_read_are_told_once_and_stop_nothing(paper: Desk, rounds: Rounds, text: str) -> None:
    hours(paper, text)
    fault(paper, WHAT_IF, {"effect": "deliver"})
    async with paper.gateway(Watch(paper), **settings(paper)) as gateway:
        await alerted(paper, "our calendar can't be compared with the broker's hours of SPY")
        await until(lambda: probes(paper))
        assert await gateway.ready() is None
        assert await paper.states() == STARTED
        await twice_more(paper, rounds)
        assert len(await alerts(paper)) == 1


async def test_a_connection_that_ends_meanwhile_is_no_answer(paper: Desk) -> None:
    hours(paper, "20261120:CLOSED")
    fault(paper, {"receives": "reqContractDetails", "symbol": "SPY"}, {"effect": "drop"}, {"effect": "cut"})
    async with paper.gateway(Watch(paper), **settings(paper)):
        await alerted(paper, "2026-11-20: our calendar says 09:30 to 16:00, the broker closed")
        assert len(await paper.events(BrokerSnapshot)) == 2


async def test_a_broker_that_does_not_know_the_symbol_is_told(paper: Desk) -> None:
    async with paper.gateway(Watch(paper), **settings(paper, calendar_symbol="NOPE")):
        await alerted(paper, "hours of NOPE (calendar_symbol): the broker knows no contract")


# Presets of TWS


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("code", [163, 382, 383, 451, 10311])
async def test_a_preset_that_refuses_orders_is_told_once_at_the_start(
    paper: Desk, rounds: Rounds, adapter: str, code: int
) -> None:
    """Pain 25: the code, the broker's text and the remedy; and nothing was ordered."""
    words = "it violates a constraint specified in the default order settings"
    fault(paper, WHAT_IF, {"effect": "drop"}, {"effect": "error", "code": code, "text": words})
    async with paper.gateway(Watch(paper), **settings(paper, adapter, preset_probe_quantity=7)) as gateway:
        (alert,) = await alerted(paper, "a preview of BUY 7 SPY failed")
        assert words in alert.text
        if adapter == "tws":
            assert alert.code == code
            assert "Global Configuration, under API, Precautions" in alert.text
        assert await gateway.ready() is None
        await twice_more(paper, rounds)
        assert (probes(paper), len(await alerts(paper))) == (1, 1)
    assert (await paper.states())[:3] == STARTED
    assert paper.simulator.engine.book.orders == {}
    assert paper.at_broker() == []


async def test_a_preview_without_figures_is_told(paper: Desk) -> None:
    unset = {"effect": "replace", "fields": {"initial_margin_after": "1.7976931348623157E308"}}
    fault(paper, {"sends": "openOrder", "fields": {"what_if": "1"}}, unset)
    async with paper.gateway(Watch(paper), **settings(paper)) as gateway:
        await alerted(paper, "a preview of BUY 100 SPY failed: the broker left initial_margin unset")
        assert await gateway.ready() is None


async def test_a_preview_without_an_answer_is_told(paper: Desk) -> None:
    fault(paper, WHAT_IF, {"effect": "drop"})
    async with paper.gateway(Watch(paper), **settings(paper, order_timeout_seconds=0.5)) as gateway:
        (alert,) = await alerted(paper, "the broker did not answer the what-if order")
        assert "shows a window that waits for an answer" in alert.text
        assert await gateway.ready() is None
    assert paper.at_broker() == []


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_where_all_is_well_nothing_is_told_and_nothing_ordered(paper: Desk, rounds: Rounds, adapter: str) -> None:
    fault(paper, WHAT_IF, {"effect": "deliver"})
    async with paper.gateway(Watch(paper), **settings(paper, adapter)):
        await until(lambda: probes(paper))
        await twice_more(paper, rounds)
        assert (probes(paper), await alerts(paper)) == (1, [])
    assert paper.simulator.engine.book.orders == {}


async def test_a_simulated_market_is_asked_neither(desk: Desk) -> None:
    """It has our own calendar and no presets, and a preview would move the ids of its orders."""
    hours(desk, "20261120:CLOSED")
    fault(desk, WHAT_IF, {"effect": "deliver"})
    async with desk.gateway(**settings(desk)):
        order = OrderTerms(
            order_ref="a", symbol="AAPL", side=Side.BUY, quantity=Decimal(1), order_type=OrderType.MARKET
        )
        await desk.command(PreviewOrder(order=order))

        async def answered() -> bool:
            return bool(await desk.events(OrderPreviewed))

        await until(answered)
    assert (probes(desk), await alerts(desk)) == (1, [])


async def test_either_check_can_be_switched_off(paper: Desk) -> None:
    hours(paper, "20261120:CLOSED")
    async with paper.gateway(Watch(paper), **settings(paper, calendar_symbol="", preset_probe_symbol="NOPE")):
        await alerted(paper, "a preview of BUY 100 NOPE failed")
    async with paper.gateway(Watch(paper), **settings(paper, preset_probe_quantity=0, preset_probe_symbol="NOPE")):
        await alerted(paper, "a preview of BUY 100 NOPE failed", "2026-11-20: our calendar says 09:30 to 16:00")
