"""Whatever a client sends, it is answered or its connection ends; the simulator goes on."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.handlers.dispatch import HANDLERS, dispatch
from services.simulator.wire import requests
from services.simulator.wire.framing import ProtocolError
from tests.unit.simulator.desk import AAPL, OPEN, Client, join, open_broker

NOT_SIMULATED = {
    requests.VERIFY_REQUEST,
    requests.VERIFY_MESSAGE,
    requests.VERIFY_AND_AUTH_REQUEST,
    requests.VERIFY_AND_AUTH_MESSAGE,
}
"""TWS's handshake with programs that IBKR has licensed."""
ODD_TEXTS = (
    "", "0", "1", "-1", "x", "nan", "inf", "1e400", "-1e300", "1e30", "1e9", "2147483647", "1.7976931348623157e+308",
    "9" * 5000, "\u20ac", "None", "AAPL", "STK", "OPT", "BAG", "IND", "FUT", "CASH", "USD", "SMART", "BUY", "SELL",
    "MKT", "LMT", "STP", "TRAIL", "PEG MID", "DAY", "GTC", "GTD", "IOC", "OPG", "100", "99.99", "C", "?",
    "99991231 23:59:59 UTC", "00010101 00:00:00", "20100105-16:00:00", "20100105 16:00:00 No/Where", "20100115",
    "201001", "1 D", "999999 Y", "60 S", "1 day", "1 min", "1 secs", "TRADES", "BID_ASK", "MIDPOINT", "SCHEDULE",
    "NetLiquidation,$LEDGER:ALL", "DU1000001", "All", "Last", "BidAsk", "TOP_PERC_GAIN", "STK.US.MAJOR", "233,236",
)  # fmt: skip


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    broker = open_broker()
    client = join(broker)
    client.place(1, "BUY", "LMT", limit_price=150, tif="GTC")
    return client


def test_every_request_has_a_layout_and_a_handler() -> None:
    assert set(HANDLERS) == set(requests.LAYOUTS) - {requests.START_API} - NOT_SIMULATED


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(sorted(HANDLERS)), st.data())
def test_odd_fields_are_answered_or_refused(client: Client, message_id: int, data: st.DataObject) -> None:
    session = client.session
    contract = {"symbol": "AAPL", "sec_type": "STK", "currency": "USD", "exchange": "SMART", "con_id": str(AAPL)}
    order = {"action": "BUY", "order_type": "LMT", "limit_price": "90", "total_quantity": "1", "transmit": "1"}
    layout = requests.LAYOUTS[message_id]
    known = {getattr(item, "name", None) for item in layout}
    usual = {name: value for name, value in (contract | order).items() if name in known}
    fields = requests.write_request(message_id, usual, 178)
    for position in data.draw(st.lists(st.integers(1, len(fields) - 1), max_size=4)) if len(fields) > 1 else ():
        fields[position] = data.draw(st.sampled_from(ODD_TEXTS))
    client.sent.clear()
    with suppress(ProtocolError):
        dispatch(client.broker, session, fields)
    if data.draw(st.integers(0, 9)) == 0:
        client.broker.advance(client.broker.engine.now + timedelta(minutes=1))


def test_time_passes_with_everything_odd_subscribed(client: Client) -> None:
    client.broker.advance(OPEN + timedelta(days=1))
    client.ask(requests.REQUEST_CURRENT_TIME)
    assert client.names() == ["currentTime"]


@pytest.mark.parametrize("identity", ["", "x", "-1", "9" * 5000, "\u00b2"])
def test_odd_message_ids_are_refused(client: Client, identity: str) -> None:
    with pytest.raises(ProtocolError, match="message id"):
        dispatch(client.broker, client.session, [identity])


@pytest.mark.parametrize("identity", ["999", "65"])
def test_a_message_that_is_not_simulated_is_answered(client: Client, identity: str) -> None:
    client.sent.clear()
    dispatch(client.broker, client.session, [identity])
    assert client.names() == ["error 505"]


@pytest.mark.parametrize(("field", "code"), [("total_quantity", "383"), ("limit_price", "109")])
def test_numbers_with_too_many_digits_are_refused_not_fatal(client: Client, field: str, code: str) -> None:
    order_id = client.broker.engine.next_order_id(1)
    client.place(order_id, "BUY", "LMT", **{"limit_price": "90", field: "1e30"})
    assert client.names() == [f"error {code}"]
