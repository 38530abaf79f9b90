"""Messages that the cores make without checks are the ones that a reader would have made with them."""

from pathlib import Path

import pytest

from shared.messages.base import Envelope, Message, decode
from shared.messages.broker_commands import Algorithm, CancelOrder
from shared.messages.risk import RuleCheck
from shared.streams import BY_MESSAGE

GOLDEN = Path(__file__).parent / "golden"


def read(message: type[Message]) -> Envelope[Message]:
    return decode((GOLDEN / f"{message.__name__}.json").read_bytes(), BY_MESSAGE[message].types)


@pytest.mark.parametrize("message", BY_MESSAGE, ids=lambda message: message.__name__)
def test_a_trusted_message_is_and_encodes_as_a_checked_one(message: type[Message]) -> None:
    envelope = read(message)
    values = {name: getattr(envelope.data, name) for name in reversed(message.model_fields)}
    made = message.trusted(**values)
    assert made == envelope.data
    assert made.model_copy() == envelope.data
    same = Envelope(
        envelope.id,
        envelope.source,
        envelope.time,
        envelope.subject,
        envelope.correlationid,
        envelope.causationid,
        made,
    )
    assert same.encode() == envelope.encode()


@pytest.mark.parametrize("message", BY_MESSAGE, ids=lambda message: message.__name__)
def test_what_is_left_out_has_its_default(message: type[Message]) -> None:
    checked = read(message).data
    fields = message.model_fields.items()
    required = {name for name, field in fields if field.is_required() or field.default_factory}
    made = message.trusted(**{name: getattr(checked, name) for name in required})
    assert {name: getattr(made, name) for name, field in fields if name not in required} == {
        name: field.default for name, field in fields if name not in required
    }
    assert made.model_dump_json() == type(made).model_validate(made.model_dump()).model_dump_json()


def test_a_field_that_has_no_plain_default_must_be_given() -> None:
    with pytest.raises(TypeError, match="order_ref"):
        CancelOrder.trusted()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="parameters"):
        Algorithm.trusted(name="Adaptive")  # a dictionary of its own for each: not shared, so not defaulted


def test_a_trusted_message_is_frozen() -> None:
    check = RuleCheck.trusted(rule="a", value="b", limit="c", passed=True)
    with pytest.raises(ValueError, match="frozen"):
        check.rule = "d"  # type: ignore[misc]
