import pytest

from services.gateway.core.error_codes import UNDECODABLE, Context, effect, ends_request, kind, meaning
from services.gateway.core.error_kinds import Kind
from services.gateway.core.order_codes import ORDER_CODES
from services.gateway.core.other_codes import OTHER_CODES
from shared.messages.broker import ErrorEffect

NEW, LIVE, CHANGE, CANCEL, REQUEST, NOTHING = Context


@pytest.mark.parametrize(
    ("code", "context", "expected"),
    [
        (201, NEW, ErrorEffect.ORDER_REJECTED),
        (201, LIVE, ErrorEffect.WARNING),
        (110, NEW, ErrorEffect.ORDER_REJECTED),
        (110, CHANGE, ErrorEffect.STILL_ALIVE),
        (321, NEW, ErrorEffect.ORDER_REJECTED),
        (321, CHANGE, ErrorEffect.STILL_ALIVE),
        (200, REQUEST, ErrorEffect.DATA),
        (451, NEW, ErrorEffect.ORDER_REJECTED),
        (460, NEW, ErrorEffect.ORDER_REJECTED),
        (10311, NEW, ErrorEffect.ORDER_REJECTED),
        (202, NEW, ErrorEffect.ORDER_CANCELLED),
        (202, CANCEL, ErrorEffect.ORDER_CANCELLED),
        (161, CANCEL, ErrorEffect.STILL_ALIVE),
        (10147, CANCEL, ErrorEffect.STILL_ALIVE),
        (10147, NEW, ErrorEffect.STILL_ALIVE),
        (10148, CANCEL, ErrorEffect.STILL_ALIVE),
        (2102, CHANGE, ErrorEffect.STILL_ALIVE),
        (10349, NEW, ErrorEffect.WARNING),  # ib_async calls such an order Cancelled
        (399, NEW, ErrorEffect.WARNING),
        (404, LIVE, ErrorEffect.WARNING),
        (2109, NEW, ErrorEffect.WARNING),
        (2199, NOTHING, ErrorEffect.WARNING),  # in IBKR's range of warnings, and in no list
        (103, NEW, ErrorEffect.UNKNOWN),
        (103, LIVE, ErrorEffect.STILL_ALIVE),
        (10328, NEW, ErrorEffect.UNKNOWN),
        (100, NOTHING, ErrorEffect.PACING),
        (100, NEW, ErrorEffect.PACING),
        (101, REQUEST, ErrorEffect.PACING),
        (1100, NOTHING, ErrorEffect.LINK),
        (504, NEW, ErrorEffect.LINK),
        (10197, REQUEST, ErrorEffect.DATA),
        (2104, NOTHING, ErrorEffect.DATA),
        (10167, REQUEST, ErrorEffect.DATA),
        (UNDECODABLE, NOTHING, ErrorEffect.UNKNOWN),
    ],
)
def test_effect(code: int, context: Context, expected: ErrorEffect) -> None:
    assert effect(code, "", context) is expected


@pytest.mark.parametrize("context", Context)
@pytest.mark.parametrize("code", [0, 99, 600, 2200, 9999, 10350, 987654])
def test_a_code_that_nobody_documented_changes_nothing(code: int, context: Context) -> None:
    assert effect(code, "order rejected, cancelled, gone", context) is ErrorEffect.UNKNOWN
    assert meaning(code) == ""


@pytest.mark.parametrize("context", [LIVE, CHANGE, CANCEL])
def test_only_a_cancel_ends_an_acknowledged_order(context: Context) -> None:
    ends = {ErrorEffect.ORDER_REJECTED, ErrorEffect.ORDER_CANCELLED}
    assert [code for code in (*ORDER_CODES, *OTHER_CODES) if effect(code, "", context) in ends] == [202]


def test_pacing_is_told_by_the_text_where_one_code_means_several_things() -> None:
    text = "Historical Market Data Service error message:Historical data request pacing violation"
    assert effect(162, text, REQUEST) is ErrorEffect.PACING
    assert effect(162, "HMDS query returned no data: AAPL@SMART Trades", REQUEST) is ErrorEffect.DATA


def test_a_refusal_ends_a_request_and_a_notice_does_not() -> None:
    ending = [code for code in (162, 200, 321, 354, 10197, 99999, 2176, 10167, 10090, 399) if ends_request(code, "")]
    assert ending == [162, 200, 321, 354, 10197, 99999]


def test_every_code_stands_in_one_list_with_a_meaning() -> None:
    assert not set(ORDER_CODES) & set(OTHER_CODES)
    assert all(meaning(code) for code in (*ORDER_CODES, *OTHER_CODES))
    assert kind(10147, "") is Kind.KEPT
