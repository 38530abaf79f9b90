"""Whatever a client sends, it is answered or its connection ends; the simulator goes on."""

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.adapters.journal import Journal
from services.simulator.broker import Broker
from services.simulator.handlers.dispatch import HANDLERS, dispatch
from services.simulator.session import ClientSession
from services.simulator.wire import requests
from services.simulator.wire.framing import ProtocolError
from services.simulator.wire.layout import write
from tests.unit.simulator.world import SESSIONS, at_open, make_engine

ODD_TEXTS = (
    "", "0", "1", "-1", "x", "nan", "inf", "1e400", "-1e300", "1e30", "1e9", "2147483647", "1.7976931348623157e+308",
    "9" * 5000, "\u20ac", "None", "AAA", "STK", "USD", "SMART", "BUY", "SELL", "MKT", "LMT", "STP", "DAY", "GTC", "100",
    "99.99", "99991231 23:59:59 UTC", "00010101 00:00:00", "20100105-16:00:00", "20100105 16:00:00 No/Where", "1 D",
    "999999 Y", "60 S", "1 day", "1 min", "TRADES", "NetLiquidation,$LEDGER:ALL", "DU1000001",
)  # fmt: skip


class SilentTransport:
    def get_write_buffer_size(self) -> int:
        return 0


class SilentWriter:
    """Where a session's frames would go; they stay in its queue."""

    transport = SilentTransport()


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "journal.jsonl", "id") as journal:
        engine = at_open(make_engine())
        yield Broker(engine, journal, "DU1000001")


def make_session(broker: Broker) -> ClientSession:
    session = ClientSession(178, SilentWriter(), 1 << 40)  # type: ignore[arg-type]
    broker.join(1, session)
    return session


def test_every_request_has_a_layout_and_a_handler() -> None:
    assert set(HANDLERS) == set(requests.LAYOUTS) - {requests.START_API}


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(sorted(HANDLERS)), st.data())
def test_odd_fields_are_answered_or_refused(broker: Broker, message_id: int, data: st.DataObject) -> None:
    session = make_session(broker)
    contract = {"symbol": "AAA", "sec_type": "STK", "currency": "USD", "exchange": "SMART", "con_id": "0"}
    order = {"action": "BUY", "order_type": "LMT", "limit_price": "90", "total_quantity": "1", "transmit": "1"}
    layout = requests.LAYOUTS[message_id]
    known = {getattr(item, "name", None) for item in layout}
    usual = {name: value for name, value in (contract | order).items() if name in known}
    fields = write(layout, usual, 178)
    fields[0] = str(message_id)
    for position in data.draw(st.lists(st.integers(1, len(fields) - 1), max_size=4)) if len(fields) > 1 else ():
        fields[position] = data.draw(st.sampled_from(ODD_TEXTS))
    with suppress(ProtocolError):
        dispatch(broker, session, fields)
    broker.advance(SESSIONS[1].open)


@pytest.mark.parametrize("identity", ["", "x", "-1", "9" * 5000, "\u00b2"])
def test_odd_message_ids_are_refused(broker: Broker, identity: str) -> None:
    with pytest.raises(ProtocolError, match="message id"):
        dispatch(broker, make_session(broker), [identity])


@pytest.mark.parametrize(("field", "code"), [("total_quantity", "383"), ("limit_price", "109")])
def test_numbers_with_too_many_digits_are_refused_not_fatal(broker: Broker, field: str, code: str) -> None:
    session = make_session(broker)
    order_id = broker.engine.next_order_id(1)
    values = {
        "_id": "3",
        "order_id": order_id,
        "symbol": "AAA",
        "sec_type": "STK",
        "currency": "USD",
        "transmit": True,
        "action": "BUY",
        "order_type": "LMT",
        "limit_price": "90",
        "total_quantity": "1",
        field: "1e30",
    }
    dispatch(broker, session, write(requests.PLACE_ORDER, values, 178))
    assert f"\0{order_id}\0{code}\0".encode() in b"".join(session._pending)
