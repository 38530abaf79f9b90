"""Message layouts as data: one reader and one writer walk the same description, for every protocol version.

A layout is a sequence of `Field`, `Repeat` (a count, then that many rows) and `When` (fields present only if another
field says so). `since` and `until` (exclusive) gate a field by the negotiated version.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

Row: TypeAlias = dict[str, "str | list[Row]"]
Writable: TypeAlias = "str | int | float | bool | Decimal | None"
Values: TypeAlias = Mapping[str, "Writable | Sequence[Values]"]

MAXIMUM_ROWS = 10_000
UNSET_INTEGER = "2147483647"
UNSET_DOUBLE = "1.7976931348623157E308"
"""How TWS writes "no value" in a double field (Java's spelling)."""


class LayoutError(ValueError):
    """A message that does not fit its layout; the text names the field."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    since: int = 0
    until: int = 1 << 31
    default: str = ""


@dataclass(frozen=True, slots=True)
class Repeat:
    name: str
    items: "Layout"


@dataclass(frozen=True, slots=True)
class When:
    """`items` follow only if `test` of the values of the message so far is true."""

    test: Callable[[Mapping[str, object]], bool]
    items: "Layout"
    since: int = 0


Layout: TypeAlias = tuple[Field | Repeat | When, ...]


def names(text: str) -> Layout:
    """Return plain fields from their names, `name` or `name=default`, separated by white space."""
    return tuple(Field(name, default=default) for name, _, default in (word.partition("=") for word in text.split()))


def read(layout: Layout, fields: Sequence[str], version: int) -> Row:
    """Return the values of a message by field name.

    Raises LayoutError when a field is missing, left over, or a count is not a small number.
    """
    remaining = iter(fields)
    row = _read_row(layout, remaining, version)
    left = list(remaining)
    if left:
        raise LayoutError(f"{len(left)} fields left over, the first is {left[0][:40]!r}")
    return row


def _read_row(layout: Layout, remaining: Iterator[str], version: int) -> Row:
    row: Row = {}
    _read_into(row, layout, remaining, version)
    return row


def _read_into(row: Row, layout: Layout, remaining: Iterator[str], version: int) -> None:
    for item in layout:
        if isinstance(item, Field):
            if item.since <= version < item.until:
                row[item.name] = _take(remaining, item.name)
            else:
                row[item.name] = item.default
        elif isinstance(item, Repeat):
            count = _take(remaining, item.name)
            if not count.isdecimal() or int(count) > MAXIMUM_ROWS:
                raise LayoutError(f"{item.name}: {count[:40]!r} is not a count of 0 to {MAXIMUM_ROWS} rows")
            row[item.name] = [_read_row(item.items, remaining, version) for _ in range(int(count))]
        elif version >= item.since and item.test(row):
            _read_into(row, item.items, remaining, version)


def _take(remaining: Iterator[str], name: str) -> str:
    try:
        return next(remaining)
    except StopIteration:
        raise LayoutError(f"{name}: field is missing") from None


def write(layout: Layout, values: Values, version: int) -> list[str]:
    """Return the fields of a message; a name absent from `values` gets its default (empty unless declared).

    Raises LayoutError when `values` holds a name that the layout does not know.
    """
    known: set[str] = set()
    fields: list[str] = []
    _write_into(fields, known, layout, values, version)
    unknown = values.keys() - known
    if unknown:
        raise LayoutError(f"values without a field: {sorted(unknown)}")
    return fields


def _write_into(fields: list[str], known: set[str], layout: Layout, values: Values, version: int) -> None:
    for item in layout:
        if isinstance(item, Field):
            known.add(item.name)
            if item.since <= version < item.until:
                fields.append(text(values.get(item.name, item.default)))
        elif isinstance(item, Repeat):
            known.add(item.name)
            rows = values.get(item.name) or ()
            if not isinstance(rows, Sequence) or isinstance(rows, str):
                raise LayoutError(f"{item.name}: expected rows, got {rows!r}")
            fields.append(str(len(rows)))
            for row in rows:
                fields += write(item.items, row, version)
        elif version >= item.since and item.test(values):
            _write_into(fields, known, item.items, values, version)


def text(value: object) -> str:
    """Return a field as TWS spells it: 1/0 for a bool, plain decimal notation, nothing for None."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if value is None:
        return ""
    if isinstance(value, Decimal):
        plain = f"{value:f}"
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, int | float):
        return str(value)
    raise LayoutError(f"{value!r} ({type(value).__name__}) has no form on the wire")
