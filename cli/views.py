"""What the commands print about a copy's books and streams."""

from collections.abc import Sequence
from typing import Any

import orjson
from redis.exceptions import ResponseError
from rich.console import Console
from rich.markup import escape
from sqlalchemy import Engine

from cli import report
from cli.errors import CommandError
from cli.report import Books, Record, Trade
from cli.text import moment, money, number, plain_table, rounded, signed
from shared.bus import FIELD
from shared.streams import BY_NAME, STREAMS

STATUS_COLOURS = {"FILLED": "green", "REJECTED": "red", "UNKNOWN": "red", "CANCELLED": "dim", "EXPIRED": "dim"}


def print_orders(database: Engine, newest: int, console: Console) -> None:
    found = report.orders(database, newest=newest)
    if not found:
        console.print("no orders yet")
        return
    table = plain_table(
        "order", "created", "side", "quantity", "limit", "stop", "status", "filled", "at", "reason",
        right=("quantity", "limit", "stop", "filled", "at"), wrap=("reason",),
    )  # fmt: skip
    for row in found:
        colour = STATUS_COLOURS.get(row["status"], "yellow")
        table.add_row(
            row["order_ref"],
            moment(row["created_at"]),
            row["side"],
            number(row["quantity"]),
            money(row["limit_price"]) if row["limit_price"] else "",
            money(row["stop_price"]) if row["stop_price"] else "",
            f"[{colour}]{row['status']}[/{colour}]",
            number(row["filled"]) if row["filled"] else "",
            money(row["average_price"]) if row["average_price"] else "",
            escape(row["reason"] or ""),
        )
    console.print(table)


def print_positions(database: Engine, console: Console) -> None:
    held = report.positions(database)
    if not held:
        console.print("no positions yet")
        return
    table = plain_table(
        "symbol", "quantity", "average price", "realised", "commissions",
        right=("quantity", "average price", "realised", "commissions"),
    )  # fmt: skip
    for row in held:
        average = rounded(row["average_price"]) if row["quantity"] else ""
        quantity = number(row["quantity"]) if row["quantity"] else "flat"
        table.add_row(row["symbol"], quantity, average, signed(row["realised"]), money(row["commissions"]))
    console.print(table)


def print_trades(found: Sequence[Trade], console: Console) -> None:
    table = plain_table(
        "trade",
        "quantity",
        "in",
        "at",
        "out",
        "at",
        "exit",
        "profit",
        right=("quantity", "at", "profit"),
        wrap=("exit",),
    )
    for trade in found:
        colour = "green" if trade.profit > 0 else "red"
        table.add_row(
            trade.order_id,
            number(trade.quantity),
            f"{moment(trade.entry_time)[:16]}",
            rounded(trade.entry_price),
            f"{moment(trade.exit_time)[:16]}" if trade.exit_time else "open",
            rounded(trade.exit_price) if trade.exit_price else "",
            escape(trade.exit_reason or ""),
            f"[{colour}]{signed(trade.profit)}[/{colour}]",
        )
    console.print(table)


def print_books(books: Books, console: Console) -> None:
    table = plain_table("", "", right=("",))
    table.show_header = False
    for name, value in (
        ("start cash", books.start_cash),
        ("+ realised", books.realised),
        ("- commissions", books.commissions),
        ("+ unrealised", books.unrealised),
        ("= the books", books.value),
        ("the broker's NetLiquidation", books.net_liquidation),
    ):
        table.add_row(name, f"{value:>15,.2f}")
    console.print(table)
    console.print("[bold green]OK[/bold green]: equal to the cent" if books.agree else "[bold red]MISMATCH[/bold red]")


async def print_streams(redis: Any, console: Console) -> int:
    """One line for each stream; returns how many dead letters there are."""
    table = plain_table(
        "stream", "entries", "dead", "readers (behind)", right=("entries", "dead"), wrap=("readers (behind)",)
    )
    dead_letters = 0
    for stream in STREAMS:
        dead = await redis.xlen(stream.dead)
        dead_letters += dead
        readers = ", ".join([f"{name} {behind}" for name, behind in await backlog(redis, stream.name)])
        table.add_row(stream.name, f"{await redis.xlen(stream.name):,}", f"[red]{dead}[/red]" if dead else "", readers)
    console.print(table)
    return dead_letters


async def backlog(redis: Any, stream_name: str) -> list[tuple[str, str]]:
    """(group, "ok" or how many entries it has not read, and has read but not acknowledged) of a stream.

    Redis 6.2 does not count what a group has not read: the entries after its last one are counted, up to 1000.
    """
    try:
        groups = await redis.xinfo_groups(stream_name)
    except ResponseError:
        return []  # nobody has made the stream yet
    found: list[tuple[str, str]] = []
    for group in groups:
        unread = await redis.xrange(stream_name, min=f"({group['last-delivered-id'].decode()}", count=1000)
        waiting = len(unread) + group["pending"]
        found.append((group["name"].decode(), f"[yellow]{waiting}[/yellow]" if waiting else "ok"))
    return found


async def print_stream(redis: Any, name: str, newest: int, console: Console) -> None:
    """The newest entries of one stream, or of a `.dead` one, as readable JSON.

    Raises:
        CommandError: there is no such stream.
    """
    if name not in BY_NAME:
        known = ", ".join(stream.name for stream in STREAMS)
        raise CommandError(f"there is no stream {name!r}; the streams are {known}, and for each .dead")
    for entry_id, fields in reversed(await redis.xrevrange(name, count=newest)):
        console.print(f"[cyan]{entry_id.decode()}[/cyan]")
        body = fields.get(FIELD.encode(), b"")
        try:
            console.print_json(orjson.dumps(orjson.loads(body)).decode())
        except orjson.JSONDecodeError:
            console.print(f"not JSON: {escape(repr(body))}")


def count_filled(orders: Sequence[Record]) -> int:
    return sum(row["status"] == "FILLED" for row in orders)
