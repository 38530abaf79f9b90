"""Messages that ib_async can't decode, or that our callbacks fail on: it writes them to its log and goes on.

Source: its `Decoder.interpret` and `Decoder.wrap`, version 2.1; both write to `Decoder.logger`.
"""

import logging
import re
from collections.abc import Callable

from services.gateway.core.error_codes import UNDECODABLE
from services.gateway.ports import Listener
from shared.messages.broker import BrokerErrorReported, ErrorEffect

LONGEST_TEXT = 500
_MESSAGE = re.compile(r"Error (?:handling fields: \['(?P<number>\d+)'|for (?P<name>\w+)\()")
_OF_THE_MARKET = frozenset({1, 2, 12, 13, 17, 19, 20, 21, 45, 46, 47, 50, 57, 58, 80, 81, 84, 90, 96, 97, 98, 99})
_OF_THE_BOOKS = frozenset({"orderStatus", "positionEnd", "openOrderEnd", "completedOrdersEnd", "execDetailsEnd"})
"""Messages by number that tell nothing of orders, fills or positions, and by name those that do.

What could not be decoded is written with its fields, a callback that failed with its name; messages of orders,
executions and commissions always with their fields, as ib_async has a decoder of its own for each.
"""


class Undecoded:
    """Each becomes an error that is heard; `books` counts those after which everything must be asked again."""

    def __init__(self, listener: Listener) -> None:
        self.books = 0
        self.logger = logging.Logger("ib_async.Decoder")
        self.logger.addHandler(_Handler(self._heard))
        self._listener = listener

    def _heard(self, text: str) -> None:
        found = _MESSAGE.match(text)
        harmless = found is not None and (
            int(found["number"]) in _OF_THE_MARKET if found["number"] else found["name"] not in _OF_THE_BOOKS
        )
        self.books += not harmless
        self._listener.heard(
            BrokerErrorReported(
                code=0 if harmless else UNDECODABLE,
                text=f"a message of the broker can't be read: {text[:LONGEST_TEXT]}",
                effect=ErrorEffect.DATA if harmless else ErrorEffect.UNKNOWN,
            )
        )


class _Handler(logging.Handler):
    def __init__(self, heard: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = heard

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._tell(f"{record.getMessage()} {type(error).__name__}: {error}")
