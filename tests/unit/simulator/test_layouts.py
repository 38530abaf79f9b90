"""Every layout at every version, in both directions: what is written is read."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.simulator.wire import AMBIGUOUS_VERSION, MAXIMUM_VERSION, MINIMUM_VERSION, answers, requests
from services.simulator.wire.framing import frame, split_fields
from services.simulator.wire.layout import (
    DECIMAL_SIZES_SINCE,
    UNSET_DOUBLE,
    Choice,
    Field,
    Layout,
    LayoutError,
    Repeat,
    Row,
    When,
    read,
    text,
    whole,
    write,
)
from services.simulator.wire.requests import read_request, write_request

VERSIONS = [version for version in range(MINIMUM_VERSION, MAXIMUM_VERSION + 1) if version != AMBIGUOUS_VERSION]
LAYOUTS: dict[str, Layout] = {
    **{requests.NAMES[message_id]: layout for message_id, layout in requests.LAYOUTS.items()},
    **{message.name: message.layout for message in answers.MESSAGES},
}
DECIDING: dict[str, list[str]] = {
    "sec_type": ["STK", "BAG"],
    "order_type": ["LMT", "PEG BENCH", "PEGBENCH", "PEG BEST", "PEGBEST", "PEG MID", "PEGMID"],
    "exchange": ["SMART", "IBKRATS"],
    "delta_neutral_order_type": ["", "None", "MKT"],
    "delta_neutral_contract": ["", "0", "1", "False", "True"],
    "scale_price_increment": ["", "0", "0.5", "-1", UNSET_DOUBLE, "1.7976931348623157e+308", "nan", "x"],
    "hedge_type": ["", "D"],
    "algo_strategy": ["", "Vwap"],
    "compete_against_best_offset": ["", "0.1", "Infinite"],
}
"""Values that decide whether other fields follow."""
FREE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
NUMBERS = st.one_of(st.integers(0, 10**12).map(str), st.decimals(0, 10**9, places=2).map(str), st.just(""))


@st.composite
def rows(draw: Callable[[Any], Any], layout: Layout) -> dict[str, Any]:
    """Draw a value for every name of a layout, whether its turn comes or not."""
    values: dict[str, Any] = {}
    for item in layout:
        if isinstance(item, Field):
            kind = st.sampled_from(DECIDING[item.name]) if item.name in DECIDING else NUMBERS if item.whole else FREE
            values.setdefault(item.name, draw(kind))
        elif isinstance(item, Repeat):
            values[item.name] = draw(st.lists(rows(item.items), max_size=2))
        elif isinstance(item, When):
            values = {**draw(rows(item.items)), **values}
        else:
            values[item.name] = draw(st.sampled_from(list(item.cases)))
            values = {**draw(rows(item.cases[values[item.name]])), **values}
    return values


def assert_read_back(values: dict[str, Any], row: Row, layout: Layout, version: int) -> None:
    """Every field that the version has was read as it was written, every other one has its default."""
    for item in layout:
        if isinstance(item, Field):
            written = text(values[item.name])
            if not item.since <= version < item.until:
                written = item.default
            elif item.whole and version < DECIMAL_SIZES_SINCE:
                written = whole(written)
            assert row[item.name] == written, item.name
        elif isinstance(item, Repeat):
            found = row[item.name]
            assert isinstance(found, list)
            for value, one in zip(values[item.name], found, strict=True):
                assert_read_back(value, one, item.items, version)
        elif isinstance(item, Choice):
            assert_read_back(values, row, item.cases[values[item.name]], version)
        elif version >= item.since and item.test(row):
            assert_read_back(values, row, item.items, version)


@pytest.mark.parametrize("name", LAYOUTS)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_again_at_every_version(name: str, data: st.DataObject) -> None:
    layout = LAYOUTS[name]
    values = data.draw(rows(layout))
    for version in VERSIONS:
        fields = write(layout, values, version)
        row = read(layout, fields, version)
        assert_read_back(values, row, layout, version)
        assert write(layout, row, version) == fields


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_begin_with_their_ids(version: int) -> None:
    for message in answers.MESSAGES:
        rows = {"tick_type": "1"} if message is answers.TICK_BY_TICK else {}
        fields = split_fields(answers.encode(message, rows, version)[4:])
        assert answers.read_answer(fields, version)[0] is message
    for message_id in requests.LAYOUTS:
        assert read_request(write_request(message_id, {}, version), version).message_id == message_id


def test_no_two_messages_share_an_id_or_a_name() -> None:
    assert len(answers.BY_ID) == len(answers.MESSAGES) == len({message.name for message in answers.MESSAGES})
    assert len(set(requests.NAMES.values())) == len(requests.NAMES)
    assert not set(requests.NAMES.values()) & {message.name for message in answers.MESSAGES}


@pytest.mark.parametrize("fields", [[], [""], ["0"], ["999"], ["x"], ["9" * 5000], ["\u0661"]])
def test_messages_that_are_none(fields: list[str]) -> None:
    with pytest.raises(LayoutError):
        read_request(fields, 178)
    with pytest.raises(LayoutError):
        answers.read_answer(fields, 178)


SECURITY_ID = {"security_ids": [{"tag": "ISIN", "value": "US0"}]}


@pytest.mark.parametrize(
    ("layout", "values", "counts"),
    [
        # with the message id, at versions 157, 176 and 178; published captures of real gateways agree at 176
        (requests.LAYOUTS[requests.PLACE], {}, (110, 115, 114)),
        (answers.OPEN_ORDER.layout, {}, (128, 136, 135)),
        (answers.COMPLETED_ORDER.layout, {}, (96, 101, 100)),
        (answers.EXECUTION.layout, {}, (31, 31, 32)),
        (answers.CONTRACT_DETAILS.layout, SECURITY_ID, (41, 42, 42)),
        (answers.ERROR.layout, {}, (5, 6, 6)),
        (answers.PORTFOLIO.layout, {}, (20, 20, 20)),
        (answers.POSITION.layout, {}, (16, 16, 16)),
        (requests.LAYOUTS[requests.REQUEST_SCANNER], {}, (25, 25, 25)),
        (requests.LAYOUTS[requests.REQUEST_CONTRACT_DETAILS], {}, (18, 19, 19)),
        (requests.LAYOUTS[requests.CANCEL_ORDER], {}, (3, 4, 4)),
        (requests.LAYOUTS[requests.REQUEST_WSH_EVENT_DATA], {}, (3, 10, 10)),
    ],
)
def test_field_counts(layout: Layout, values: dict[str, Any], counts: tuple[int, ...]) -> None:
    assert tuple(1 + len(write(layout, values, version)) for version in (157, 176, 178)) == counts


def test_a_place_order_with_every_optional_part_is_as_long_as_ibapis() -> None:
    order = {
        "sec_type": "BAG",
        "order_type": "PEG BENCH",
        "combo_legs": [{}],
        "order_combo_legs": [{}],
        "smart_combo_routing_params": [{}],
        "delta_neutral_order_type": "MKT",
        "scale_price_increment": 0.5,
        "hedge_type": "D",
        "algo_strategy": "Vwap",
        "algo_params": [{}, {}],
        "conditions": [{"type": kind} for kind in "134567"],
    }
    assert len(write_request(requests.PLACE, order, 157)) == 184, "counted in what ibapi 9.81.1 sends"


def test_contract_details_at_163_have_one_of_the_three_sizes() -> None:
    counts = {version: len(write(answers.CONTRACT_DETAILS.layout, {}, version)) for version in (162, 163, 164)}
    assert counts == {162: 38, 163: 39, 164: 39}


def test_counts_are_limited() -> None:
    fields = write_request(requests.REQUEST_MARKET_DATA, {"sec_type": "BAG"}, 178)
    fields[fields.index("0")] = "1001"
    with pytest.raises(LayoutError, match="combo_legs: '1001' is not a count of 0 to 1000 rows"):
        read_request(fields, 178)


@pytest.mark.parametrize(
    ("size", "expected"),
    [("100", "100"), ("100.0", "100"), ("0.4", "0"), ("99.5", "100"), ("1e3", "1000"), ("", ""), ("NaN", "NaN")],
)
def test_sizes_are_whole_for_old_clients(size: str, expected: str) -> None:
    values = {"request_id": 1, "tick_type": 0, "size": size}
    assert write(answers.TICK_SIZE.layout, values, 162)[-1] == expected
    assert write(answers.TICK_SIZE.layout, values, 163)[-1] == size


def test_a_text_cannot_smuggle_in_a_field() -> None:
    with pytest.raises(LayoutError, match="NUL"):
        answers.encode(answers.TICK_STRING, {"value": "a\0b"}, 178)


def test_fast_ticks_equal_their_layouts() -> None:
    head = {"request_id": 5, "tick_type": 1}
    price = answers.encode(answers.TICK_PRICE, {**head, "price": Decimal("10.50"), "size": 300}, 178)
    assert answers.tick_price(5, 1, Decimal("10.50"), 300) == price
    assert answers.tick_value(5, 1, 12) == answers.encode(answers.TICK_SIZE, {**head, "size": 12}, 178)
    assert answers.tick_value(5, 1, "x") == answers.encode(answers.TICK_STRING, {**head, "value": "x"}, 178)
    assert frame(("1",)) == b"\0\0\0\x021\0"
