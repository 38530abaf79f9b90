"""The log of everything received and sent, for people: one line per message.

    2010-01-04 09:31:00 <1 placeOrder order_id=5 symbol=AAPL sec_type=STK action=BUY total_quantity=100.0 ...
    2010-01-04 09:31:00 >1 orderStatus order_id=5 status=Submitted filled=0 remaining=100 ...

`<` came from the client whose id follows (`-` before startApi), `>` was sent to it. Times are virtual, in exchange
time; with `wall` the real time of day, UTC, comes first. Fields that are empty or at their default are left out, of a
long list only the first rows are shown, and a long text is cut. What cannot be read is shown raw.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from services.simulator.wire.answers import BY_ID, read_answer
from services.simulator.wire.layout import UNSET_DOUBLE, UNSET_INTEGER, Choice, Field, Layout, LayoutError, Row, When
from services.simulator.wire.requests import LAYOUTS, read_request

_ZONE = ZoneInfo("America/New_York")
_ROWS = 3
_TEXT = 80
_LINE = 2_000
_NOTHING = frozenset(("", UNSET_INTEGER, UNSET_DOUBLE, "1.7976931348623157e+308"))
_ALWAYS_SHOWN = frozenset(("request_id", "order_id", "client_id"))
_log = structlog.get_logger()

Clock = Callable[[], datetime]


class Trace:
    """Appends to a text file. A file that can no longer be written to ends the trace, not the simulator."""

    def __init__(self, path: Path, now: Clock, wall: Clock | None = None) -> None:
        """`now` gives the virtual time, `wall` the real one. Raises OSError when the file cannot be opened."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._path = path
        self._now = now
        self._wall = wall

    def received(self, client_id: int | None, fields: list[str], version: int) -> None:
        """Note a request, whose fields begin with its message id."""
        try:
            request = read_request(fields, version)
        except LayoutError:
            self._write("<", client_id, _raw(fields))
            return
        self._write(
            "<", client_id, " ".join((request.name, *_shown(request.row, _request_defaults(request.message_id))))
        )

    def sent(self, client_id: int | None, payload: bytes, version: int) -> None:
        """Note an answer: the payload of one frame, without its length."""
        fields = payload.decode("ascii", "backslashreplace").removesuffix("\0").split("\0")
        try:
            message, row = read_answer(fields, version)
        except LayoutError:
            self._write(">", client_id, _raw(fields))
            return
        self._write(">", client_id, " ".join((message.name, *_shown(row, _answer_defaults(message.id)))))

    def note(self, client_id: int | None, text: str) -> None:
        """Note something that is no message: a connection, a disconnection, a fault."""
        self._write("*", client_id, text)

    def close(self) -> None:
        self._file.close()

    def _write(self, direction: str, client_id: int | None, text: str) -> None:
        if self._file.closed:
            return
        wall = f"{self._wall():%H:%M:%S.%f} " if self._wall else ""
        who = "-" if client_id is None else client_id
        line = f"{wall}{self._now().astimezone(_ZONE):%Y-%m-%d %H:%M:%S} {direction}{who} {text}".rstrip()
        try:
            self._file.write(f"{line[:_LINE]}\n")
        except OSError as error:
            _log.warning("trace ended", path=str(self._path), reason=str(error))
            with suppress(OSError):  # closing tries to write once more
                self._file.close()


def _raw(fields: list[str]) -> str:
    return f"unreadable {len(fields)} fields: {' | '.join(_short(field) for field in fields[:20])}"


@cache
def _request_defaults(message_id: int) -> dict[str, frozenset[str]]:
    """Values not worth showing, by field: what clients write where a user has said nothing."""
    zeros = frozenset(("", "0", "0.0", "False", "None", "?"))
    defaults = dict(_defaults(LAYOUTS[message_id]))
    return {
        name: frozenset((default,)) if default or name in _ALWAYS_SHOWN else zeros for name, default in defaults.items()
    }


@cache
def _answer_defaults(message_id: int) -> dict[str, frozenset[str]]:
    return {name: frozenset((default,)) for name, default in _defaults(BY_ID[message_id].layout)}


def _shown(row: Row, defaults: dict[str, frozenset[str]]) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, list):
            if value:
                rows = ", ".join("(" + " ".join(_shown(each, {})) + ")" for each in value[:_ROWS])
                more = f", +{len(value) - _ROWS}" if len(value) > _ROWS else ""
                yield f"{name}[{len(value)}]={rows}{more}"
        elif value not in _NOTHING and value not in defaults.get(name, ()) and name != "_version":
            yield f"{name}={_short(value)}"


def _defaults(layout: Layout) -> Iterator[tuple[str, str]]:
    for item in layout:
        if isinstance(item, Field):
            yield item.name, item.default
        elif isinstance(item, When):
            yield from _defaults(item.items)
        elif isinstance(item, Choice):
            for items in item.cases.values():
                yield from _defaults(items)


def _short(text: str) -> str:
    """Return a text in at most `_TEXT` characters, in quotes if it has blanks or is not printable."""
    cut = text if len(text) <= _TEXT else f"{text[:_TEXT]}...({len(text)})"
    return cut if cut.isprintable() and " " not in cut else repr(cut)
