"""`millrace optimise`: search a strategy's parameters, and say how far the best ones can be believed."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from cli.backtest import checked, listed, pairs
from cli.deployment import find
from cli.errors import CommandError
from cli.lifeline import ends_with_parent
from cli.optimise_views import Progress, print_outcome
from cli.options import DataFolder
from cli.text import DEFAULT_DATA_FOLDER, make_console
from services.risk.config import Settings as RiskSettings
from services.simulator.config import Settings as SimulatorSettings
from services.strategy.config import Settings as StrategySettings
from shared.config import CONFIG_FOLDER, Common, load

if TYPE_CHECKING:  # what compiles and optimises is imported when it is needed: other commands start without it
    from collections.abc import Generator

    from services.backtest.config import RunConfig
    from services.backtest.optimise.config import SweepConfig
    from services.backtest.optimise.outcome import Outcome

WATCH_SECONDS = 0.25
END_SECONDS = 30  # for a worker to finish the set in hand
Many = list[str] | None
CONFIG, DATA = Path("config"), DEFAULT_DATA_FOLDER
console = make_console()


@dataclass(frozen=True)
class Place:
    """Where the study is: `storage` is a folder or postgresql://...; `log` is the workers' own."""

    storage: str
    study: str
    log: Path
    config: Path


def optimise(
    strategy: Annotated[str, typer.Argument(help="A strategy; 'millrace strategies' lists them.")],
    ranges: Annotated[
        Many,
        typer.Option("--range", metavar="NAME=LOW:HIGH[:STEP]", help="Search this parameter; none: all with bounds."),
    ] = None,
    fixed: Annotated[Many, typer.Option("--fix", metavar="NAME=VALUE", help="Do not search this one.")] = None,
    symbols: Annotated[str, typer.Option(help="Separated by commas; none: those of millrace.toml.")] = "",
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="First date; none: simulator.toml's.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="Last date; none: simulator.toml's.")] = "",
    data: Annotated[
        str, typer.Option(help="replay, synthetic, database, or a folder of SYMBOL.csv or SYMBOL.parquet.")
    ] = "replay",
    timeframe: Annotated[str, typer.Option(help="Of the bars that the strategy sees.")] = "1 day",
    cash: Annotated[str, typer.Option(help="USD at the start.")] = "1000000",
    risk: Annotated[Many, typer.Option(metavar="KEY=VALUE", help="A key of risk.toml: max_positions=10.")] = None,
    costs: Annotated[Many, typer.Option(metavar="KEY=VALUE", help="An assumption: spread=0.0005.")] = None,
    sentiment: Annotated[Path | None, typer.Option(help="CSV of readings: time, symbol, component, score.")] = None,
    sampler: Annotated[str, typer.Option(help="grid, random, tpe or nsga2.")] = "tpe",
    sets: Annotated[int, typer.Option(min=1, help="How many sets to try; a grid has as many as it has.")] = 200,
    objectives: Annotated[
        Many, typer.Option("--objective", metavar="STATISTIC", help="What to make best; several: nsga2 or tpe.")
    ] = None,
    constraints: Annotated[
        Many, typer.Option("--constraint", metavar="'STATISTIC >= N'", help="Of the best: 'max_drawdown <= 0.2'.")
    ] = None,
    folds: Annotated[int, typer.Option("--walk-forward", min=0, help="Folds; 0 is none.")] = 0,
    train_share: Annotated[float, typer.Option(help="Of a fold's time that chooses the parameters.")] = 0.8,
    anchored: Annotated[bool, typer.Option("--anchored", help="Every fold trains from the first date on.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampler.")] = 1,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes here; 0: others do the work. None: one a processor.")
    ] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Keep the study in PostgreSQL, so that other machines can join.")
    ] = False,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only make the study; 'python -m services.backtest' works on it.")
    ] = False,
    study: Annotated[str, typer.Option(help="Its name; none: one made of all of the above.")] = "",
    data_folder: DataFolder = DATA,
    config: Annotated[Path, typer.Option("--config", envvar=CONFIG_FOLDER, help="Folder of the TOML files.")] = CONFIG,
) -> None:
    """Search a strategy's parameters. The same command again goes on where it was stopped."""
    environment = {**os.environ, CONFIG_FOLDER: str(config)}
    dates, settings = load(SimulatorSettings, environment), load(StrategySettings, environment)
    run = checked(
        {
            "strategies": [
                {"name": strategy, "strategy": strategy, "timeframe": timeframe, "parameters": pairs(fixed, "--fix")}
            ],
            "strategy_folder": settings.strategy_folder,
            "confluence": settings.confluence,
            "symbols": listed(symbols) or load(Common, environment).symbols,
            "first": first or dates.start,
            "last": last or dates.end,
            "source": data,
            "cash": cash,
            "gear": "fast",
            "fills": "bars",
            "risk": load(RiskSettings, environment).model_dump() | pairs(risk, "--risk"),
            "costs": pairs(costs, "--costs"),
            "sentiment": sentiment,
        }
    )
    wanted: dict[str, Any] = {"sampler": sampler, "sets": sets, "seed": seed}
    if folds:
        wanted["walk_forward"] = {"folds": folds, "train_share": train_share, "anchored": anchored}
    sweep_config = _sweep_config(run, wanted, ranges, objectives, constraints)
    study = study or f"{strategy}-{hashlib.sha256(sweep_config.model_dump_json().encode()).hexdigest()[:8]}"
    storage = find(data_folder).database_url if shared else str((data_folder / "studies").absolute())
    place = Place(storage, study, data_folder / "studies" / f"{study}.log", config.absolute())
    search = Search(sweep_config, place)
    with closing(search.sweep.storage):
        if prepare:
            console.print(f"study {study}: {search.sweep.done} of {search.total} sets are done")
            return
        search.finish(workers if workers is not None else os.cpu_count() or 1)
        outcome = search.conclude()
        print_outcome(search.sweep, outcome, console)
        search.store(outcome, data_folder / "backtests")


def _sweep_config(
    run: "RunConfig", wanted: dict[str, Any], ranges: Many, objectives: Many, constraints: Many
) -> "SweepConfig":
    from services.backtest.optimise.config import Constraint, SweepConfig

    searched: dict[str, str] = {}
    for given in ranges or ():
        name, _, text = given.partition("=")
        if not text:
            raise CommandError(f"--range {given!r} is not allowed: write NAME=LOW:HIGH, such as fast=2:20")
        searched[name] = text
    wanted |= {"objectives": objectives} if objectives else {}
    wanted["constraints"] = [Constraint.parse(text) for text in constraints or ()]
    try:
        return SweepConfig.model_validate({"run": run, "ranges": searched, **wanted})
    except ValidationError as error:
        raise CommandError("\n".join(f"{'.'.join(map(str, detail['loc']))} = {detail['input']!r} is not allowed:"
                                     f" {detail['msg']}" for detail in error.errors())) from error  # fmt: skip


class Search:
    """A sweep that is begun, or gone on with, and its bars.

    Raises:
        ConfigError: the sweep can't be made, or is another than the one of this name.
    """

    def __init__(self, config: "SweepConfig", place: Place) -> None:
        from services.backtest.optimise.data import SweepData
        from services.backtest.optimise.sweep import create

        self._place = place
        self._data = SweepData.load(config.run)
        self.sweep = create(place.storage, place.study, config, self._data.inputs)
        self.total = self.sweep.total * len(self.sweep.parts)

    def finish(self, workers: int) -> None:
        """Work with so many processes, or without any watch others work, until nothing is left.

        Raises:
            CommandError: all workers failed.
        """
        count = workers if self.sweep.done < self.total else 0
        with _workers(self._place, count) as processes, Progress(self.sweep, console) as progress:
            while not progress.update():
                # A worker that ended did so before the look at the study that follows.
                if processes and all(process.poll() is not None for process in processes) and not progress.update():
                    raise CommandError(_last_words(self._place.log))
                time.sleep(WATCH_SECONDS)

    def conclude(self) -> "Outcome":
        """What a complete sweep comes to."""
        from services.backtest.optimise.outcome import conclude

        return conclude(self.sweep, self._data)

    def store(self, outcome: "Outcome", folder: Path) -> None:
        """Keep the best set's backtest with its report, as `millrace backtest` keeps its own."""
        from services.backtest.adapters.report_html import write_html
        from services.backtest.adapters.store import load as load_result
        from services.backtest.adapters.store import save

        if outcome.run is None or outcome.result is None:
            return
        name = save(folder, outcome.run, self._data.inputs["bars"], outcome.result)
        report = folder / name / "report.html"
        write_html(report, load_result(folder, name), self._data.histories, outcome.honesty)
        console.print(f"the best set's backtest is stored as [bold]{name}[/bold]; report: {report}")


def _last_words(log: Path) -> str:
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    return f"all workers ended before the study was complete; the end of {log}:\n{tail}"


@contextmanager
def _workers(place: Place, count: int) -> "Generator[list[subprocess.Popen[bytes]]]":
    """Workers that end with the study, with this block, and with this process."""
    environment = {
        **os.environ,
        CONFIG_FOLDER: str(place.config),
        "MILLRACE_HTTP_PORT": "0",
        "MILLRACE_HTTP_HOST": "127.0.0.1",
        "MILLRACE_LOG_LEVEL": "ERROR",
        "MILLRACE_BACKTEST__STUDY": place.study,
        "MILLRACE_BACKTEST__STORAGE": place.storage,
    }
    with place.log.open("wb") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "services.backtest"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches only us, and we let them finish
                preexec_fn=ends_with_parent(signal.SIGTERM),
            )
            for _ in range(count)
        ]
    try:
        yield processes
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from here")
        raise typer.Exit(130) from None
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
