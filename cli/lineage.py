"""Why an order exists: bar -> signal -> risk's verdict -> orders with every change -> fills."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql import JSONB

from cli.errors import CommandError
from cli.report import Record, Trade, rows, trades
from cli.text import moment, money, number, plain_table, signed
from shared.db import tables
from shared.messages.base import Envelope, Message, decode
from shared.messages.market import Bar
from shared.messages.order import CancelEntry, ClosePosition, OrderChanged
from shared.messages.risk import RuleCheck
from shared.messages.strategy import OrderIntent, Purpose
from shared.streams import BY_NAME
from shared.types import Leg

LEGS = tuple(Leg)  # in the order in which they are told; the commands come after the entry


@dataclass(frozen=True)
class Story:
    """All that is known about one bracket: records of `decisions`, `orders`, `fills`, and messages about it."""

    order_id: str
    decisions: Sequence[Record]
    orders: Sequence[Record]
    fills: Sequence[Record]
    changes: Sequence[Envelope[Message]]
    commands: Sequence[Envelope[Message]]

    @property
    def trade(self) -> Trade | None:
        """None while nothing is filled."""
        legs = {order["order_ref"]: order for order in self.orders}
        found = [{**fill, "order_id": self.order_id, "leg": legs[fill["order_ref"]]["leg"]} for fill in self.fills]
        reasons = {
            item.data.order_id: item.data.reason for item in self.commands if isinstance(item.data, ClosePosition)
        }
        return trades(found, reasons)[0] if found else None


def resolve(database: Engine, reference: str) -> str:
    """The order_id that an order_ref, an order_id or the unique beginning of one stands for.

    Raises:
        CommandError: none or several do.
    """
    table = tables.orders
    found = rows(database, sa.select(table.c.order_id, table.c.order_ref).order_by(table.c.created_at.desc()))
    exact = {row["order_id"] for row in found if reference in (row["order_id"], row["order_ref"])}
    matching = exact or {row["order_id"]: None for row in found if row["order_ref"].startswith(reference)}
    if len(matching) == 1:
        return next(iter(matching))
    if not matching:
        raise CommandError(f"no order begins with {reference!r}; 'millrace orders' lists them")
    some = ", ".join(list(matching)[:5])
    raise CommandError(f"{len(matching)} orders begin with {reference!r}: {some} ...; give more of the name")


def story(database: Engine, order_id: str) -> Story:
    decision, order, fill = tables.decisions, tables.orders, tables.fills
    legs = rows(database, sa.select(order).where(order.c.order_id == order_id))
    return Story(
        order_id,
        rows(database, sa.select(decision).where(decision.c.order_id == order_id).order_by(decision.c.decided_at)),
        sorted(legs, key=lambda row: (LEGS.index(row["leg"]), row["created_at"])),
        rows(
            database,
            sa.select(fill)
            .where(fill.c.order_ref.in_([row["order_ref"] for row in legs]))
            .order_by(fill.c.time, fill.c.execution_id),
        ),
        [item for item in _said(database, "order.events", order_id) if isinstance(item.data, OrderChanged)],
        [
            item
            for item in _said(database, "order.commands", order_id)
            if isinstance(item.data, ClosePosition | CancelEntry)
        ],
    )


def _said(database: Engine, stream: str, order_id: str) -> list[Envelope[Message]]:
    """What went to a stream about this order, oldest first, from the outbox: it remembers a few days."""
    table = tables.outbox
    about = sa.cast(table.c.body, JSONB)["data"]["order_id"].astext
    query = sa.select(table.c.body).where(table.c.stream == stream, about == order_id).order_by(table.c.sequence)
    return [decode(row["body"].encode(), BY_NAME[stream].types) for row in rows(database, query)]


def close_reasons(database: Engine) -> dict[str, str]:
    """order_id -> why risk closed it before its stop or its target, of the orders that it closed."""
    table = tables.outbox
    kind = sa.cast(table.c.body, JSONB)["type"].astext
    query = (
        sa.select(table.c.body)
        .where(table.c.stream == "order.commands", kind == ClosePosition.__name__)
        .order_by(table.c.sequence)
    )
    messages = [decode(row["body"].encode(), BY_NAME["order.commands"].types).data for row in rows(database, query)]
    return {message.order_id: message.reason for message in messages if isinstance(message, ClosePosition)}


def tell(told: Story, console: Console) -> None:
    """Print the story from its cause to its end."""
    console.print(f"\n[bold]{told.order_id}[/bold]  {_headline(told)}")
    for decision in told.decisions:
        intent = OrderIntent.model_validate(decision["intent"])
        if intent.purpose is Purpose.ENTER:
            _tell_cause(intent, decision, console)
    for order in told.orders[:1]:
        _tell_order(order, told, console)
    for command in told.commands:
        if isinstance(command.data, ClosePosition):
            order = "target" if any(order["leg"] == Leg.TARGET for order in told.orders) else "exit"
            at = f"{order} at {_price(command.data)}"
            console.print(f"[cyan]exit[/cyan]    {moment(command.time)}  {at}: {escape(command.data.reason)}")
        elif isinstance(command.data, CancelEntry):
            console.print(f"[cyan]cancel[/cyan]  {moment(command.time)}  {escape(command.data.reason)}")
    for order in told.orders[1:]:
        _tell_order(order, told, console)


def _price(close: ClosePosition) -> str:
    if close.net_price is not None:
        return f"a {close.net_price.effect} of {money(close.net_price.amount)}"
    return money(close.limit_price) if close.limit_price is not None else "no price"


def _headline(told: Story) -> str:
    trade = told.trade
    if trade is None:
        return "not filled"
    text = f"{number(trade.quantity)} {trade.symbol} at {money(trade.entry_price)}"
    if trade.exit_price is None:
        return f"{text}, open"
    return (
        f"{text}, out at {money(trade.exit_price)} ({trade.exit_reason}): {signed(trade.profit)} USD after commissions"
    )


def _tell_cause(intent: OrderIntent, decision: Mapping[str, Any], console: Console) -> None:
    console.print(f"[cyan]bar[/cyan]     {_bar(intent.bar)}")
    console.print(
        f"[cyan]signal[/cyan]  {intent.strategy}: {intent.purpose} {intent.side} {intent.symbol},"
        f" score {intent.score:.2f}: {escape(intent.reason)}"
    )
    verdict = "[green]approved[/green]" if decision["approved"] else f"[red]refused: {decision['code']}[/red]"
    console.print(f"[cyan]risk[/cyan]    {moment(decision['decided_at'])}  {verdict}")
    table = plain_table("rule", "value", "limit", "")
    for check in (RuleCheck.model_validate(item) for item in decision["checks"]):
        table.add_row(
            check.rule, check.value, check.limit, "[green]ok[/green]" if check.passed else "[red]failed[/red]"
        )
    _print_indented(table, console)


def _bar(bar: Bar) -> str:
    return (
        f"{bar.symbol} {bar.timeframe}, closed {moment(bar.end)}: open {money(bar.open)} high {money(bar.high)}"
        f" low {money(bar.low)} close {money(bar.close)} volume {number(bar.volume)}"
    )


def _tell_order(order: Record, told: Story, console: Console) -> None:
    price = f"limit {money(order['limit_price'])}" if order["limit_price"] else f"stop {money(order['stop_price'])}"
    console.print(
        f"[cyan]{order['leg']:<7}[/cyan] {order['order_ref']}: {order['side']} {number(order['quantity'])} {price}"
        f" {order['time_in_force']}  [bold]{order['status']}[/bold]"
    )
    table = plain_table("time", "what", "detail", wrap=("detail",))
    table.show_header = False
    for change in told.changes:
        if isinstance(change.data, OrderChanged) and change.data.order_ref == order["order_ref"]:
            previous, status = change.data.previous, change.data.status
            moved = f"{previous} -> {status}" if previous is not status else f"written down as {status}"
            table.add_row(moment(change.time), moved, escape(change.data.reason or ""))
    for fill in told.fills:
        if fill["order_ref"] == order["order_ref"]:
            cost = "not reported yet" if fill["commission"] is None else money(fill["commission"])
            traded = f"filled {number(fill['quantity'])} at {money(fill['price'])}"
            detail = f"commission {cost}, realised {signed(fill['realised'])}, execution {fill['execution_id']}"
            table.add_row(moment(fill["time"]), traded, detail)
    _print_indented(table, console)


def _print_indented(table: Table, console: Console) -> None:
    if table.row_count:
        console.print(Padding(table, (0, 0, 0, 8), expand=False))
