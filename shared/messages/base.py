"""The envelope every message travels in: the CloudEvents 1.0 attributes, readable as one JSON object.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md (attributes) and
https://www.w3.org/TR/trace-context/ (traceparent).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar
from uuid import UUID, uuid5

import orjson
from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticUndefined

NAMESPACE = UUID("6d696c6c-7261-4365-8000-000000000000")  # "millrace", for ids that have no cause

P = ParamSpec("P")
M = TypeVar("M")

_SLOTS = {
    "set_values": BaseModel.__dict__["__dict__"].__set__,
    "set_names": BaseModel.__dict__["__pydantic_fields_set__"].__set__,
    "set_extra": BaseModel.__dict__["__pydantic_extra__"].__set__,
    "set_private": BaseModel.__dict__["__pydantic_private__"].__set__,
}


class Message(BaseModel):
    """What a message says. Frozen, and closed: an unknown field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null", allow_inf_nan=False)

    if TYPE_CHECKING:

        @classmethod
        def trusted(cls: Callable[P, M], *args: P.args, **values: P.kwargs) -> M:
            """Make a message of values that are right already, by the names of its fields, without checking them again.

            For the cores, which make their messages of parts of others: whoever reads a message off a stream checks it
            (`decode`), and the type checker compares the arguments with the fields. Several times as fast. A field
            whose default is made anew for each message must be given.
            """
            ...

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        cls.trusted = _constructor(cls)


def _constructor(message: type[BaseModel]) -> Any:
    """A function written for one model, as dataclasses writes them, that fills the model's slots as pydantic would."""
    fields = message.model_fields
    template = {name: field.default for name, field in fields.items()}
    required = [name for name in fields if template[name] is PydanticUndefined]
    others = "**others" if len(required) < len(fields) else ""
    source = f"""
def trusted({", ".join([*required, others])}):
    values = template{" | others" if others else ".copy()"}
    {"; ".join(f"values[{name!r}] = {name}" for name in required)}
    made = new(message)
    set_values(made, values)
    set_names(made, names)
    set_extra(made, None)
    set_private(made, None)
    return made
"""
    known: dict[str, Any] = {
        "new": object.__new__,
        "message": message,
        "template": template,
        "names": set(fields),
        **_SLOTS,
    }
    exec(source, known)  # noqa: S102 - of the names of fields alone
    return staticmethod(known["trusted"])


M_co = TypeVar("M_co", bound=Message, covariant=True)


class MalformedMessage(ValueError):  # noqa: N818 - it says what happened
    """Bytes on a stream that are not one of its messages."""


@dataclass(frozen=True, slots=True)
class Envelope(Generic[M_co]):
    """One message with its identity and its lineage.

    `id` is derived from the cause, so that a redelivered cause publishes the same id and readers drop the second
    copy. `correlationid` is the id of the first message of the chain; `causationid` that of the direct cause.
    """

    id: UUID
    source: str
    time: datetime
    subject: str
    correlationid: UUID
    causationid: UUID | None
    data: M_co

    def __post_init__(self) -> None:
        if self.time.tzinfo is None:
            raise ValueError(f"time {self.time.isoformat()} of a {self.type} has no zone; make it UTC")

    @property
    def type(self) -> str:
        return type(self.data).__name__

    @property
    def traceparent(self) -> str:
        return f"00-{self.correlationid.hex}-{self.id.hex[:16]}-01"

    def encode(self) -> bytes:
        return orjson.dumps(
            {
                "specversion": "1.0",
                "id": str(self.id),
                "source": self.source,
                "type": self.type,
                "time": self.time.isoformat(),
                "subject": self.subject,
                "correlationid": str(self.correlationid),
                "causationid": str(self.causationid) if self.causationid else None,
                "traceparent": self.traceparent,
                "data": self.data.model_dump(mode="json"),
            }
        )


def originate(data: Message, *, source: str, time: datetime, subject: str, key: str) -> Envelope[Any]:
    """Wrap a message that has no cause inside Millrace.

    `key` names the fact in the outer world (an execution id, a bar's symbol and end ...): the same fact always
    gets the same id.
    """
    identity = uuid5(NAMESPACE, f"{source}:{type(data).__name__}:{key}")
    return Envelope(identity, source, time, subject, identity, None, data)


def follow(
    cause: Envelope[Message], data: Message, *, source: str, time: datetime, subject: str, key: str = ""
) -> Envelope[Any]:
    """Wrap a message that `cause` led to. `key` tells several messages of one type and cause apart."""
    identity = uuid5(cause.id, f"{source}:{type(data).__name__}:{key}")
    return Envelope(identity, source, time, subject, cause.correlationid, cause.id, data)


_ATTRIBUTES = {
    "specversion", "id", "source", "type", "time", "subject", "correlationid", "causationid", "traceparent", "data",
}  # fmt: skip


def decode(raw: bytes, types: dict[str, type[Message]]) -> Envelope[Message]:
    """Read one envelope.

    Raises:
        MalformedMessage: not JSON, an attribute missing or unknown, a type that `types` lacks, or invalid data.
    """
    try:
        document = orjson.loads(raw)
        if wrong := set(document) ^ _ATTRIBUTES:
            raise MalformedMessage(f"attributes unknown or missing: {sorted(wrong)}")
        if document["specversion"] != "1.0":
            raise MalformedMessage(f"specversion {document['specversion']!r}: only '1.0' is known")
        if document["type"] not in types:
            raise MalformedMessage(f"type {document['type']!r} does not belong on this stream; known: {sorted(types)}")
        causation = document["causationid"]
        return Envelope(
            UUID(document["id"]),
            str(document["source"]),
            datetime.fromisoformat(document["time"]),
            str(document["subject"]),
            UUID(document["correlationid"]),
            UUID(causation) if causation else None,
            types[document["type"]].model_validate(document["data"]),
        )
    except MalformedMessage:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MalformedMessage(f"{type(error).__name__}: {error}") from error
