"""Message layouts as data: one reader and one writer walk the same description, for every protocol version.

A layout is a sequence of `Field`, `Repeat` (a count, then that many rows), `When` (fields present only if an earlier
field says so) and `Choice` (the value of an earlier field selects what follows). A field is gated by the negotiated
version. The tests of `When` see the message so far as texts, in both directions, so what is written can be read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TypeAlias

Row: TypeAlias = dict[str, "str | list[Row]"]
Writable: TypeAlias = "str | int | float | bool | Decimal | None"
Values: TypeAlias = Mapping[str, "Writable | Sequence[Values]"]
Test: TypeAlias = Callable[[Mapping[str, object]], bool]

MAXIMUM_ROWS = 1_000
"""Most rows of one kind in a request; an answer may have more."""
UNSET_INTEGER = "2147483647"
UNSET_LONG = "9223372036854775807"
UNSET_DOUBLE = "1.7976931348623157E308"
"""How TWS writes "no value" in a double field (Java's spelling)."""
UNSET_WHAT_IF = "1.7976931348623157e+308"
"""The same in Python's spelling, for answers to what-if orders: ib_insync compares the text with it."""
INFINITE = "Infinite"
"""How TWS and its clients write infinity, the offset of a PEG BEST order that pegs to the midpoint."""
DECIMAL_SIZES_SINCE = 163
"""Clients of earlier versions read sizes with int(); one fraction ends ibapi's reader, for good."""


class LayoutError(ValueError):
    """A message that does not fit its layout; the text names the field."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field, sent from version `since` until before `until`; `whole` marks a size (see DECIMAL_SIZES_SINCE)."""

    name: str
    since: int = 0
    until: int = 1 << 31
    default: str = ""
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Repeat:
    name: str
    items: "Layout"
    limit: int = MAXIMUM_ROWS
    known: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        object.__setattr__(self, "known", known_names(self.items))


@dataclass(frozen=True, slots=True)
class When:
    """`items` follow only if `test` of the values of the message so far is true."""

    test: Test
    items: "Layout"
    since: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """The items that follow depend on the value of field `name`; another value is an error."""

    name: str
    cases: Mapping[str, "Layout"]


Item: TypeAlias = Field | Repeat | When | Choice
Layout: TypeAlias = tuple[Item, ...]


def names(text: str) -> Layout:
    """Return plain fields from words `name`, `name=default`; a `#` after the name marks a size."""
    fields: list[Field] = []
    for word in text.split():
        name, _, default = word.partition("=")
        fields.append(Field(name.removesuffix("#"), default=default, whole=name.endswith("#")))
    return tuple(fields)


def given(name: str) -> Test:
    """Return a test: the field is not empty."""
    return lambda row: bool(row.get(name))


def one_of(name: str, *texts: str) -> Test:
    """Return a test: the field has one of these values."""
    return lambda row: row.get(name) in texts


def known_names(layout: Layout) -> frozenset[str]:
    """Return every name that values for the layout may have, whatever the version and the other values."""
    found: set[str] = set()
    for item in layout:
        if isinstance(item, Field | Repeat):
            found.add(item.name)
        elif isinstance(item, When):
            found |= known_names(item.items)
        else:
            for items in item.cases.values():
                found |= known_names(items)
    return frozenset(found)


def read(layout: Layout, fields: Sequence[str], version: int) -> Row:
    """Return the values of a message by field name; a field the version does not have gets its default.

    Raises LayoutError when a field is missing, left over, or a count is not a number within its limit.
    """
    remaining = iter(fields)
    row: Row = {}
    _read_into(row, layout, remaining, version)
    left = list(remaining)
    if left:
        raise LayoutError(f"{len(left)} fields left over, the first is {left[0][:40]!r}")
    return row


def _read_into(row: Row, layout: Layout, remaining: Iterator[str], version: int) -> None:
    for item in layout:
        if isinstance(item, Field):
            row[item.name] = _take(remaining, item.name) if item.since <= version < item.until else item.default
        elif isinstance(item, Repeat):
            row[item.name] = _read_rows(item, remaining, version)
        elif isinstance(item, Choice):
            _read_into(row, _chosen(item, row), remaining, version)
        elif version >= item.since and item.test(row):
            _read_into(row, item.items, remaining, version)


def _read_rows(item: Repeat, remaining: Iterator[str], version: int) -> list[Row]:
    text = _take(remaining, item.name)
    count = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(item.limit)) else -1
    if not 0 <= count <= item.limit:
        raise LayoutError(f"{item.name}: {text[:40]!r} is not a count of 0 to {item.limit} rows")
    rows: list[Row] = []
    for _ in range(count):
        row: Row = {}
        _read_into(row, item.items, remaining, version)
        rows.append(row)
    return rows


def _take(remaining: Iterator[str], name: str) -> str:
    try:
        return next(remaining)
    except StopIteration:
        raise LayoutError(f"{name}: field is missing") from None


def _chosen(item: Choice, row: Row) -> Layout:
    value = row.get(item.name)
    cases = item.cases.get(value) if isinstance(value, str) else None
    if cases is None:
        raise LayoutError(f"{item.name}: {str(value)[:40]!r} is none of {', '.join(item.cases)}")
    return cases


def write(layout: Layout, values: Values, version: int, known: frozenset[str] | None = None) -> list[str]:
    """Return the fields of a message; a name absent from `values` gets its default (empty unless declared).

    `known` is `known_names(layout)`, for callers that keep it. Values for fields that the version, or the message's
    other values, leave no place for are left out. Raises LayoutError when `values` holds a name that the layout does
    not know at all, and when a value has no form on the wire.
    """
    fields: list[str] = []
    _write_known(fields, layout, values, version, known_names(layout) if known is None else known)
    return fields


def _write_known(fields: list[str], layout: Layout, values: Values, version: int, known: frozenset[str]) -> None:
    if not known.issuperset(values):
        raise LayoutError(f"values without a field: {sorted(set(values) - known)}")
    _write_into(fields, {}, layout, values, version)


def _write_rows(fields: list[str], item: Repeat, rows: "Writable | Sequence[Values]", version: int) -> int:
    """Write a counted list and return how long it is."""
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise LayoutError(f"{item.name}: expected rows, got {rows!r}")
    fields.append(str(len(rows)))
    for row in rows:
        _write_known(fields, item.items, row, version, item.known)
    return len(rows)


def _write_into(fields: list[str], row: Row, layout: Layout, values: Values, version: int) -> None:
    for item in layout:
        if isinstance(item, Field):
            value = values.get(item.name, item.default)
            if not isinstance(value, str) or "\0" in value:
                value = text(value)
            if item.whole and version < DECIMAL_SIZES_SINCE:
                value = whole(value)
            row[item.name] = value
            if item.since <= version < item.until:
                fields.append(value)
        elif isinstance(item, Repeat):
            row[item.name] = [{}] * _write_rows(fields, item, values.get(item.name) or (), version)
        elif isinstance(item, Choice):
            _write_into(fields, row, _chosen(item, row), values, version)
        elif version >= item.since and item.test(row):
            _write_into(fields, row, item.items, values, version)


def whole(size: str) -> str:
    """Return a size as a whole number, the nearest one; a text that is no number as it is."""
    if not size or size.isdecimal():
        return size
    try:
        number = Decimal(size)
    except InvalidOperation:
        return size
    return f"{number.to_integral_value(ROUND_HALF_EVEN):f}" if number.is_finite() else size


def text(value: object) -> str:
    """Return a field as TWS spells it: 1/0 for a bool, plain decimal notation, nothing for None.

    Raises LayoutError for a value of another type and for a text with a NUL, which would end the field.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise LayoutError(f"{value[:40]!r} holds a NUL, which ends a field")
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
