"""The log of messages: what a person reads there, and that nothing a client sends can break it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.trace import Trace
from services.simulator.wire import answers, requests
from services.simulator.wire.requests import write_request

NOW = datetime(2010, 1, 4, 14, 31, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "trace.txt"


@pytest.fixture
def trace(file: Path) -> Iterator[Trace]:
    made = Trace(file, lambda: NOW)
    yield made
    made.close()


def lines(file: Path) -> list[str]:
    return [line.removeprefix("2010-01-04 09:31:00 ") for line in file.read_text().splitlines()]


def test_requests_show_what_was_said(trace: Trace, file: Path) -> None:
    order = {
        "order_id": 5,
        "symbol": "AAPL",
        "sec_type": "STK",
        "order_ref": "a b",
        "limit_price": "10.5",
        "aux_price": "1.7976931348623157e+308",
        "transmit": "0",
        "hidden": "0",
        "display_size": "2147483647",
        "conditions": [{"type": "3", "conjunction": "a", "is_more": "1", "time": "20100104 10:00:00"}],
    }
    trace.received(7, write_request(requests.PLACE, order, 178), 178)
    trace.received(None, write_request(requests.START_API, {"client_id": 0}, 157), 157)
    assert lines(file) == [
        "<7 placeOrder order_id=5 symbol=AAPL sec_type=STK limit_price=10.5 order_ref='a b' transmit=0 "
        "conditions[1]=(type=3 conjunction=a is_more=1 time='20100104 10:00:00')",
        "<- startApi client_id=0",
    ]


def test_answers_show_what_is_not_usual(trace: Trace, file: Path) -> None:
    status = {"order_id": 5, "status": "Filled", "filled": 0, "remaining": 100}
    bars = [{"date": f"2010010{day}"} for day in range(1, 6)]
    for frame in (
        answers.encode(answers.ORDER_STATUS, status, 178),
        answers.encode(answers.OPEN_ORDER, {"order_id": 5, "status": "Submitted"}, 178),
        answers.encode(answers.HISTORICAL_DATA, {"request_id": 1, "bars": bars}, 178),
        answers.error(-1, 2104, "Market data farm \u20ac", 178),
        answers.tick_value(1, 45, "x" * 100),
    ):
        trace.sent(7, frame[4:], 178)
    assert lines(file) == [
        ">7 orderStatus order_id=5 status=Filled filled=0 remaining=100",
        ">7 openOrder order_id=5 status=Submitted",
        ">7 historicalData request_id=1 bars[5]=(date=20100101 count=0), (date=20100102 count=0), "
        "(date=20100103 count=0), +2",
        ">7 error id=-1 code=2104 text='Market data farm \\\\u20ac'",
        f">7 tickString request_id=1 tick_type=45 value={'x' * 80}...(100)",
    ]


def test_the_real_time_comes_first_when_asked_for(file: Path) -> None:
    trace = Trace(file, lambda: NOW, lambda: datetime(2030, 5, 6, 7, 8, 9, 10, tzinfo=UTC))
    trace.note(None, "connected")
    trace.close()
    trace.note(None, "after the end")
    assert file.read_text() == "07:08:09.000010 2010-01-04 09:31:00 *- connected\n"


def test_a_trace_is_continued_after_a_restart(file: Path) -> None:
    for text in ("one", "two"):
        trace = Trace(file, lambda: NOW)
        trace.note(1, text)
        trace.close()
    assert lines(file) == ["*1 one", "*1 two"]


def test_what_cannot_be_read_is_shown_raw(trace: Trace, file: Path) -> None:
    trace.received(1, ["9999", "x y", "\x1b[2J"], 178)
    trace.received(1, ["3", "5"], 178)
    trace.sent(1, b"\xff\0", 178)
    assert lines(file) == [
        "<1 unreadable 3 fields: 9999 | 'x y' | '\\x1b[2J'",
        "<1 unreadable 2 fields: 3 | 5",
        ">1 unreadable 1 fields: \\xff",
    ]


@given(fields=st.lists(st.text(max_size=200), min_size=1, max_size=30), data=st.binary(max_size=200))
def test_nothing_breaks_it_and_every_message_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, fields: list[str], data: bytes
) -> None:
    file = tmp_path_factory.mktemp("trace") / "trace.txt"
    trace = Trace(file, lambda: NOW)
    trace.received(1, fields, 178)
    trace.sent(1, data, 157)
    trace.close()
    text = file.read_text(encoding="utf-8")
    assert len(text.split("\n")) == 3
    assert len(text) < 5_000


def test_a_full_disk_ends_the_trace_and_nothing_else() -> None:
    trace = Trace(Path("/dev/full"), lambda: NOW)
    for _ in range(2):
        trace.note(1, "no space left")
