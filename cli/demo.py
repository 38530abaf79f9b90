"""A bounded run on real prices: trade a stretch of history, then hold the books against the broker's account."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from sqlalchemy import Engine

from cli import lineage, report, views
from cli.control import open_bus
from cli.errors import CommandError
from cli.launcher import Copy
from cli.pacer import Pacer
from cli.report import Books
from cli.text import command, folder_option
from services.scheduler.config import Settings as SchedulerSettings
from services.scheduler.core.schedule import job_times
from shared.calendar import session_hours, sessions
from shared.config import load
from shared.db.engine import engine
from shared.quotes import QuoteBoard
from shared.streams import STREAMS

START_SECONDS = 120
FIRST, LAST = date(2012, 6, 1), date(2013, 3, 1)  # the newest prices there are
# While the market moves, and while the strategies' orders go out: the two moments that hurt most.
CHANGING = ("changed_at", "broker_order_id", "perm_id", "reason")
KILL_AFTER_SECONDS = 0.002  # the market has then been told to move, and has not answered yet
KILL_JOBS = ("evaluate_strategies", "check_exits")


@dataclass(frozen=True)
class Kill:
    """Kill `victim` in this session at this job's time, while the market is moved there (`moving`) or just after."""

    session: int
    job: str
    victim: str
    moving: bool


@dataclass(frozen=True)
class Outcome:
    """The end of a run; `orders` is the simulator's log of what it was sent, in order."""

    books: Books
    orders: list[dict[str, Any]]
    sessions: int
    seconds: float
    messages: int


def kill_plan(victims: Sequence[str], session_count: int) -> list[Kill]:
    """Each victim twice, spread evenly over the sessions: the same plan for the same run."""
    rounds = [(victim, job) for job in KILL_JOBS for victim in victims]
    return [
        Kill((number + 1) * session_count // (len(rounds) + 1), job, victim, moving=number % 2 == 1)
        for number, (victim, job) in enumerate(rounds)
    ]


def chosen_sessions(first: date, last: date, count: int | None) -> list[date]:
    """The sessions to trade.

    Raises:
        CommandError: there are none.
    """
    found = sessions(first, last)[:count]
    if not found:
        raise CommandError(f"there is no exchange session from {first} to {last}; choose other --from and --to dates")
    return found


class Demo:
    """One run on `copy`; `outcome` is there once it has ended."""

    def __init__(self, copy: Copy, days: Sequence[date], kills: Sequence[Kill], console: Console) -> None:
        self._copy = copy
        self._days = days
        self._kills = kills
        self._console = console
        addresses = copy.deployment.services
        self._pacer = Pacer(copy.redis.url, addresses["gateway"], addresses["simulator"], unready=copy.unready)

    async def run(self) -> Outcome:
        """Trade all sessions.

        Raises:
            CommandError: services do not become ready, or the run stands still.
        """
        try:
            if unready := await self._copy.until_ready(START_SECONDS):
                reasons = "; ".join(f"{name}: {reason}" for name, reason in unready.items())
                raise CommandError(f"not ready after {START_SECONDS} s: {reasons}; logs: {self._copy.log_folder}")
            began = time.monotonic()
            jobs = load(SchedulerSettings, self._copy.environment).jobs
            for index, day in enumerate(self._days):
                for due in job_times(day, jobs, session_hours):
                    await self._stop_at(
                        due.at, [kill for kill in self._kills if (kill.session, kill.job) == (index, due.job)]
                    )
                self._tell_progress(index, time.monotonic() - began)
            return await self._end(time.monotonic() - began)
        finally:
            await self._pacer.close()

    async def _stop_at(self, at: datetime, kills: Sequence[Kill]) -> None:
        moving = asyncio.create_task(self._pacer.advance(at))
        if any(kill.moving for kill in kills):
            await asyncio.sleep(KILL_AFTER_SECONDS)
        for kill in sorted(kills, key=lambda kill: not kill.moving):
            if not kill.moving:
                await moving
            self._copy.kill(kill.victim)
            self._console.print(f"[red]killed[/red] {kill.victim} in session {kill.session + 1} at {kill.job}")
        clock = await moving
        await self._pacer.settle(min(at, clock.now))

    def _tell_progress(self, index: int, seconds: float) -> None:
        day, last = self._days[index], index + 1 == len(self._days)
        if last or self._days[index + 1].month != day.month:
            self._console.print(f"[dim]{day}  session {index + 1} of {len(self._days)}, {seconds:.1f} s[/dim]")

    async def _end(self, seconds: float) -> Outcome:
        bus = open_bus(self._copy.deployment)
        database = engine(self._copy.postgres.url)
        try:
            quotes = await QuoteBoard(bus).catch_up()
            lengths: list[int] = [await bus.client.xlen(stream.name) for stream in STREAMS]
            prices = {symbol: quote.last for symbol, quote in quotes.items() if quote.last is not None}
            account = await self._pacer.account()
            return Outcome(
                report.reckon(database, prices, Decimal(account["net_liquidation"])),
                await self._pacer.received_orders(),
                len(self._days),
                seconds,
                sum(lengths),
            )
        except LookupError as error:
            raise CommandError(str(error)) from error
        finally:
            database.dispose()
            await bus.close()


def print_outcome(database: Engine, outcome: Outcome, data_folder: Path, console: Console) -> None:
    """The trades, one of them with its whole story, the counts, the books, the timing."""
    fills = report.fills(database)
    trades = report.trades(fills, lineage.close_reasons(database))
    console.print()
    views.print_trades(trades, console)
    closed = [trade for trade in trades if trade.exit_time]
    for trade in closed[:1]:
        lineage.tell(lineage.story(database, trade.order_id), console)
    orders = report.orders(database)
    symbols = {fill["symbol"] for fill in fills}
    console.print(
        f"\n[bold]{views.count_filled(orders)} filled orders[/bold] of {len(orders)} on {len(symbols)} symbols,"
        f" {len(fills)} fills, {len(closed)} trades closed, {len(trades) - len(closed)} open"
    )
    console.print(
        f"{outcome.sessions} sessions in {outcome.seconds:.1f} s, {outcome.messages:,} messages through the bus\n"
    )
    views.print_books(outcome.books, console)
    if trades:
        console.print("\nTry next:")
        for words in (f"why {trades[-1].order_id}", "orders", "positions"):
            console.print(f"  {command()} {words}{folder_option(data_folder)}", highlight=False)
        console.print(f"  {command()} up", highlight=False)


def write_json(database: Engine, outcome: Outcome, path: Path) -> None:
    """The final books and the log of received orders: equal for equal runs, whatever was killed meanwhile.

    Left out is what a restart may change: times of last changes, the broker's numbers, and the texts of its reasons,
    which it words otherwise in a report of completed orders than at the moment.
    """
    document = dict(_comparable(database, outcome))
    path.write_bytes(orjson.dumps(document, default=str, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS))


def _comparable(database: Engine, outcome: Outcome) -> Iterator[tuple[str, Any]]:
    yield "books", asdict(outcome.books) | {"value": outcome.books.value, "agree": outcome.books.agree}
    yield "received_orders", outcome.orders
    yield "positions", [_without(row, "changed_at") for row in report.positions(database)]
    yield "fills", report.fills(database)
    yield "orders", [_without(row, *CHANGING) for row in report.orders(database)]


def _without(row: report.Record, *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}
