"""Frames, negotiation, errors of layouts, and how values are spelt."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.wire import answers, requests
from services.simulator.wire.framing import (
    MAXIMUM_REQUEST_BYTES,
    FrameReader,
    ProtocolError,
    frame,
    negotiate,
    split_fields,
)
from services.simulator.wire.layout import LayoutError, read, text, write
from services.simulator.wire.requests import Request


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
    ("offer", "version"),
    [(b"v157..178", 178), (b"v157..176", 176), (b"v100..157", 157), (b"v157..225 +PACEAPI", 178), (b"v100..158", 157)],
)
def test_negotiation(offer: bytes, version: int) -> None:
    assert negotiate(offer) == version


@pytest.mark.parametrize("offer", [b"v100..156", b"v158", b"v158..158", b"v179..225", b"157..178", b""])
def test_negotiation_without_a_common_version(offer: bytes) -> None:
    with pytest.raises(ProtocolError):
        negotiate(offer)


def test_left_over_and_missing_fields_are_named() -> None:
    layout = requests.LAYOUTS[requests.CANCEL_MARKET_DATA]
    with pytest.raises(LayoutError, match="request_id: field is missing"):
        read(layout, ["2"], 178)
    with pytest.raises(LayoutError, match="1 fields left over, the first is 'x'"):
        read(layout, ["2", "7", "x"], 178)


@pytest.mark.parametrize("count", ["-1", "x", "", "99999999999"])
def test_counts_that_are_no_counts(count: str) -> None:
    with pytest.raises(LayoutError, match="bars"):
        read(answers.HISTORICAL_DATA.layout, ["5", "start", "end", count], 178)


def test_values_without_a_field_are_refused() -> None:
    with pytest.raises(LayoutError, match="no_such_field"):
        write(answers.POSITION_END.layout, {"no_such_field": 1}, 178)


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


def test_request_accessors_name_the_field() -> None:
    request = Request(2, {"request_id": "seven", "snapshot": "yes", "count": "9" * 19, "strike": "\u0661", "rows": []})
    for name in ("count", "strike"):
        with pytest.raises(ValueError, match=name):
            request.integer(name)
    with pytest.raises(ValueError, match="rows: expected one value"):
        request.text("rows")
    assert Request(2, {"count": "-5"}).integer("count") == -5
    assert Request(2, {"count": "2147483647"}).integer("count", 7) == 7
    with pytest.raises(ValueError, match="request_id: 'seven'"):
        request.integer("request_id")
    with pytest.raises(ValueError, match="snapshot: 'yes'"):
        request.flag("snapshot")
    assert Request(2, {"snapshot": "True"}).flag("snapshot"), "numpy's spelling"
