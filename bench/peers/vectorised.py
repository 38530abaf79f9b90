"""vectorbt at the case of bench/backtest.py. Runs in an environment of its own, which the bench makes.

A bar's open is the close before it, so a signal may be filled at its own bar's close: vectorbt has the less to do.
"""

import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import vectorbt

FAST, SLOW, SETTLED, SHARES = 10, 30, 400, 100


def run(close: pd.Series) -> dict[str, float]:
    began = perf_counter()
    fast = vectorbt.MA.run(close, FAST, ewm=True)
    slow = vectorbt.MA.run(close, SLOW, ewm=True)
    entries, exits = fast.ma_crossed_above(slow).to_numpy(), fast.ma_crossed_below(slow).to_numpy()
    entries[:SETTLED] = exits[:SETTLED] = False
    signalled = perf_counter()
    portfolio = vectorbt.Portfolio.from_signals(
        close, entries, exits, size=SHARES, fixed_fees=1.0, init_cash=1_000_000.0, freq="1min"
    )
    records, value = portfolio.orders.values, portfolio.value()
    seconds, filling = perf_counter() - began, perf_counter() - signalled
    sign = np.where(records["side"] == 1, 1, -1)
    money = float((records["price"] * records["size"] * sign).sum())
    return {
        "seconds": seconds,
        "filling": filling,
        "fills": len(records),
        "money": money,
        "value": float(value.iloc[-1]),
    }


def megabytes() -> float:
    """Most memory that this process ever had; `getrusage` would count its parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    columns = np.load(sys.argv[1])
    close = pd.Series(columns["close"], index=pd.to_datetime(columns["end"]))  # with a time zone it takes seconds
    run(close.iloc[:1000])  # compiles
    for _ in sys.stdin:  # one run for each line
        found = run(close)
        print(json.dumps(found | {"megabytes": megabytes()}), flush=True)


if __name__ == "__main__":
    main()
