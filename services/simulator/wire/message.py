"""One kind of answer: its id, the name of the client's callback for it, and its layout after the id."""

from dataclasses import dataclass, field

from services.simulator.wire.layout import Item, Layout, Repeat, known_names, names
from services.simulator.wire.parts import ANSWER_ROWS


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A field called `_version` in the layout is the message's own, obsolete version number, which clients skip."""

    id: int
    name: str
    layout: Layout
    known: frozenset[str] = field(init=False, default=frozenset(), repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", known_names(self.layout))


def message(message_id: int, name: str, *parts: str | Layout | Item) -> Message:
    """Return a message from its parts in order: words as of `names`, layouts, and single items."""
    layout: Layout = ()
    for part in parts:
        if isinstance(part, str):
            layout += names(part)
        else:
            layout += part if isinstance(part, tuple) else (part,)
    return Message(message_id, name, layout)


def rows(name: str, items: str | Layout) -> Repeat:
    """Return a counted list, as long as an answer may have."""
    return Repeat(name, names(items) if isinstance(items, str) else items, ANSWER_ROWS)
