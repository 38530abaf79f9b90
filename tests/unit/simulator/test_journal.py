"""The journal of commands: what it brings back, and what it refuses."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from services.simulator.adapters.journal import COMMANDS, FORMAT, Journal
from services.simulator.broker import Broker
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.engine import Engine
from services.simulator.core.hours import EXCHANGE_ZONE
from services.simulator.core.orders import Condition, ConditionKind, Leg, Status
from shared.config import ConfigError
from tests.unit.simulator.desk import OPEN, join, make_simulator
from tests.unit.simulator.world import SESSIONS, bracket, make_engine, minutes, order


def play(engine: Engine, journal: Journal) -> None:
    journal.carry_out(engine, "advance", SESSIONS[1].open)
    for request in bracket(1, "95", "108", "85", time_in_force="GTC"):
        journal.carry_out(engine, "place", request)
    journal.carry_out(engine, "place", order(4, "BUY", "LMT", "80", order_ref="h\xe9ld \u20ac"))
    journal.carry_out(engine, "advance", minutes(1, 200))
    journal.carry_out(engine, "cancel", 1, 4)
    journal.carry_out(engine, "place", order(5, "BUY", "LMT", "80", transmit=False))
    journal.carry_out(engine, "drop_held", 1)
    journal.carry_out(engine, "advance", minutes(2, 3))
    journal.carry_out(engine, "cancel_all")


def replayed(path: Path) -> Engine:
    engine = make_engine()
    with Journal(path, "id") as journal:
        journal.replay(engine)
    return engine


def test_replay_gives_the_identical_state(tmp_path: Path) -> None:
    path, engine = tmp_path / "deep" / "journal.jsonl", make_engine()
    with Journal(path, "id") as journal:
        play(engine, journal)
    again = replayed(path)
    assert engine.executions
    assert again.book == engine.book
    assert again.accounts == engine.accounts
    assert again.executions == engine.executions
    assert again.received == engine.received
    assert again.now == engine.now


def test_torn_last_line_is_dropped_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, "id") as journal:
        engine = make_engine()
        journal.carry_out(engine, "place", order(1, "BUY", "LMT", "95"))
        journal.carry_out(engine, "place", order(2, "BUY", "LMT", "95"))
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for length in range(start + 1, len(whole)):
        path.write_bytes(whole[:length])
        assert set(replayed(path).book.orders) == {(1, 1)}
    with Journal(path, "id") as journal:
        engine = make_engine()
        journal.replay(engine)
        journal.carry_out(engine, "place", order(2, "BUY", "LMT", "96"))
    again = replayed(path)
    assert again.book.orders[1, 2].request.limit_price == Decimal(96)
    assert again.book.orders[1, 2].status is Status.PRE_SUBMITTED


def test_journal_is_written_before_the_command_is_carried_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    class Failing(Engine):
        def advance(self, to: object) -> list[object]:  # type: ignore[override]
            assert to == SESSIONS[1].open
            assert json.loads(path.read_bytes().splitlines()[-1]) == {"advance": ["2010-01-05T14:30:00Z"]}
            raise RuntimeError("killed here")

    engine = make_engine()
    engine.__class__ = Failing
    with Journal(path, "id") as journal, pytest.raises(RuntimeError, match="killed here"):
        journal.carry_out(engine, "advance", SESSIONS[1].open)
    assert replayed(path).now == SESSIONS[1].open


def test_journal_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path, "one").close()
    with pytest.raises(ConfigError, match=r"journal\.jsonl was written with another market"):
        Journal(path, "two")


def test_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, "id") as journal:
        journal.carry_out(make_engine(), "advance", SESSIONS[1].open)
    path.write_bytes(path.read_bytes() + b"\x00\x00\n" + b'{"advance":["2010-01-05T15:00:00+00:00"]}\n')
    with pytest.raises(ConfigError, match="line 3 is damaged"):
        replayed(path)


def test_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"identity":"id"}\n')
    with pytest.raises(ConfigError, match=rf"another version of the simulator \(format 1, this is {FORMAT}\)"):
        Journal(path, "id")
    path.write_text(json.dumps({"format": FORMAT, "identity": "id"}) + '\n{"dance":[1]}\n')
    with Journal(path, "id") as journal, pytest.raises(ConfigError, match="unknown command 'dance'"):
        journal.replay(make_engine())
    path.write_text(json.dumps({"format": FORMAT, "identity": "id"}) + '\n{"cancel":["x",1]}\n')
    with Journal(path, "id") as journal, pytest.raises(ConfigError, match=r"cancel .* cannot be read"):
        journal.replay(make_engine())


def test_without_a_path_nothing_is_written(tmp_path: Path) -> None:
    engine = make_engine()
    with Journal(None, "id") as journal:
        journal.carry_out(engine, "place", order(1, "BUY", "LMT", "95"))
        assert journal.replay(make_engine()) == 0
    assert list(engine.book.orders) == [(1, 1)]
    assert not list(tmp_path.iterdir())


def test_every_field_of_an_order_comes_back(tmp_path: Path) -> None:
    moment = datetime(2010, 1, 5, 10, 0, 0, 1, tzinfo=EXCHANGE_ZONE)
    condition = Condition(ConditionKind.TIME, "o", is_more=False, time=moment, contract_id=7, symbol="AAA")
    request = order(
        1,
        "BUY",
        "TRAIL LIMIT",
        "95.10",
        legs=(Leg(7, 2, "SELL"), Leg(8, 1, "BUY", "CBOE")),
        conditions=(condition, replace(condition, kind=ConditionKind.PRICE, value=Decimal("1E-8"))),
        good_till=moment,
        trailing_percent=Decimal("0.1"),
        echo=(("algo_params", '[{"tag":"a","value":"b"}]'), ("hidden", "1")),
    )
    adapter = COMMANDS["place"]
    text = json.dumps(adapter.dump_python((request,), mode="json"))
    (again,) = adapter.validate_python(json.loads(text))
    assert again == request
    assert [str(again.limit_price), str(again.conditions[1].value)] == ["95.10", "1E-8"]


def live_through_everything(broker: Broker) -> None:
    client = join(broker)
    broker.advance(OPEN)
    query = ContractQuery(symbol="AAPL", security_type="OPT", expiry="20100115", right="C")
    calls = broker.engine.market.catalogue.find(query, broker.engine.now)
    near = min(calls, key=lambda call: abs(call.strike - 212))
    option = {"con_id": near.contract_id, "symbol": "AAPL", "sec_type": "OPT"}
    client.place(1, "BUY", "MKT", **option, total_quantity=3)
    client.place(2, "SELL", "MKT", **option, total_quantity=2, account="DU1000002")
    legs = [{"con_id": 265598, "ratio": 1, "action": "BUY"}, {"con_id": 8314, "ratio": 2, "action": "SELL"}]
    client.place(3, "BUY", "LMT", symbol="AAPL,IBM", sec_type="BAG", combo_legs=legs, limit_price=0, total_quantity=5)
    condition = {"type": 1, "conjunction": "a", "is_more": True, "price": 100, "con_id": 8314, "exchange": "SMART"}
    client.place(4, "BUY", "TRAIL", aux_price=0.5, tif="GTC", conditions=[condition], hidden=True)
    client.place(5, "BUY", "LMT", limit_price=100, tif="GTC", transmit=False)
    broker.advance(OPEN + timedelta(hours=3))
    broker.edit_position("DU1000001", 8314, Decimal(-77), Decimal("131.5"))
    broker.correct(broker.engine.executions[0].execution_id, Decimal("5.55"))
    broker.exercise("DU1000001", near.contract_id, Decimal(1), lapse=False, override=True)
    broker.advance(OPEN + timedelta(days=20))
    broker.leave(1)


def test_everything_that_can_happen_comes_back(tmp_path: Path) -> None:
    """Options held over their expiry, combinations, conditions, two accounts, edits by hand and corrections."""
    changes = {"end": date(2010, 1, 29), "accounts": ("DU1000002",), "corporate_actions": True}
    with closing(make_simulator(tmp_path, **changes)) as simulator:
        before = simulator.engine
        live_through_everything(simulator.broker)
    assert {execution.account for execution in before.executions} == {"DU1000001", "DU1000002"}
    assert before.accounts["DU1000001"].quantity(265598) >= 100, "delivered"
    with closing(make_simulator(tmp_path, **changes)) as simulator:
        after = simulator.engine
    assert after.now == before.now
    assert after.accounts == before.accounts
    assert after.book.orders == before.book.orders
    assert after.book.highest_id == before.book.highest_id
    assert after.executions == before.executions
    assert after.received == before.received
