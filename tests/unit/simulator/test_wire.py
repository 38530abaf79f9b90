"""Frames and layouts: fragmentation, field counts per version, round trips, text outside ASCII."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ib_async import Contract, Order, TagValue, TimeCondition
from ib_async.client import Client

from services.simulator.wire import answers, requests
from services.simulator.wire.framing import (
    MAXIMUM_REQUEST_BYTES,
    FrameReader,
    ProtocolError,
    frame,
    negotiate,
    split_fields,
)
from services.simulator.wire.layout import Layout, LayoutError, read, text, write
from services.simulator.wire.requests import Request

VERSIONS = (157, 176, 178)


def fed(data: bytes) -> FrameReader:
    reader = FrameReader()
    reader.feed(data)
    return reader


@given(st.lists(st.lists(st.text("abc\u20ac"), min_size=1), max_size=8), st.integers(1, 9))
def test_frames_survive_any_fragmentation(messages: list[list[str]], piece: int) -> None:
    stream = b"".join(frame(fields) for fields in messages)
    reader = FrameReader()
    found: list[list[str]] = []
    for start in range(0, len(stream), piece):
        reader.feed(stream[start : start + piece])
        while (payload := reader.next()) is not None:
            found.append(split_fields(payload))
    assert found == [[field.replace("\u20ac", "\\u20ac") for field in fields] for fields in messages]


def test_text_outside_ascii_is_escaped_as_utf_16() -> None:
    assert frame(["\xe9\u20ac\U0001f600"]) == frame(["\\u00e9\\u20ac\\ud83d\\ude00"])


def test_handshake_in_pieces() -> None:
    reader = FrameReader()
    for byte in b"API\0\0\0\0\x12v157..178 +PACEAPI":
        assert reader.handshake() is None
        reader.feed(bytes([byte]))
    assert reader.handshake() == b"v157..178 +PACEAPI"


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1", b"APX", b"API\0\xff\xff\xff\xff"])
def test_what_is_not_the_api_is_refused(start: bytes) -> None:
    with pytest.raises(ProtocolError):
        fed(start).handshake()


def test_huge_length_prefix_is_refused_before_its_bytes_arrive() -> None:
    with pytest.raises(ProtocolError, match=str(MAXIMUM_REQUEST_BYTES + 1)):
        fed((MAXIMUM_REQUEST_BYTES + 1).to_bytes(4, "big")).next()


@pytest.mark.parametrize("payload", [b"", b"1", b"\xff\0"])
def test_payloads_that_are_not_terminated_text(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        split_fields(payload)


@pytest.mark.parametrize(
    ("offer", "version"), [(b"v157..178", 178), (b"v157..176", 176), (b"v100..157", 157), (b"v157..225 +PACEAPI", 178)]
)
def test_negotiation(offer: bytes, version: int) -> None:
    assert negotiate(offer) == version


@pytest.mark.parametrize("offer", [b"v100..156", b"v179..225", b"157..178", b""])
def test_negotiation_without_a_common_version(offer: bytes) -> None:
    with pytest.raises(ProtocolError):
        negotiate(offer)


@pytest.mark.parametrize(
    ("layout", "values", "counts"),
    [
        (requests.PLACE_ORDER, {}, (110, 115, 114)),
        (answers.OPEN_ORDER, {}, (128, 136, 135)),
        (answers.COMPLETED_ORDER, {}, (96, 101, 100)),
        (answers.EXECUTION, {}, (31, 31, 32)),
        (answers.CONTRACT_DETAILS, {"security_ids": [{"tag": "ISIN", "value": "US0"}]}, (41, 42, 42)),
    ],
)
def test_field_counts(layout: Layout, values: dict[str, list[dict[str, str]]], counts: tuple[int, ...]) -> None:
    assert tuple(len(write(layout, values, version)) for version in VERSIONS) == counts


ANSWERS = {name: value for name, value in vars(answers).items() if name.isupper() and isinstance(value, tuple)}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("layout", [*requests.LAYOUTS.values(), *ANSWERS.values()])
def test_what_is_written_is_read_again(layout: Layout, version: int) -> None:
    row = read(layout, write(layout, {}, version), version)
    assert read(layout, write(layout, row, version), version) == row


def sent_by_client(send: object) -> list[str]:
    """Return the fields that the real client's own encoder sends."""
    client = Client(object())
    client._serverVersion = 178
    client.connState = Client.CONNECTED
    sent: list[str] = []
    client.sendMsg = sent.append  # type: ignore[method-assign]
    send(client)  # type: ignore[operator]
    (message,) = sent
    return message[:-1].split("\0")


def test_ib_asyncs_place_order_fits_with_every_optional_part() -> None:
    order = Order(
        action="BUY",
        totalQuantity=3,
        orderType="PEG BEST",
        lmtPrice=1e-05,
        competeAgainstBestOffset=math.inf,
        deltaNeutralOrderType="None",
        scalePriceIncrement=0.5,
        hedgeType="D",
        hedgeParam="1",
        algoStrategy="Vwap",
        algoParams=[TagValue("a", "1"), TagValue("b", "2")],
        conditions=[TimeCondition(isMore=True, time="20100104 10:00:00")],
        orderRef="reference",
    )
    contract = Contract(secType="STK", symbol="AAPL", exchange="IBKRATS", currency="USD")
    fields = sent_by_client(lambda client: client.placeOrder(9, contract, order))
    request = Request.parse(requests.PLACE, fields, 178)
    assert request.integer("order_id") == 9
    assert request.text("order_ref") == "reference"
    assert request.row["algo_params"] == [{"tag": "a", "value": "1"}, {"tag": "b", "value": "2"}]
    assert request.text("compete_against_best_offset") == "Infinite"


def test_ib_asyncs_combo_order_fits() -> None:
    from ib_async import ComboLeg

    contract = Contract(secType="BAG", symbol="AAPL", comboLegs=[ComboLeg(conId=1, ratio=1, action="BUY")])
    fields = sent_by_client(lambda client: client.placeOrder(9, contract, Order(orderType="MKT")))
    assert len(Request.parse(requests.PLACE, fields, 178).row["combo_legs"]) == 1


def test_left_over_and_missing_fields_are_named() -> None:
    layout = requests.LAYOUTS[requests.CANCEL_MARKET_DATA]
    with pytest.raises(LayoutError, match="request_id: field is missing"):
        read(layout, ["2", "2"], 178)
    with pytest.raises(LayoutError, match="1 fields left over, the first is 'x'"):
        read(layout, ["2", "2", "7", "x"], 178)


@pytest.mark.parametrize("count", ["-1", "x", "", "99999999999"])
def test_counts_that_are_no_counts(count: str) -> None:
    with pytest.raises(LayoutError, match="bars"):
        read(answers.HISTORICAL_DATA, ["17", "5", "start", "end", count], 178)


def test_values_without_a_field_are_refused() -> None:
    with pytest.raises(LayoutError, match="no_such_field"):
        write(answers.POSITION_END, {"no_such_field": 1}, 178)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "1"),
        (None, ""),
        (Decimal("100.10"), "100.1"),
        (Decimal("1E+3"), "1000"),
        (7, "7"),
        (Decimal("0.00"), "0"),
    ],
)
def test_spelling(value: object, expected: str) -> None:
    assert text(value) == expected


def test_fast_ticks_equal_their_layouts() -> None:
    head = {"request_id": 5, "tick_type": 1}
    price = answers.encode(answers.TICK_PRICE, {**head, "price": Decimal("10.50"), "size": 300}, 178)
    assert answers.tick_price(5, 1, Decimal("10.50"), 300) == price
    assert answers.tick_value(5, 1, 12) == answers.encode(answers.TICK_SIZE, {**head, "size": 12}, 178)
    assert answers.tick_value(5, 1, "x") == answers.encode(answers.TICK_STRING, {**head, "value": "x"}, 178)


def test_request_accessors_name_the_field() -> None:
    request = Request(2, {"request_id": "seven", "snapshot": "yes"})
    with pytest.raises(ValueError, match="request_id: 'seven'"):
        request.integer("request_id")
    with pytest.raises(ValueError, match="snapshot: 'yes'"):
        request.flag("snapshot")
    assert Request(2, {"snapshot": "True"}).flag("snapshot"), "numpy's spelling"
