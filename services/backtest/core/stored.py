"""One backtest on record: what was asked, on which data and code, what came out; and how two of them differ."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from pydantic import TypeAdapter

from services.backtest.config import RunConfig
from services.backtest.core.metrics import METRICS, text, value
from services.backtest.core.model import OrderSent, Result, Trade
from services.backtest.core.statistics import Statistics, statistics_of
from services.backtest.core.tables import ACCOUNT, TRADES, Table

TRADES_JSON = TypeAdapter(tuple[Trade, ...])
ORDERS_JSON = TypeAdapter(tuple[OrderSent, ...])
SHOWN = 20  # trades that a comparison lists


@dataclass(frozen=True)
class Stored:
    """`data_hash` names the bars and everything else that was read, `code_hash` the code that decided."""

    id: str
    saved_at: datetime
    config: RunConfig
    data_hash: str
    code_hash: str
    result: Result

    @cached_property
    def statistics(self) -> Statistics:
        return statistics_of(self.result)

    @property
    def inputs_hash(self) -> str:
        """The same inputs must give the same `result_hash`."""
        return inputs_hash(self.config, self.data_hash, self.code_hash)

    @cached_property
    def result_hash(self) -> str:
        return result_hash(self.result)


def inputs_hash(config: RunConfig, data_hash: str, code_hash: str) -> str:
    """Of all that decides a result; 64 hexadecimal digits."""
    return _digest(config.model_dump_json(), data_hash, code_hash)


def result_hash(result: Result) -> str:
    """Of all trades, orders and values of the account, to the last bit; 64 hexadecimal digits."""
    curve = result.curve
    orders = ORDERS_JSON.dump_json(result.orders).decode()
    values = hashlib.sha256(b"".join(column.tobytes() for column in (curve.time, curve.value, curve.exposure)))
    return _digest(TRADES_JSON.dump_json(result.trades).decode(), orders, values.hexdigest(), str(result.turnover))


def comparison(one: Stored, other: Stored) -> tuple[Table, ...]:
    """What differs: the inputs, the statistics, and the trades that only one of the two has."""
    titles = (one.id, other.id)
    return (
        Table("Inputs that differ", ("", *titles), tuple(_different_inputs(one, other)), text=3),
        Table("Statistics", ("", *titles, "difference"), tuple(_side_by_side(one, other))),
        _trades_missing(one, other),
        _trades_missing(other, one),
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _different_inputs(one: Stored, other: Stored) -> Iterator[tuple[str, str, str]]:
    mine, yours = (
        dict(_flat(stored.config.model_dump(mode="json")))
        | {"data": stored.data_hash[:12], "code": stored.code_hash[:12]}
        for stored in (one, other)
    )
    for key in sorted(mine.keys() | yours.keys()):
        if mine.get(key) != yours.get(key):
            yield key, mine.get(key, "(absent)"), yours.get(key, "(absent)")


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of nested JSON by their dotted names: ("costs.spread", "0.0002")."""
    leaf = "none" if value is None else str(value)
    items: dict[str, Any] = {}
    if isinstance(value, dict):
        items = cast(dict[str, Any], value)
    elif isinstance(value, list):
        items = {str(index): item for index, item in enumerate(cast(list[Any], value))}
    for key, item in items.items():
        yield from _flat(item, f"{name}.{key}" if name else key)
    if not items:
        yield name, leaf


def _side_by_side(one: Stored, other: Stored) -> Iterator[tuple[str, str, str, str]]:
    for name in (*ACCOUNT, *TRADES):
        mine, yours = value(one.statistics, name), value(other.statistics, name)
        change = None if mine is None or yours is None else float(yours) - float(mine)
        sign = "+" if change is not None and change > 0 else ""
        yield METRICS[name].label, text(name, mine), text(name, yours), sign + text(name, change)


def _trades_missing(one: Stored, other: Stored) -> Table:
    theirs = {_key(trade) for trade in other.result.trades}
    missing = [trade for trade in one.result.trades if _key(trade) not in theirs]
    rows = tuple(_row(trade) for trade in missing[:SHOWN])
    title = f"Trades only in {one.id}: {len(missing)} of {len(one.result.trades)}"
    if len(missing) > SHOWN:
        title += f", the first {SHOWN} of them"
    return Table(
        title, ("strategy", "symbol", "opened UTC", "closed UTC", "quantity", "entry", "exit", "net"), rows, text=4
    )


def _key(trade: Trade) -> tuple[object, ...]:
    """What makes two trades the same, whatever their order's name."""
    return (
        trade.strategy, trade.symbol, trade.side, trade.quantity, trade.opened_at, trade.entry_price,
        trade.closed_at, trade.exit_price, trade.commission,
    )  # fmt: skip


def _row(trade: Trade) -> tuple[str, ...]:
    opened, closed = (time.strftime("%Y-%m-%d %H:%M") for time in (trade.opened_at, trade.closed_at))
    numbers = (f"{trade.quantity:,}", f"{trade.entry_price:,.2f}", f"{trade.exit_price:,.2f}", f"{trade.net:,.2f}")
    return (trade.strategy, trade.symbol, opened, closed, *numbers)
