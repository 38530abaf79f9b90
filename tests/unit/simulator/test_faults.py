"""Fault scripts: what they may say, when rules fire, and what a broken world lets pass."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.entitlement import Access, entitlement
from services.simulator.faults import Script, load, scenarios
from services.simulator.faults.agenda import Agenda
from services.simulator.faults.armed import Armed, times
from services.simulator.faults.effects import FarmState, Link
from services.simulator.faults.model import Rule, When
from services.simulator.faults.seen import Seen, filled_in
from services.simulator.faults.world import World
from shared.config import ConfigError

MONDAY = datetime(2010, 1, 4, 14, 30, tzinfo=UTC)


class Session:
    """Of a session, what rules look at."""

    def __init__(self, client_id: int = 1) -> None:
        self.client_id = client_id


def seen(
    name: str, *, received: bool = False, client_id: int = 1, instrument: Instrument | None = None, **row: str
) -> Seen:
    session: Any = Session(client_id)
    assert isinstance(session, Session)
    return Seen(session, received, name, dict(row), [], None, instrument)


def rule(when: dict[str, Any], *effects: dict[str, Any]) -> Rule:
    return Rule.model_validate({"when": when, "do": effects or ({"effect": "deliver"},)})


@pytest.mark.parametrize(
    ("when", "effects", "message"),
    [
        ({"at": "2010-01-04T10:00:00Z", "after": 3}, [{"effect": "cut"}], "at and after: a rule has one trigger"),
        ({"at": "2010-01-04T10:00:00"}, [{"effect": "cut"}], "timezone"),
        ({"weekdays": [1]}, [{"effect": "cut"}], "weekdays: means nothing without clock"),
        ({}, [{"effect": "drop"}], "drop needs a message"),
        ({"sends": "error"}, [{"effect": "drop"}, {"effect": "deliver"}], "a message has one fate"),
        ({"sends": "error"}, [{"effect": "wait", "seconds": 1}, {"effect": "drop"}], "use delay"),
        ({"sends": "error"}, [{"effect": "wait"}], "give either seconds or virtual_seconds"),
        ({}, [{"effect": "melt"}], "melt"),
        (
            {},
            [{"effect": "manual-order", "symbol": "A", "action": "BUY", "quantity": 1, "limit_price": 3}],
            "limit_price",
        ),
        ({}, [], "at least 1 item"),
        ({"nth": 0}, [{"effect": "cut"}], "greater than or equal to 1"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(when: dict[str, Any], effects: list[Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Rule.model_validate({"when": when, "do": effects})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[rule]]\nwhen = { sends = "execDetail" }\ndo = [{ effect = "drop" }]', "did you mean execDetails"),
        ('[[rule]]\nwhen = { receives = "placeorder" }\ndo = [{ effect = "drop" }]', "did you mean placeOrder"),
        ('[[rule]]\nwhen = { sends = "error" }\ndo = [{ effect = "hold", until = "never" }]', "hold.until: 'never'"),
        (
            '[[rule]]\ndo = [{ effect = "send", message = "orderStatus", fields = { state = "x" } }]',
            "did you mean status",
        ),
        ('[[rule]]\ndo = [{ effect = "cut", now = true }]', "rule.0.do.0.cut.now"),
        ("[[rule]", "line 1"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load(str(path))
    assert str(path) in str(caught.value)


def test_scenarios_load_by_name_and_files_by_path(tmp_path: Path) -> None:
    assert all(load(name).rules for name in scenarios())
    path = tmp_path / "mine.toml"
    path.write_text('description = "mine"\n[[rule]]\ndo = [{ effect = "cut" }]\n')
    assert load(str(path)).description == "mine"
    with pytest.raises(ConfigError, match="nightly-reset"):
        load("nightly-rest")


def test_python_and_toml_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[[rule]]\nwhen = { clock = "00:15" }\ndo = [{ effect = "link", up = false }]\n')
    assert load(str(path)) == Script(rule=(Rule(when=When(clock=time(0, 15)), do=(Link(up=False),)),))


def test_filters_and_counts() -> None:
    armed = Armed(1, rule({"sends": ["orderStatus", "openOrder"], "client_id": 1, "nth": 2, "times": 2}))
    messages = [
        seen("orderStatus"),
        seen("orderStatus", client_id=2),
        seen("execDetails"),
        seen("openOrder", received=True),
        seen("openOrder"),
        seen("orderStatus"),
        seen("orderStatus"),
    ]
    fired: list[bool] = []
    for message in messages:
        fired.append(armed.counts(message))
        armed.fired += fired[-1]
    assert fired == [False, False, False, False, True, True, False]
    assert (armed.matched, armed.fired, armed.spent) == (3, 2, True)
    assert armed.state()["matched"] == 3


@pytest.mark.parametrize(
    ("when", "row", "fits"),
    [
        ({"code": 202}, {"code": "202"}, True),
        ({"code": 202}, {"code": "201"}, False),
        ({"symbol": "AAPL"}, {"symbol": "AAPL"}, True),
        ({"symbol": "AAPL"}, {"symbol": "IBM"}, False),
        ({"order_ref": "entry-*"}, {"order_ref": "entry-7"}, True),
        ({"order_ref": "entry-*"}, {"order_ref": "exit-7"}, False),
        ({"order_ref": "entry-*"}, {}, False),
        ({"fields": {"status": "*ubmitted"}}, {"status": "PreSubmitted"}, True),
        ({"fields": {"status": "*ubmitted"}}, {"status": "Filled"}, False),
        ({"fields": {"status": "*"}}, {}, False),
    ],
)
def test_each_filter(when: dict[str, Any], row: dict[str, str], fits: bool) -> None:
    assert seen("error", **row).fits(When.model_validate({"sends": "*", **when})) is fits


def test_times_of_rules() -> None:
    def first(count: int, **when: Any) -> list[datetime]:
        return list(islice(times(When.model_validate(when), MONDAY), count))

    assert first(9, at=MONDAY + timedelta(hours=1)) == [MONDAY + timedelta(hours=1)]
    assert first(9, at=MONDAY - timedelta(hours=1)) == [], "what has passed never comes"
    night = datetime(2010, 1, 5, 5, 15, tzinfo=UTC)
    assert first(9, clock="00:15") == [night]
    assert first(3, clock="00:15", times=0) == [night + timedelta(days=day) for day in range(3)]
    assert first(2, clock="01:00", weekdays=[6], times=0) == [
        datetime(2010, 1, 10, 6, tzinfo=UTC) + timedelta(days=7 * week) for week in range(2)
    ]
    assert first(9, after_virtual=60, times=2) == [MONDAY + timedelta(minutes=minute) for minute in (1, 2)]
    summer = datetime(2010, 3, 15, 4, 15, tzinfo=UTC)
    assert summer in first(80, clock="00:15", times=0), "clocks go forward on 2010-03-14"


async def test_agenda() -> None:
    failures: list[Exception] = []
    agenda = Agenda(failures.append, scale=0.001)
    both = asyncio.Event()
    done: list[str] = []
    agenda.at(MONDAY + timedelta(hours=2), lambda: done.append("second"))
    agenda.at(MONDAY + timedelta(hours=1), lambda: done.append("first"))
    assert agenda.next_time(MONDAY + timedelta(hours=3)) == MONDAY + timedelta(hours=1)
    assert agenda.next_time(MONDAY) is None
    agenda.reached(MONDAY + timedelta(hours=1))
    assert done == ["first"]
    agenda.later(1, lambda: done.append("real"))
    agenda.later(2, both.set)
    agenda.later(1000, lambda: done.append("never"))
    agenda.later(1, lambda: agenda.do(lambda: 1 / 0))  # type: ignore[arg-type, return-value]
    await asyncio.wait_for(both.wait(), 5)
    agenda.clear()
    agenda.reached(MONDAY + timedelta(days=1))
    assert done == ["first", "real"]
    assert isinstance(failures[0], ZeroDivisionError)


def line(symbol: str, security_type: SecurityType) -> Instrument:
    return Instrument(1, symbol, security_type, "SMART", "NASDAQ", symbol, symbol, symbol)


def test_a_broken_farm_silences_its_own_quotes() -> None:
    world = World()
    stock = seen("tickPrice", instrument=line("AAPL", SecurityType.STOCK))
    pair = seen("tickPrice", instrument=line("EUR", SecurityType.CURRENCY))
    assert world.sound
    assert world.change_farm(FarmState(farm="cashfarm", up=False)) == (
        2103,
        "Market data farm connection is broken:cashfarm",
    )
    assert (world.silences(stock), world.silences(pair)) == (False, True)
    world.change_farm(FarmState(farm="usfarm", up=False))
    assert world.silences(stock)
    assert not world.silences(seen("orderStatus"))
    assert [code for code, _ in world.notices()] == [2103, 2106, 2158]
    world.change_farm(FarmState(farm="ushmds", up=False))
    assert world.refusal(seen("reqHistoricalData", received=True)) is not None
    assert world.refusal(seen("placeOrder", received=True)) is None


def test_a_broken_link_stops_all_but_what_the_gateway_knows() -> None:
    world = World(link=Link(up=False))
    reached = [
        name
        for name in ("reqIds", "reqCurrentTime", "reqPositions", "placeOrder", "cancelOrder", "cancelMktData")
        if not world.unanswered(seen(name, received=True))
    ]
    assert reached == ["reqIds", "reqCurrentTime", "cancelMktData"]
    assert world.queues(seen("placeOrder", received=True))
    assert not world.queues(seen("reqPositions", received=True))
    assert world.withholds(seen("execDetails"))
    assert not world.withholds(seen("nextValidId"))
    assert world.keeps(seen("execDetails"))
    lost = World(link=Link(up=False, events="lost", orders="refused"))
    assert not lost.keeps(seen("execDetails"))
    assert lost.keeps(seen("position")), "only what is said about orders is lost"
    assert lost.refusal(seen("placeOrder", received=True)) == (504, "Not connected")


@pytest.mark.parametrize(
    ("access", "market_data_type", "expected"),
    [
        (Access.LIVE, 1, (True, False, 0)),
        (Access.LIVE, 3, (True, False, 0)),
        (Access.DELAYED, 1, (False, False, 10089)),
        (Access.DELAYED, 3, (True, True, 10167)),
        (Access.DELAYED, 4, (True, True, 10167)),
        (Access.NOT_SUBSCRIBED, 3, (False, False, 354)),
        (Access.DELAYED_OFF, 3, (False, False, 10168)),
        (Access.COMPETING, 1, (False, False, 10197)),
    ],
)
def test_entitlements(access: Access, market_data_type: int, expected: tuple[bool, bool, int]) -> None:
    found = entitlement(access, market_data_type, "AAPL", "NASDAQ")
    assert (found.delivers, found.delayed, found.code) == expected
    assert bool(found.text) == bool(found.code)


def test_values_are_filled_in() -> None:
    row: dict[str, Any] = {"order_id": "7", "symbol": "AAPL"}
    assert filled_in({"text": "{symbol} {order_id}", "rows": [{"id": "{order_id}"}]}, row) == {
        "text": "AAPL 7",
        "rows": [{"id": "7"}],
    }
