"""One HTTP request as the handlers see it, and the answer that is not the one hoped for."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from services.simulator.core.instruments import Instrument
from services.simulator.core.market import Market

_LONGEST_NUMBER = 18


class WebError(Exception):
    """Answered with an HTTP status and `{"error": text}`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Call:
    """What a client asks: parameters of the path and of the query, and the JSON body, `{}` if it has none."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any] = field(default_factory=dict[str, Any])

    def required(self, name: str) -> str:
        """Return a parameter of the query. Raises WebError 400 if it is missing."""
        text = self.query.get(name, "")
        if not text:
            raise WebError(400, f"Bad Request: {name} is missing")
        return text

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("true", "1")

    def conids(self) -> list[int]:
        """Return the contract ids of `conids=1,2`."""
        return [whole("conids", part) for part in self.required("conids").split(",") if part]

    def instrument(self, market: Market, name: str = "conid") -> Instrument:
        """Return the contract of a parameter of path or query."""
        return instrument(market, whole(name, self.path.get(name) or self.required(name)))


Handler: TypeAlias = Callable[[Call], Awaitable[object]]


def instrument(market: Market, contract_id: int) -> Instrument:
    """Return a contract. Raises WebError 400 if there is none of that id."""
    try:
        return market.instrument(contract_id)
    except KeyError:
        raise WebError(400, f"Bad Request: no contract found for conid {contract_id}") from None


def whole(name: str, value: object) -> int:
    """Return a whole number. Raises WebError 400 for anything else."""
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdecimal() or len(text) > _LONGEST_NUMBER:
        raise WebError(400, f"Bad Request: {name} {text[:40]!r} is not a whole number")
    return int(text)


def number(name: str, value: object) -> Decimal | None:
    """Return a number, None for none and for empty text. Raises WebError 400 for anything else."""
    if value is None or value == "":
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        found = Decimal("NaN")
    if isinstance(value, bool) or not found.is_finite() or abs(found) > Decimal(10) ** _LONGEST_NUMBER:
        raise WebError(400, f"Bad Request: {name} {str(value)[:40]!r} is not a number")
    return found
