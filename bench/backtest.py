"""One minute-bar crossover by both gears, and by engines that nobody here wrote: the same fills, and how fast.

500,000 bars of a random walk whose opens are the closes before; exponential averages of 10 and 30 bars; long or flat;
100 shares; 1 USD an order. Every engine is a process of its own that keeps its data ready and runs again when told, in
turns. The peers are installed by this bench, into `.clients/`: the project does not depend on them.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = ROOT / ".clients"
PEERS = {
    "nautilus": ("nautilus_trader==1.221.0",),
    "vectorised": ("vectorbt==1.0.0", "plotly<6"),
}
BARS, ROUNDS, SEED = 500_000, 3, 7
QUICK_RUNS = 15
"""Runs in a turn of an engine that needs milliseconds: its caches are cold when its turn comes."""
GROWTH_OF_SYMBOLS = (1, 10, 100)
GROWTH_OF_BARS = (50_000, 500_000, 5_000_000)
EXACT_GOAL, FAST_GOAL = 25, 10
"""Times as many bars a second as NautilusTrader, and as vectorbt's `from_signals`."""


@dataclass(frozen=True)
class Measured:
    """Medians over the runs. `filling` are the seconds after the signals are known. `money` is what sales brought less
    what purchases cost, in USD."""

    name: str
    seconds: float
    filling: float
    fills: int
    money: float
    megabytes: float


def walk(bars: int, seed: int) -> dict[str, Any]:
    """Minute bars in USD, on the cent, that never come below 20."""
    steps = np.random.default_rng(seed).integers(-5, 6, 4 * bars)
    ticks = 2000 + np.abs(8000 + np.concatenate([[0], np.cumsum(steps)]))
    corners = np.stack([ticks[place : place + 4 * bars : 4] for place in range(5)])
    start = np.datetime64("2020-01-01T00:00", "us") + np.arange(bars) * np.timedelta64(60_000_000, "us")
    prices = {"open": corners[0], "high": corners.max(0), "low": corners.min(0), "close": corners[4]}
    dollars = {name: column / 100 for name, column in prices.items()}
    return {"start": start, "end": start + np.timedelta64(60_000_000, "us"), "volume": np.full(bars, 1e6)} | dollars


def environment(name: str) -> Path:
    """The Python of a peer; installs it when it is missing."""
    folder = ENVIRONMENTS / name
    python, made = folder / "bin" / "python", folder / "installed.txt"
    if not made.exists() or made.read_text() != "\n".join(PEERS[name]):
        print(f"installing {' and '.join(PEERS[name])} into {folder} ...", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS[name]], check=True)  # noqa: S603 - our own
        made.write_text("\n".join(PEERS[name]))
    return python


@contextmanager
def engine(*command: str | Path) -> Generator["subprocess.Popen[str]"]:
    """A process that runs once for each line it reads, and answers with a line of JSON."""
    quiet = os.environ | {"PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=ROOT, env=quiet) as process:  # noqa: S603
        yield process
        assert process.stdin is not None
        process.stdin.close()


def ask(process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("run\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def measured(name: str, answers: Sequence[dict[str, float]]) -> Measured:
    def middle(key: str) -> float:
        return statistics.median(answer.get(key, 0.0) for answer in answers)

    last = answers[-1]
    return Measured(name, middle("seconds"), middle("filling"), int(last["fills"]), last["money"], last["megabytes"])


def compare() -> list[Measured]:
    """All engines on the same bars, in turns; the first round warms up and is not counted."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder, ExitStack() as stack:
        data = Path(folder) / "bars.npz"
        np.savez(data, **walk(BARS, SEED))
        ours = [sys.executable, "-m", "bench.peers.ours", str(data)]
        commands = {
            "exact gear": [*ours, "exact"],
            "NautilusTrader 1.221": [environment("nautilus"), ROOT / "bench/peers/nautilus.py", data],
            "fast gear": [*ours, "fast"],
            "vectorbt 1.0": [environment("vectorised"), ROOT / "bench/peers/vectorised.py", data],
        }
        processes = {name: stack.enter_context(engine(*command)) for name, command in commands.items()}
        runs = dict.fromkeys(processes, 1) | {"fast gear": QUICK_RUNS, "vectorbt 1.0": QUICK_RUNS}
        answers: dict[str, list[dict[str, float]]] = {name: [] for name in processes}
        for _ in range(ROUNDS + 1):
            for name, process in processes.items():
                answers[name] += [ask(process) for _ in range(runs[name])]
        return [measured(name, found[runs[name] :]) for name, found in answers.items()]


def grow(gear: str, bars: int, symbols: int) -> Measured:
    """One of our gears on other amounts, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        data = Path(folder) / "bars.npz"
        np.savez(data, **walk(bars, SEED))
        with engine(sys.executable, "-m", "bench.peers.ours", str(data), gear, str(symbols)) as process:
            return measured(f"{gear} gear", [ask(process) for _ in range(4)][1:])


def main() -> bool:
    """Print the tables; return whether all fill alike and both gears are as fast as promised."""
    found = compare()
    print(f"\nbacktest, {BARS:,} minute bars, crossover of exponential averages, {ROUNDS} rounds in turns, medians")
    print(f"{'':28}{'fills':>8}{'money USD':>14}{'seconds':>10}{'bars/s':>14}{'MB at most':>12}")
    for one in found:
        print(
            f"{one.name:28}{one.fills:>8,}{one.money:>14,.2f}{one.seconds:>10.4f}{BARS / one.seconds:>14,.0f}"
            f"{one.megabytes:>12,.0f}"
        )
    exact, nautilus, fast, vectorised = found
    exact_ratio, fast_ratio = nautilus.seconds / exact.seconds, vectorised.filling / fast.filling
    alike = len({(one.fills, round(one.money, 2)) for one in found}) == 1
    print(f"same fills: {'yes' if alike else 'NO'}")
    print(f"exact gear / NautilusTrader: {exact_ratio:.1f} (goal {EXACT_GOAL})")
    print(f"fast gear / vectorbt, from signals to fills and equity: {fast_ratio:.1f} (goal {FAST_GOAL})")
    print(f"fast gear / vectorbt, with the averages and signals: {vectorised.seconds / fast.seconds:.1f}")
    print(f"\n{'growth':14}{'symbols':>9}{'bars each':>12}{'seconds':>10}{'bars/s':>14}{'MB at most':>12}")
    cases = [("fast", BARS // 10, symbols) for symbols in GROWTH_OF_SYMBOLS]
    cases += [("exact", BARS // 10, symbols) for symbols in GROWTH_OF_SYMBOLS[:2]]
    cases += [("fast", bars, 1) for bars in GROWTH_OF_BARS]
    cases += [("exact", bars, 1) for bars in GROWTH_OF_BARS[:2]]
    for gear, bars, symbols in cases:
        one = grow(gear, bars, symbols)
        speed = bars * symbols / one.seconds
        print(f"{one.name:14}{symbols:>9,}{bars:>12,}{one.seconds:>10.4f}{speed:>14,.0f}{one.megabytes:>12,.0f}")
    return alike and exact_ratio >= EXACT_GOAL and fast_ratio >= FAST_GOAL


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
