"""`millrace`: every verb, thin."""

import asyncio
import os
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.markup import escape
from sqlalchemy.exc import OperationalError
from typer.core import TyperGroup

from cli import lineage, views
from cli.backtest import backtest
from cli.control import actor, order_state
from cli.demo import FIRST, LAST, Demo, chosen_sessions, kill_plan, print_outcome, write_json
from cli.deployment import books, find
from cli.errors import CommandError
from cli.launcher import Copy, Options, run
from cli.market import market
from cli.optimise import optimise
from cli.options import DataFolder
from cli.pacer import Pacer
from cli.pacing import pace_market
from cli.screen import show_started, show_status
from cli.servers import ServerError
from cli.sim import sim
from cli.strategies import check_strategy, strategies
from cli.text import DEFAULT_DATA_FOLDER, make_console
from shared.bus import connect
from shared.config import CONFIG_FOLDER, Common, ConfigError, load
from shared.db import engine as database_engine
from shared.messages.control import Flatten, Halt, Resume
from shared.types import Mode

START_PATIENCE_SECONDS = 60
console = make_console()


class FriendlyGroup(TyperGroup):
    """Says in one sentence what a person can mend; a bug still shows its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            return _fail(str(error), 2)
        except (CommandError, ServerError) as error:
            return _fail(str(error), 1)
        except OSError as error:
            if error.filename is None:
                raise
            return _fail(f"{error.filename}: {error.strerror}; name a file or folder that this user may use", 1)
        except RedisError as error:
            return _fail(f"Redis does not answer: {error}; 'millrace status' shows what runs", 1)
        except OperationalError as error:
            return _fail(f"PostgreSQL does not answer: {error.orig}; 'millrace status' shows what runs", 1)


def _fail(text: str, exit_code: int) -> None:
    Console(stderr=True).print(f"[red]{escape(text)}[/red]", highlight=False, soft_wrap=True)
    raise typer.Exit(exit_code)


def _day(value: str | date) -> date:
    """A date option; Typer passes the default through here too."""
    return date.fromisoformat(str(value))


# A gateway beside a simulated broker: nobody rations its requests, and virtual time must not outrun its clock.
BRISK = {
    "MILLRACE_GATEWAY__HEARTBEAT_SECONDS": "0.02",
    "MILLRACE_GATEWAY__REQUESTS_PER_SECOND": "0",
    "MILLRACE_GATEWAY__LEASE_SECONDS": "5",
    "MILLRACE_GATEWAY__RECONNECT_BACKOFF_SECONDS": "1",
    "MILLRACE_SIMULATOR__MESSAGES_PER_SECOND": "0",
}

app = typer.Typer(cls=FriendlyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

ConfigFolder = Annotated[Path, typer.Option("--config", envvar=CONFIG_FOLDER, help="Folder of the TOML files.")]
FirstPort = Annotated[
    int | None, typer.Option(help="Redis, PostgreSQL, the simulator and the health endpoints take the ports from here.")
]
Newest = Annotated[int, typer.Option("--newest", "-n", min=1, help="How many.")]
Reason = Annotated[str, typer.Option(help="Why, for the record and for the alert.")]
DATA, CONFIG = DEFAULT_DATA_FOLDER, Path("config")


@app.command()
def up(
    data_folder: DataFolder = DATA,
    config: ConfigFolder = CONFIG,
    first_port: FirstPort = None,
    session_seconds: Annotated[
        float,
        typer.Option(min=0, help="Simulated market: real seconds for each session, more if the system needs them."),
    ] = 5,
    speed: Annotated[
        float | None,
        typer.Option(min=0, help="Simulated market: instead, virtual seconds per second (1 = real time); 0 stands."),
    ] = None,
) -> None:
    """Start everything on this machine, and keep it running until Ctrl-C."""
    settings: dict[str, str] = {}
    if load(Common, {**os.environ, CONFIG_FOLDER: str(config)}).mode is Mode.SIMULATED:
        settings = BRISK | {"MILLRACE_SIMULATOR__SPEED": str(speed or 0)}

    async def work(copy: Copy) -> None:
        await copy.until_ready(START_PATIENCE_SECONDS)
        pace = f"at {speed:g} virtual seconds a second" if speed is not None else f"a session in {session_seconds:g} s"
        await show_started(copy, pace, console)
        if copy.mode is Mode.SIMULATED and speed is None:
            await keep_pacing(copy, session_seconds)
        await asyncio.Event().wait()

    def announce() -> None:
        console.print(f"starting on {data_folder} ...")

    asyncio.run(run(Options(data_folder, config, first_port, settings), announce, work))
    console.print("stopped")


@app.command()
def demo(
    data_folder: DataFolder = DATA / "demo",
    config: ConfigFolder = CONFIG,
    first_port: FirstPort = None,
    first: Annotated[date, typer.Option("--from", parser=_day, metavar="DATE", help="First date.")] = FIRST,
    last: Annotated[date, typer.Option("--to", parser=_day, metavar="DATE", help="Last date.")] = LAST,
    sessions: Annotated[int | None, typer.Option(min=1, help="At most so many sessions.")] = None,
    kill_each: Annotated[
        bool, typer.Option("--kill-each", help="SIGKILL every service, and Redis, on the way.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the final books and the orders here.")] = None,
) -> None:
    """Trade a stretch of real history as fast as it goes, and check the books against the broker's account."""
    days = chosen_sessions(first, last, sessions)
    agree: list[bool] = []

    async def work(copy: Copy) -> None:
        kills = kill_plan((*copy.services, "redis"), len(days)) if kill_each else []
        outcome = await Demo(copy, days, kills, console).run()
        database = database_engine.engine(copy.postgres.url)
        print_outcome(database, outcome, data_folder, console)
        if json is not None:
            write_json(database, outcome, json)
        database.dispose()
        agree.append(outcome.books.agree)

    def announce() -> None:
        console.print(f"trading {len(days)} sessions, {days[0]} to {days[-1]}, on {data_folder} ...")

    asyncio.run(run(Options(data_folder, config, first_port, _stepped(days), fresh=True), announce, work))
    raise typer.Exit(0 if agree == [True] else 1)


async def keep_pacing(copy: Copy, session_seconds: float) -> None:
    """Move the market to its end; when something stands in the way, say so and go on waiting for it."""
    addresses = copy.deployment.services
    while True:
        pacer = Pacer(copy.redis.url, addresses["gateway"], addresses["simulator"], unready=copy.unready)
        try:
            await pace_market(pacer, console.print, session_seconds=session_seconds, environment=copy.environment)
        except CommandError as error:
            console.print(f"[yellow]{error}[/yellow]")
        else:
            return


def _stepped(days: list[date]) -> dict[str, str]:
    """Settings of a run whose time stands still between the stops."""
    return BRISK | {
        "MILLRACE_MODE": "simulated",
        "MILLRACE_SIMULATOR__START": days[0].isoformat(),
        "MILLRACE_SIMULATOR__END": days[-1].isoformat(),
        "MILLRACE_SIMULATOR__SPEED": "0",
    }


@app.command()
def status(data_folder: DataFolder = DATA) -> None:
    """Mode, trading state, market time, every service's readiness, the streams' backlog."""
    if not asyncio.run(show_status(find(data_folder), console)):
        raise typer.Exit(1)


@app.command()
def orders(data_folder: DataFolder = DATA, newest: Newest = 30) -> None:
    """The newest orders."""
    with books(data_folder) as database:
        views.print_orders(database, newest, console)


@app.command()
def positions(data_folder: DataFolder = DATA) -> None:
    """What is held, and what it has earned."""
    with books(data_folder) as database:
        views.print_positions(database, console)


@app.command()
def why(
    order: Annotated[str, typer.Argument(help="An order, or the beginning of its name.")],
    data_folder: DataFolder = DATA,
) -> None:
    """An order's whole story: bar, signal, risk's verdict, status changes, fills."""
    with books(data_folder) as database:
        lineage.tell(lineage.story(database, lineage.resolve(database, order)), console)


@app.command()
def halt(data_folder: DataFolder = DATA, reason: Reason = "ordered by hand") -> None:
    """Stop opening positions and cancel unfilled entries; stops and targets stay at the broker."""
    _order(data_folder, Halt(actor=actor(), reason=reason))


@app.command()
def flatten(data_folder: DataFolder = DATA, reason: Reason = "ordered by hand") -> None:
    """Halt, and close every position now; asked again, it prices again what is still open."""
    _order(data_folder, Flatten(actor=actor(), reason=reason))


@app.command()
def resume(data_folder: DataFolder = DATA, reason: Reason = "ordered by hand") -> None:
    """Trade again after a halt, once the books agree with the broker's."""
    _order(data_folder, Resume(actor=actor(), reason=reason))


def _order(data_folder: Path, command: Halt | Flatten | Resume) -> None:
    state = asyncio.run(order_state(find(data_folder), command))
    console.print(f"[bold]{state['state']}[/bold], by {state['actor']}: {escape(state['reason'])}")


@app.command()
def streams(
    name: Annotated[str | None, typer.Argument(help="One stream, to see its newest messages.")] = None,
    data_folder: DataFolder = DATA,
    newest: Newest = 5,
) -> None:
    """All streams with their readers and backlogs, or the newest messages of one."""

    async def show() -> None:
        redis: Any = connect(find(data_folder).redis_url)  # redis-py's annotations are incomplete
        try:
            await (views.print_stream(redis, name, newest, console) if name else views.print_streams(redis, console))
        finally:
            await redis.aclose()

    asyncio.run(show())


@app.command()
def migrate(data_folder: DataFolder = DATA) -> None:
    """Bring the database to this version's schema; waits for a database that is starting."""
    database_engine.migrate(find(data_folder).database_url)
    console.print("the schema is up to date")


@app.command()
def pace(
    data_folder: DataFolder = DATA,
    config: ConfigFolder = CONFIG,
    simulator: Annotated[
        str | None, typer.Option(envvar="MILLRACE_PACER__SIMULATOR_URL", help="The simulator's control address.")
    ] = None,
    gateway: Annotated[
        str | None, typer.Option(envvar="MILLRACE_PACER__GATEWAY_URL", help="The gateway's health address.")
    ] = None,
) -> None:
    """Move a running copy's simulated market from job to job, as fast as the services keep up."""
    os.environ[CONFIG_FOLDER] = str(config)
    deployment = find(data_folder)
    addresses = deployment.services
    pacer = Pacer(deployment.redis_url, gateway or addresses["gateway"], simulator or addresses["simulator"])
    asyncio.run(pace_market(pacer, _say))


app.command()(sim)
app.command()(strategies)
app.command("check-strategy")(check_strategy)
app.command()(optimise)
app.add_typer(market)
app.add_typer(backtest, name="backtest")


def _say(text: str) -> None:
    console.print(text)


if __name__ == "__main__":
    app()
