"""`millrace backtest`: how strategies would have done; `list`, `show` and `compare` look at what was stored."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import orjson
import typer
from pydantic import ValidationError

from cli.errors import CommandError
from cli.text import DEFAULT_DATA_FOLDER, make_console
from services.backtest.live import LiveSettings
from services.risk.config import Settings as RiskSettings
from services.simulator.config import Settings as SimulatorSettings
from services.strategy.config import Settings as StrategySettings
from shared.config import CONFIG_FOLDER, Common, load

if TYPE_CHECKING:  # what compiles and draws is imported when it is needed: other commands start without it
    from services.backtest.config import RunConfig
    from services.backtest.core.honesty import Honesty
    from services.backtest.core.stored import Stored

console = make_console()
backtest = typer.Typer(help="Test strategies on the past; without a further word, run one backtest.")

Results = Annotated[Path, typer.Option("--results", help="Folder of the stored backtests.")]
Pairs = list[str] | None
SHUFFLES = 2000  # of the order of the trades
RESULTS, CONFIG = DEFAULT_DATA_FOLDER / "backtests", Path("config")


@backtest.callback(invoke_without_command=True)
def run(
    context: typer.Context,
    strategy: Annotated[
        list[str] | None, typer.Option(help="A strategy, or several; none: the instances of strategy.toml.")
    ] = None,
    parameters: Annotated[
        Pairs, typer.Option("--set", metavar="KEY=VALUE", help="A parameter: fast=5, stop.fraction=0.02, stop=null.")
    ] = None,
    symbols: Annotated[str, typer.Option(help="Separated by commas; none: those of millrace.toml.")] = "",
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="First date; none: simulator.toml's.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="Last date; none: simulator.toml's.")] = "",
    data: Annotated[
        str, typer.Option(help="replay, synthetic, database, or a folder of SYMBOL.csv or SYMBOL.parquet.")
    ] = "replay",
    timeframe: Annotated[str, typer.Option(help="Of the bars that --strategy sees.")] = "1 day",
    gear: Annotated[str, typer.Option(help="exact: every order through risk and execution; fast: compiled.")] = "exact",
    fills: Annotated[
        str, typer.Option(help="simulator: its matching engine; bars: the next open, the only way of the fast gear.")
    ] = "",
    cash: Annotated[str, typer.Option(help="USD at the start.")] = "1000000",
    risk: Annotated[Pairs, typer.Option(metavar="KEY=VALUE", help="A key of risk.toml: max_positions=10.")] = None,
    costs: Annotated[Pairs, typer.Option(metavar="KEY=VALUE", help="Where fills are bars: spread=0.0005.")] = None,
    sentiment: Annotated[Path | None, typer.Option(help="CSV of readings: time, symbol, component, score.")] = None,
    benchmark: Annotated[str | None, typer.Option(help="A symbol; none: all symbols, equally weighted.")] = None,
    config: Annotated[Path, typer.Option("--config", envvar=CONFIG_FOLDER, help="Folder of the TOML files.")] = CONFIG,
    results: Results = RESULTS,
) -> None:
    """Test strategies on the past."""
    if context.invoked_subcommand is not None:
        return
    environment = {**os.environ, CONFIG_FOLDER: str(config)}
    common, dates = load(Common, environment), load(SimulatorSettings, environment)
    settings = load(StrategySettings, environment)
    own = [
        {"name": name, "strategy": name, "timeframe": timeframe, "parameters": pairs(parameters, "--set")}
        for name in strategy or ()
    ]
    if parameters and not own:
        raise CommandError("--set needs --strategy; the parameters of strategy.toml's instances are in that file")
    fills = fills or ("bars" if gear == "fast" else "simulator")
    wanted = {
        "strategies": own or [instance.model_dump() for instance in settings.instances],
        "strategy_folder": settings.strategy_folder,
        "window_bars": settings.window_bars,
        "confluence": settings.confluence,
        "live": LiveSettings.load(environment),
        "symbols": listed(symbols) or common.symbols,
        "first": first or dates.start,
        "last": last or dates.end,
        "source": data,
        "cash": cash,
        "gear": gear,
        "fills": fills,
        "only_scanned": settings.only_scanned and fills == "simulator",
        "risk": load(RiskSettings, environment).model_dump() | pairs(risk, "--risk"),
        "costs": pairs(costs, "--costs"),
        "sentiment": sentiment,
        "benchmark": benchmark,
    }
    _run(checked(wanted), results)


@backtest.command("list")
def list_stored(results: Results = RESULTS) -> None:
    """The stored backtests, newest last."""
    from services.backtest.adapters.report_terminal import print_results
    from services.backtest.adapters.store import list_results

    print_results(console, list_results(results))


@backtest.command()
def show(name: Annotated[str, typer.Argument(help="Its id, or how that begins.")], results: Results = RESULTS) -> None:
    """One stored backtest."""
    from services.backtest.adapters.report_terminal import print_summary
    from services.backtest.adapters.store import load as load_stored

    print_summary(console, load_stored(results, name))


@backtest.command()
def compare(one: str, other: str, results: Results = RESULTS) -> None:
    """Two stored backtests side by side: what was asked, what came out, which trades only one has."""
    from services.backtest.adapters.report_terminal import print_comparison
    from services.backtest.adapters.store import load as load_stored

    print_comparison(console, load_stored(results, one), load_stored(results, other))


def _run(config: "RunConfig", results: Path) -> None:
    from services.backtest.adapters.report_html import write_html
    from services.backtest.adapters.report_terminal import print_summary
    from services.backtest.adapters.store import load as load_stored
    from services.backtest.adapters.store import save
    from services.backtest.run import run as run_one

    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=results):
        pass  # it can be written: better known now than after an hour
    done = run_one(config)
    stored = load_stored(results, save(results, config, done.data_hash, done.result))
    page = results / stored.id / "report.html"
    histories = [history for by_symbol in done.histories.values() for history in by_symbol.values()]
    write_html(page, stored, histories, _honesty(stored))
    print_summary(console, stored)
    console.print(f"report: {page}")


def _honesty(stored: "Stored") -> "Honesty":
    """What can be said of one run by itself: chance in its returns, and luck in the order of its trades."""
    from services.backtest.core.honesty import judge_sharpe
    from services.backtest.core.monte_carlo import shuffle_trades
    from services.backtest.core.returns import daily_returns

    cash, result = float(stored.config.cash), stored.result
    judged = judge_sharpe(daily_returns(result.curve, cash), [stored.statistics.account.sharpe])
    shuffled = shuffle_trades(result.trades, cash, runs=SHUFFLES, seed=stored.config.seed)
    return replace(judged, monte_carlo=shuffled)


def checked(wanted: dict[str, Any]) -> "RunConfig":
    from services.backtest.config import RunConfig

    try:
        return RunConfig.model_validate(wanted)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in detail['loc']) or 'the backtest'}"
            f" = {detail['input']!r} is not allowed: {detail['msg']}"
            if detail["loc"]
            else detail["msg"].removeprefix("Value error, ")
            for detail in error.errors()
        ]
        raise CommandError("\n".join(problems)) from error


def listed(symbols: str) -> list[str]:
    """The symbols of a text with commas, each once and in capitals."""
    return list(dict.fromkeys(symbol.strip().upper() for symbol in symbols.split(",") if symbol.strip()))


def pairs(given: Sequence[str] | None, option: str) -> dict[str, Any]:
    """KEY=VALUE texts as a nested dictionary; a value is JSON if it can be, else text; dots in a key nest."""
    found: dict[str, Any] = {}
    for text in given or ():
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise CommandError(f"{option} {text!r} is not allowed: write KEY=VALUE, such as fast=5")
        *parents, name = key.split(".")
        place = found
        for parent in parents:
            inner = place.setdefault(parent, dict[str, Any]())
            if not isinstance(inner, dict):
                raise CommandError(f"{option} {text!r} is not allowed: {parent} has a value of its own already")
            place = cast(dict[str, Any], inner)
        try:
            place[name] = orjson.loads(value)
        except orjson.JSONDecodeError:
            place[name] = value
    return found
