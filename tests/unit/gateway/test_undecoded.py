"""ib_async's decoder swallows what it can't read; we hear of it, and nothing else happens."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ib_async.client import Client

from services.gateway.adapters.tws.callbacks import Callbacks
from services.gateway.adapters.tws.quotes import Quotes
from services.gateway.core.book import blank_report
from services.gateway.core.error_codes import UNDECODABLE
from services.simulator.wire import answers
from services.simulator.wire.layout import Values, write
from services.simulator.wire.message import Message as WireMessage
from shared.clock import MessageClock
from shared.messages.base import Message
from shared.messages.broker import BrokerErrorReported, ErrorEffect, ExecutionReported, OrderReported
from shared.types import OrderStatus

VERSION = 178
ORDER: Values = {"order_id": "7", "perm_id": "900", "client_id": "1", "order_ref": "a"}
TOLD: dict[str, tuple[WireMessage, Values]] = {
    "openOrder": (
        answers.OPEN_ORDER,
        {**ORDER, "con_id": "8314", "symbol": "IBM", "sec_type": "STK", "action": "BUY", "total_quantity": "100",
         "order_type": "LMT", "limit_price": "10.5"},
    ),
    "orderStatus": (
        answers.ORDER_STATUS,
        {**ORDER, "status": "Submitted", "filled": "40", "remaining": "60", "average_fill_price": "10.5"},
    ),
    "execDetails": (
        answers.EXECUTION,
        {**ORDER, "request_id": "-1", "con_id": "8314", "symbol": "IBM", "sec_type": "STK", "currency": "USD",
         "execution_id": "1.1.01.01", "time": "20240603 10:00:00 US/Eastern", "side": "BOT", "shares": "40",
         "price": "10.5", "cumulative_quantity": "40", "average_price": "10.5"},
    ),
    "commissionReport": (answers.COMMISSION, {"execution_id": "1.1.01.01", "commission": "1", "currency": "USD"}),
}  # fmt: skip
ODD = ["", "many", "NaN", "Infinity", "-1", "1.7976931348623157E308", "0", "None", "?", "9" * 30, "\ud83d\ude00".encode(
    "utf-16", "surrogatepass").decode("utf-16")]  # fmt: skip


class Heard:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def heard(self, message: Message) -> None:
        self.messages.append(message)

    def quotes_changed(self) -> None: ...

    def errors(self) -> list[BrokerErrorReported]:
        return [message for message in self.messages if isinstance(message, BrokerErrorReported)]


def connection() -> tuple[Heard, Callbacks, Any]:
    """Callbacks in which order `a` was sent as number 7, and the decoder that calls them."""
    heard, clock = Heard(), MessageClock()
    callbacks = Callbacks(heard, clock, Quotes(clock, trade_time=True, rate=0.0), client_id=1)
    client: Any = Client(callbacks)  # type: ignore[arg-type]
    callbacks.listen_to(client)
    client.decoder.serverVersion = VERSION
    callbacks.orders.book.sent(blank_report("a", 7, Decimal(100)))
    return heard, callbacks, client.decoder


def fields(name: str) -> list[str]:
    message, values = TOLD[name]
    return [
        str(message.id),
        *write(message.layout, {name: values[name] for name in values if name in message.known}, VERSION),
    ]


def test_what_can_be_read_is_heard() -> None:
    heard, callbacks, decoder = connection()
    for name in TOLD:
        decoder.interpret(fields(name))
    assert heard.errors() == []
    known = callbacks.orders.book.known("a")
    assert known is not None
    assert (known.status, known.filled, known.perm_id) == (OrderStatus.PARTIALLY_FILLED, 40, 900)
    assert [type(message).__name__ for message in heard.messages] == [
        "OrderReported",
        "ExecutionReported",
        "CommissionReported",
    ]


@given(st.sampled_from(list(TOLD)), st.integers(0, 200), st.sampled_from(ODD), st.booleans())
def test_a_broken_field_is_read_or_heard_of(name: str, index: int, odd: str, cut: bool) -> None:
    heard, _, decoder = connection()
    told = fields(name)
    index = 1 + index % (len(told) - 1)
    decoder.interpret(told[:index] if cut else [*told[:index], odd, *told[index + 1 :]])
    for error in heard.errors():
        assert error.effect is ErrorEffect.UNKNOWN
    for message in heard.messages:
        type(message).model_validate(message.model_dump())  # no number that is none has come through
        if isinstance(message, OrderReported):
            assert message.status not in (OrderStatus.CANCELLED, OrderStatus.REJECTED)
        if isinstance(message, ExecutionReported):
            assert message.quantity > 0
    if cut:
        assert heard.messages, "a message that is too short is read, or heard of"


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (["2", "6", "1000000000", "0", "many"], 0),
        (["1", "6", "1000000000", "1"], 0),
        (["999", "6"], UNDECODABLE),
        ([], UNDECODABLE),
        (["61", "3", "DU1"], UNDECODABLE),
    ],
)
def test_only_what_may_be_about_orders_or_positions_has_everything_asked_again(told: list[str], code: int) -> None:
    heard, callbacks, decoder = connection()
    decoder.interpret(told)
    (error,) = heard.errors()
    assert error.code == code
    assert error.effect is (ErrorEffect.UNKNOWN if code else ErrorEffect.DATA)
    assert callbacks.undecoded.books == bool(code)
