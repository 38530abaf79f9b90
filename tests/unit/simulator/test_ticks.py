"""Ticks one by one: streamed, historical, and as a histogram; they are the same ticks."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.adapters.journal import Journal
from services.simulator.core.tick_data import KINDS as TICKS_OF
from services.simulator.core.tick_data import stretches, ticks_before, ticks_from
from tests.unit.simulator.data_world import CLOSE, KINDS, OPEN, Desk, instrument, make_market, minutes, of

MARKET = make_market()
AAA = instrument(MARKET, "AAA")
HISTORICAL, STREAM, HISTOGRAM = 96, 97, 88
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Journal(tmp_path / "journal.jsonl", "id") as opened:
        yield Desk(opened, MARKET)


def local(moment: datetime) -> str:
    return f"{moment.astimezone(NEW_YORK):%Y%m%d %H:%M:%S}"


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(["TRADES", "BID_ASK", "MIDPOINT"]),
    st.lists(st.integers(1, 90_000), max_size=10),
)
def test_any_steps_of_time_give_the_same_ticks(name: str, show: str, pauses: list[int]) -> None:
    contract_id, kind = instrument(MARKET, name).contract_id, TICKS_OF[show]
    start = now = OPEN - timedelta(hours=20)
    found: list[object] = []
    for pause in pauses:
        before, now = now, now + timedelta(seconds=pause)
        for stretch in stretches(MARKET, contract_id, before, now):
            found += kind(stretch.tape, stretch.first, stretch.beyond)
    whole = [
        tick
        for stretch in stretches(MARKET, contract_id, start, now)
        for tick in kind(stretch.tape, stretch.first, stretch.beyond)
    ]
    assert found == whole
    assert [tick.time for tick in whole] == sorted(tick.time for tick in whole)
    after = start + timedelta(microseconds=1)
    assert ticks_from(MARKET, contract_id, kind, after, now, 10**6, regular=False) == whole
    assert ticks_from(MARKET, contract_id, kind, after, now, 3, regular=False) == whole[:3]
    if len(whole) > 2:
        assert ticks_before(MARKET, contract_id, kind, now, 3, regular=False) == whole[-3:]


@pytest.mark.parametrize(("show", "message"), [
    ("TRADES", "historicalTicksLast"), ("BID_ASK", "historicalTicksBidAsk"), ("MIDPOINT", "historicalTicks"),
])  # fmt: skip
def test_historical_ticks_from_a_start_and_before_an_end(desk: Desk, show: str, message: str) -> None:
    desk.advance(CLOSE)
    usual = {"request_id": 1, "count": 10, "what_to_show": show, "use_rth": True}
    (early,) = desk.ask(HISTORICAL, AAA, start=local(minutes(10)), **usual)
    (late,) = desk.ask(HISTORICAL, AAA, end=local(CLOSE), **usual)
    assert early["message"] == late["message"] == message
    assert int(early["ticks"][0]["time"]) == int(minutes(10).timestamp())
    assert show == "MIDPOINT" or int(late["ticks"][-1]["time"]) == int(CLOSE.timestamp())
    assert len(early["ticks"]) == len(late["ticks"]) == 10
    assert early["done"] == "1"


@pytest.mark.parametrize("changes", [
    {}, {"start": "20100106 10:00:00", "end": "20100106 10:00:00"}, {"end": "x"},
    {"end": "20100106 10:00:00", "count": 0},
    {"end": "20100106 10:00:00", "count": 1001}, {"end": "20100106 10:00:00", "what_to_show": "X"},
])  # fmt: skip
def test_odd_requests_are_refused(desk: Desk, changes: dict[str, object]) -> None:
    usual: dict[str, object] = {"request_id": 1, "count": 10, "what_to_show": "TRADES"}
    assert [row["code"] for row in desk.ask(HISTORICAL, AAA, **{**usual, **changes})] == ["10187"]


@pytest.mark.parametrize(("name", "kind"), [
    ("option", "Last"), ("EUR.USD", "Last"), ("SPX", "BidAsk"), ("AAA", "Nothing"),
])  # fmt: skip
def test_what_has_no_ticks_is_refused(desk: Desk, name: str, kind: str) -> None:
    assert [row["code"] for row in desk.ask(STREAM, instrument(MARKET, name), request_id=1, tick_type=kind)] == [
        "10189"
    ]


@pytest.mark.parametrize(("kind", "show", "number"), [
    ("Last", "TRADES", "1"), ("AllLast", "TRADES", "2"), ("BidAsk", "BID_ASK", "3"), ("MidPoint", "MIDPOINT", "4"),
])  # fmt: skip
def test_streamed_ticks_are_those_of_history(desk: Desk, kind: str, show: str, number: str) -> None:
    before = desk.ask(STREAM, AAA, request_id=1, tick_type=kind, count=5)
    assert len(before[0]["ticks"]) == 5
    streamed = of(desk.advance(minutes(200)), "tickByTick") + of(desk.advance(minutes(390)), "tickByTick")
    assert {row["tick_type"] for row in streamed} == {number}
    (past,) = desk.ask(
        HISTORICAL, AAA, request_id=2, start=local(minutes(1)), count=1000, what_to_show=show, use_rth=True
    )
    shown = {"TRADES": ["price", "size"], "BID_ASK": ["bid_price", "ask_price", "bid_size", "ask_size"], "MIDPOINT": []}
    assert [int(row["time"]) for row in streamed] == [int(tick["time"]) for tick in past["ticks"]]
    for name in shown[show]:
        assert [row[name] for row in streamed] == [tick[name] for tick in past["ticks"]]
    if show == "MIDPOINT":
        assert [row["mid_point"] for row in streamed] == [tick["price"] for tick in past["ticks"]]


def test_histogram_counts_what_traded(desk: Desk) -> None:
    desk.advance(CLOSE)
    (found,) = desk.ask(HISTOGRAM, AAA, request_id=1, period="1 day", use_rth=True)
    quote = MARKET.quote(AAA.contract_id, CLOSE)
    assert quote is not None
    assert sum(int(point["count"]) for point in found["points"]) == quote.volume
    levels = [Decimal(point["price"]) for point in found["points"]]
    assert (levels[0], levels[-1]) == (quote.low, quote.high)
    assert levels == sorted(levels)
    assert [row["code"] for row in desk.ask(HISTOGRAM, AAA, request_id=2, period="x", use_rth=True)] == ["162"]
