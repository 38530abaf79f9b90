"""One tape through the backtest and through the real services with the simulator: the same orders, fills and equity."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.backtest.adapters.market import make_engine, replay_settings
from services.backtest.config import RunConfig
from services.backtest.core.lanes import Evidence
from services.backtest.core.model import Result
from services.backtest.core.replay import replay
from services.backtest.live import LiveSettings
from services.risk.config import Settings as RiskSettings
from services.simulator.core.engine import Engine
from services.strategy.catalogue import make_instances
from services.strategy.config import Settings as StrategySettings
from shared.calendar import sessions
from shared.config import CONFIG_FOLDER, Common, load

ROOT = Path(__file__).parents[2]
FIRST, SESSIONS = date(2012, 6, 1), 22
CENT = Decimal("0.01")
TAPES = {
    "replay": ("AAPL", "FB", "GOOG", "IBM", "MSFT"),  # real prices
    "synthetic": ("ADA", "BEN", "CLO", "DAN", "EVA", "FAY", "GUS", "HAL", "IDA", "JOE"),
}
WORK = {
    "replay": {"crossover": ["AAPL", "FB"], "reversion": ["IBM"], "breakout": ["MSFT"], "momentum": ["GOOG"]},
    "synthetic": {
        "crossover": ["ADA", "BEN", "CLO"],
        "reversion": ["DAN", "EVA", "FAY"],
        "breakout": ["GUS", "HAL"],
        "momentum": ["IDA", "JOE"],
    },
}
"""By tape what each instance trades. Each has symbols of its own, and slots are not scarce: the gateway promises no
order among changes of one minute, so who takes whose prices, or frees a slot in time, would be chance."""
STRATEGIES = {
    "crossover": (
        "moving_average_crossover",
        "fast = 2\nslow = 5\nstop = { fraction = 0.03 }\ntarget = { fraction = 0.04 }",
    ),
    "reversion": (
        "mean_reversion",
        "period = 5\ndeviations = 1.0\nrsi_period = 2\noversold = 50.0\nstop = { atr_multiple = 1.5, atr_period = 3 }",
    ),
    "breakout": ("breakout", "channel = 3\nexit_channel = 2\nvolume_factor = 0.0\ntarget = { fraction = 0.02 }"),
    "momentum": (
        "momentum",
        "fast = 2\nslow = 5\nsignal = 2\nrsi_period = 5\nvolume_factor = 0.0\nvolume_period = 5",
    ),
}
"""By instance: its strategy and parameters that trade often."""
pytestmark = pytest.mark.timeout(400)


@dataclass(frozen=True)
class Pair:
    """One tape, traded live (what `millrace demo --json` wrote) and in a backtest."""

    live: dict[str, Any]
    engine: Engine
    result: Result


@pytest.fixture(scope="module")
def folders(server_folder: Path) -> Iterator[dict[str, Path]]:
    """The settings of both runs; the two live ones run side by side."""
    running: dict[str, subprocess.Popen[str]] = {}
    places = {tape: server_folder / f"parity-{tape}" for tape in TAPES}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    for tape, place in places.items():
        shutil.copytree(ROOT / "config", place / "config")
        _write_settings(tape, place / "config")
        words = ["demo", "--from", FIRST.isoformat(), "--sessions", str(SESSIONS), "--config", str(place / "config")]
        words += ["--data-folder", str(place / "data"), "--json", str(place / "live.json")]
        running[tape] = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "cli.main", *words],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        for process in running.values():
            output, _ = process.communicate()
            assert process.returncode == 0, output
        yield places
    finally:
        for process in running.values():
            process.kill()


@pytest.fixture(scope="module", params=list(TAPES))
def pair(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Pair:
    tape: str = request.param
    place = folders[tape]
    environment = {CONFIG_FOLDER: str(place / "config")}
    strategies, common = load(StrategySettings, environment), load(Common, environment)
    config = RunConfig(
        strategies=strategies.instances,
        symbols=common.symbols,
        first=FIRST,
        last=sessions(FIRST, date(2012, 12, 31))[SESSIONS - 1],
        source=tape,
        only_scanned=strategies.only_scanned,
        window_bars=strategies.window_bars,
        confluence=strategies.confluence,
        risk=load(RiskSettings, environment),
    )
    live, evidence = LiveSettings.load(environment), Evidence(config.confluence)
    engine = make_engine(config, live)
    instances = make_instances(strategies, common.symbols)
    result = replay(engine, instances, replay_settings(config, evidence, live), evidence.readings)
    return Pair(json.loads((place / "live.json").read_text()), engine, result)


def _write_settings(tape: str, folder: Path) -> None:
    """The house's own settings, with other strategies, more slots and the tape's symbols."""

    def change(file: str, old: str, new: str) -> None:
        path = folder / file
        text, count = re.subn(rf"(?m)^{old} = .*$", f"{old} = {new}", path.read_text())
        assert count == 1
        path.write_text(text)

    change("simulator.toml", "market", f'"{tape}"')
    change("millrace.toml", "symbols", json.dumps(TAPES[tape]))
    change("risk.toml", "max_positions", "100")
    change("risk.toml", "max_position_fraction", '"0.15"')
    instances = [
        f'[[instances]]\nname = "{name}"\nstrategy = "{STRATEGIES[name][0]}"\nsymbols = {json.dumps(symbols)}\n'
        f"[instances.parameters]\n{STRATEGIES[name][1]}\n"
        for name, symbols in WORK[tape].items()
    ]
    (folder / "strategy.toml").write_text("\n".join(instances))


def received(entries: Iterable[Mapping[str, Any]]) -> bytes:
    """The simulator's log of orders as JSON: in the order of time, of each order in the order received."""
    return json.dumps(sorted(entries, key=lambda entry: (entry["time"], entry["order_ref"])), indent=1).encode()


def as_text(value: object) -> object:
    """As the simulator writes its log."""
    return value.isoformat() if isinstance(value, datetime) else str(value) if isinstance(value, Decimal) else value


def test_the_order_lists_are_byte_identical(pair: Pair) -> None:
    ours = [{name: as_text(value) for name, value in asdict(entry).items()} for entry in pair.engine.received]
    assert received(ours) == received(pair.live["received_orders"])


def test_the_run_had_something_to_differ_in(pair: Pair) -> None:
    """Every strategy traded, every way to leave was taken, and orders were changed."""
    assert {trade.strategy for trade in pair.result.trades} == STRATEGIES.keys()
    assert {"stop", "target", "signal"} <= {trade.reason for trade in pair.result.trades}
    assert len(pair.result.trades) >= 10
    assert {order.change for order in pair.result.orders} == {"new", "modify"}


def test_the_fills_are_equal(pair: Pair) -> None:
    """To the share, the cent and the second, with their commissions. Serial numbers tell what came first."""
    ours = [
        (execution.time, execution.order.request.order_ref, execution.shares, execution.price, execution.commission)
        for execution in pair.engine.executions
    ]
    live = [
        (
            datetime.fromisoformat(fill["time"]),
            fill["order_ref"],
            *(Decimal(fill[name]) for name in ("quantity", "price", "commission")),
        )
        for fill in pair.live["fills"]
    ]
    assert sorted(ours) == sorted(live)


def test_the_equity_is_equal(pair: Pair) -> None:
    books = {name: Decimal(value) for name, value in pair.live["books"].items() if name != "agree"}
    assert pair.engine.valuation().net_liquidation == books["net_liquidation"]
    assert Decimal(str(pair.result.curve.value[-1])).quantize(CENT) == books["net_liquidation"]
    assert sum(trade.commission for trade in pair.result.trades) == books["commissions"]
    gross = sum(trade.profit for trade in pair.result.trades)
    assert gross == (books["realised"] + books["unrealised"]).quantize(CENT)
