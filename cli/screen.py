"""What `millrace up` and `millrace status` show of a running copy."""

import asyncio

import httpx
from rich.console import Console
from rich.markup import escape

from cli import views
from cli.control import market_time, open_bus, trading_state
from cli.deployment import Deployment
from cli.launcher import Copy, readiness
from cli.text import command, folder_option, moment, plain_table
from shared.db.engine import engine
from shared.types import TradingState

STATE_COLOURS = {TradingState.ACTIVE: "green", TradingState.HALTED: "red", TradingState.DISABLED: "yellow"}
Readiness = dict[str, str | None]  # service -> why it is not ready


async def ask_all(deployment: Deployment) -> Readiness:
    async with httpx.AsyncClient(timeout=5) as client:
        answers = await asyncio.gather(*(readiness(client, url) for url in deployment.services.values()))
    return dict(zip(deployment.services, answers, strict=True))


def _print_services(deployment: Deployment, answers: Readiness, console: Console) -> None:
    table = plain_table("service", "pid", "address", "state", wrap=("state",))
    servers = {"redis": deployment.redis_url, "postgresql": deployment.database_url.rpartition("@")[2]}
    for name, address in {**servers, **deployment.services}.items():
        identity = deployment.processes.get(name)
        reason = answers.get(name)
        state = f"[yellow]{escape(reason)}[/yellow]" if reason else "[green]ready[/green]"
        table.add_row(name, str(identity.pid) if identity else "", address, state if name in answers else "")
    console.print(table)


async def show_started(copy: Copy, pace: str, console: Console) -> None:
    """One screen: what runs, where it keeps things, what to try next."""
    deployment = copy.deployment
    console.print(f"\n[bold]Millrace runs[/bold] in [bold]{deployment.mode}[/bold] mode. Ctrl-C stops it.\n")
    reasons = await copy.unready()
    _print_services(deployment, {name: reasons.get(name) for name in copy.names}, console)
    console.print(f"\ndata    {copy.data_folder}", highlight=False)
    console.print(f"logs    {copy.log_folder}/SERVICE.log", highlight=False)
    if deployment.broker_port is not None:
        console.print(
            f"broker  127.0.0.1:{deployment.broker_port} speaks the TWS API: connect a client of your own;"
            f" its market goes {pace}",
            highlight=False,
        )
    console.print("\nTry in another terminal:")
    elsewhere = folder_option(copy.data_folder)
    for words in ("status", "orders", "why ORDER", "streams strategy.signals", "halt --reason lunch", "resume"):
        console.print(f"  {command()} {words}{elsewhere}", highlight=False)


async def show_status(deployment: Deployment, console: Console) -> bool:
    """Mode, trading state, market time, services, streams; returns whether everything is ready."""
    bus = open_bus(deployment)
    database = engine(deployment.database_url)
    try:
        now, state = await market_time(bus), trading_state(database)
        console.print(f"mode     [bold]{deployment.mode}[/bold]")
        console.print(f"market   {moment(now) + ' New York' if now else 'the broker has not told the time yet'}")
        if state is not None:
            colour = STATE_COLOURS[TradingState(state["state"])]
            console.print(
                f"trading  [bold {colour}]{state['state']}[/bold {colour}] since {moment(state['changed_at'])},"
                f" by {state['actor']}: {escape(state['reason'])}\n"
            )
        answers = await ask_all(deployment)
        _print_services(deployment, answers, console)
        console.print()
        await views.print_streams(bus.client, console)
        return not any(answers.values())
    finally:
        database.dispose()
        await bus.close()
