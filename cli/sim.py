"""`millrace sim`: the simulated IB Gateway by itself, for any TWS API client, without the rest of Millrace."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from cli.errors import CommandError
from cli.lifeline import ends_with_parent
from cli.servers import free_port
from cli.text import make_console
from shared.config import CONFIG_FOLDER

HOST = "127.0.0.1"
FIRST_DAY = "2027-01-04"
START_SECONDS = 60
STOP_SECONDS = 10


@dataclass(frozen=True)
class Simulation:
    """What a person chose: `settings` are keys of config/simulator.toml, `state` a folder that outlives the run."""

    symbols: tuple[str, ...]
    settings: Mapping[str, str]
    state: Path | None
    control_port: int


def sim(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the TWS API; 0 is any free one.")] = 4002,
    control_port: Annotated[int, typer.Option(min=0, max=65535, help="Of clock, orders and faults; 0 is any.")] = 4003,
    web_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Of the Client Portal Web API, else not served; 0 is any.")
    ] = None,
    symbols: Annotated[str, typer.Option(help="Stocks, separated by commas.")] = "AAPL,MSFT,SPY",
    data: Annotated[
        Path | None, typer.Option(help="Folder with SYMBOL.csv or SYMBOL.parquet; without it prices are made up.")
    ] = None,
    start: Annotated[str, typer.Option(metavar="DATE", help="First date of the market.")] = FIRST_DAY,
    days: Annotated[int, typer.Option(min=1, max=3660, help="How many days the market lasts.")] = 90,
    speed: Annotated[float, typer.Option(min=0, help="Virtual seconds a second; 0 stands still.")] = 1,
    scenario: Annotated[str, typer.Option(help="Play faults: a name, or a TOML file; 'list' lists the names.")] = "",
    trace: Annotated[Path | None, typer.Option(help="Write every message received and sent to this file.")] = None,
    state: Annotated[Path | None, typer.Option(help="Keep orders and positions here for the next start.")] = None,
    other: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of config/simulator.toml.")
    ] = None,
) -> None:
    """A simulated IB Gateway for your own TWS API program; nothing else of Millrace runs."""
    console = make_console()
    if scenario == "list":
        from services.simulator.faults import scenarios  # the other verbs do without the simulator's imports

        for name, description in scenarios().items():
            console.print(f"{name:28} {description}")
        return
    first = _day(start)
    settings: dict[str, Any] = {
        "port": port or free_port(),
        "market": "folder" if data else "synthetic",
        "start": first,
        "end": first + timedelta(days=days - 1),
        "speed": f"{speed:g}",
        "tick_seconds": 1,
    }
    if web_port is not None:
        settings["web_port"] = web_port or free_port()
    optional = {"folder": data and data.absolute(), "trace": trace and trace.absolute(), "scenario": scenario}
    settings |= {key: value for key, value in optional.items() if value} | dict(map(_pair, other or ()))
    names = tuple(symbol.strip().upper() for symbol in symbols.split(",") if symbol.strip())
    chosen = Simulation(names, {key: str(value) for key, value in settings.items()}, state, control_port or free_port())
    raise typer.Exit(run_simulator(chosen, console))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--start: {text!r} is not a date like {FIRST_DAY}") from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise CommandError(f"--set: {text!r} is not KEY=VALUE, such as volatility=0.5")
    return key.strip(), value.strip()


def run_simulator(chosen: Simulation, console: Console) -> int:
    """Run it until Ctrl-C; return its exit code. Raises CommandError when it does not start."""
    with ExitStack() as stack:
        folder = chosen.state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="millrace-sim-")))
        process = subprocess.Popen(
            [sys.executable, "-m", "services.simulator"],
            env=_environment(chosen, folder.absolute()),
            start_new_session=True,  # Ctrl-C reaches only us, and we let it finish
            preexec_fn=ends_with_parent(signal.SIGTERM),
        )
        try:
            clock = _until_ready(process, f"http://{HOST}:{chosen.control_port}")
            _announce(chosen, clock, console)
            return process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(chosen: Simulation, folder: Path) -> dict[str, str]:
    """The service's own way of being configured: a folder with its two files, and the environment."""
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "millrace.toml").write_text(f"symbols = {json.dumps(chosen.symbols)}\n")
    (config / "simulator.toml").write_text("")
    return {
        **os.environ,
        CONFIG_FOLDER: str(config),
        "MILLRACE_DATA_FOLDER": str(folder),
        "MILLRACE_HTTP_PORT": str(chosen.control_port),
        "MILLRACE_LOG_LEVEL": "WARNING",
        **{f"MILLRACE_SIMULATOR__{key.upper()}": value for key, value in chosen.settings.items()},
    }


def _until_ready(process: subprocess.Popen[bytes], url: str) -> dict[str, Any]:
    """Return the simulator's clock once it serves."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CommandError(f"the simulator ended with exit code {process.returncode}; it said why above")
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return httpx.get(f"{url}/clock").json()
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    raise CommandError(f"the simulator was not ready after {START_SECONDS} s")


def _announce(chosen: Simulation, clock: Mapping[str, Any], console: Console) -> None:
    host, port = chosen.settings.get("host", HOST), chosen.settings["port"]
    console.print(
        f"A simulated IB Gateway. [bold]TWS API on {host}:{port}[/bold], control on http://{HOST}:{chosen.control_port}"
    )
    if "web_port" in chosen.settings:
        console.print(f"Web API  http://{host}:{chosen.settings['web_port']}/v1/api")
    console.print(f"symbols  {', '.join(chosen.symbols)}")
    console.print(f"clock    {clock['now']}, at {chosen.settings['speed']} virtual seconds a second")
    console.print(f"state    {chosen.state or 'forgotten at the end; --state FOLDER keeps it'}")
    console.print("Ctrl-C stops it.")
