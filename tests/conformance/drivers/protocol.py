"""How a driver speaks with the suite: JSON lines on stdin and stdout, one answer per call.

Runs inside each client's own environment, so it uses the standard library only. A call is
`{"call": name, "session": name, "args": {...}}`, its answer `{"result": ...}` or `{"error": text}`.
"""

import json
import logging
import math
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

UNSET = {2**31 - 1, 2**63 - 1}
NEW_YORK = ZoneInfo("America/New_York")


class Complaints(logging.Handler):
    """Keeps what a library logs about messages that it could not use."""

    EXPECTED = (
        "Error ",
        "Warning ",
        "IBKR API validation warning",
        "Canceled order",
        "Peer closed",
        "API connection failed",
    )

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        logging.getLogger().addHandler(self)
        logging.getLogger().setLevel(logging.WARNING)
        threading.excepthook = lambda arguments: self.texts.append(f"a thread died: {arguments.exc_value!r}")

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        decoding = record.name.endswith("Decoder") or record.exc_info is not None
        if decoding or not text.startswith(self.EXPECTED):
            cause = f": {record.exc_info[1]!r}" if record.exc_info else ""
            self.texts.append(f"{record.name}: {text}{cause}")

    def take(self) -> list[str]:
        texts, self.texts = self.texts, []
        return texts


def plain(value: Any) -> Any:
    """Return a library's object as what JSON can hold; numbers that mean "not set" become None, times UTC."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, int):
        return None if value in UNSET else value
    if isinstance(value, float | Decimal):
        number = float(value)
        return None if math.isnan(number) or abs(number) > 1e300 else number
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return _plain_collection(value)


def _plain_collection(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    names = vars(value) if hasattr(value, "__dict__") else value.__slots__
    return {name: plain(getattr(value, name)) for name in names if not name.endswith("Event")}


def moment(text: Any) -> Any:
    """Return a date or a time in one of TWS's forms as plain() gives it; other values as they are."""
    if not isinstance(text, str):
        return plain(text)
    if len(text) == 8 and text.isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    if text.isdigit():
        return datetime.fromtimestamp(int(text), UTC).isoformat()
    day, _, rest = text.partition(" ") if " " in text else text.partition("-")
    clock, _, zone = rest.strip().partition(" ")
    place = ZoneInfo(zone) if zone else NEW_YORK
    return datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S").replace(tzinfo=place).astimezone(UTC).isoformat()


def answer(result: Any = None, error: str = "") -> None:
    sys.stdout.write(json.dumps({"error": error} if error else {"result": result}) + "\n")
    sys.stdout.flush()
