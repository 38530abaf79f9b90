"""NautilusTrader at the case of bench/backtest.py. Runs in an environment of its own, which the bench makes."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import FixedFeeModel
from nautilus_trader.config import LoggingConfig
from nautilus_trader.indicators import ExponentialMovingAverage
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, TimeInForce
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

FAST, SLOW, SETTLED, SHARES = 10, 30, 400, 100


class Crossover(Strategy):
    """Long while the fast average is above the slow one, from the first crossing after SETTLED bars."""

    def __init__(self, instrument, bar_type: BarType) -> None:
        super().__init__()
        self.instrument, self.bar_type = instrument, bar_type
        self.fast, self.slow = ExponentialMovingAverage(FAST), ExponentialMovingAverage(SLOW)
        self.bars, self.above, self.long = 0, False, False
        self.fills, self.money = 0, Decimal(0)

    def on_start(self) -> None:
        self.register_indicator_for_bars(self.bar_type, self.fast)
        self.register_indicator_for_bars(self.bar_type, self.slow)
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar: Bar) -> None:
        del bar  # the averages have taken it
        self.bars += 1
        above = self.fast.value > self.slow.value
        if self.bars > SETTLED and above != self.above and above != self.long:
            side = OrderSide.BUY if above else OrderSide.SELL
            quantity = self.instrument.make_qty(SHARES)
            self.submit_order(
                self.order_factory.market(self.instrument.id, side, quantity, time_in_force=TimeInForce.GTC)
            )
            self.long = above
        self.above = above

    def on_order_filled(self, event) -> None:
        self.fills += 1
        self.money += event.last_px.as_decimal() * event.last_qty.as_decimal() * (1 if event.is_sell else -1)


def run(instrument, bar_type: BarType, bars: list[Bar]) -> dict[str, float]:
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False))
    engine.add_venue(
        venue=Venue("SIM"),
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=USD,
        starting_balances=[Money(1_000_000, USD)],
        fee_model=FixedFeeModel(Money(1, USD)),
    )
    engine.add_instrument(instrument)
    engine.add_data(bars)
    strategy = Crossover(instrument, bar_type)
    engine.add_strategy(strategy)
    began = perf_counter()
    engine.run()
    seconds = perf_counter() - began
    found = {"seconds": seconds, "fills": strategy.fills, "money": float(strategy.money)}
    engine.dispose()
    return found


def megabytes() -> float:
    """Most memory that this process ever had; `getrusage` would count its parent's too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main() -> None:
    columns = np.load(sys.argv[1])
    instrument = TestInstrumentProvider.equity("ONE", "SIM")
    bar_type = BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")
    index = pd.to_datetime(columns["end"], utc=True)
    frame = pd.DataFrame({name: columns[name] for name in ("open", "high", "low", "close", "volume")}, index=index)
    bars = BarDataWrangler(bar_type, instrument).process(frame)
    for _ in sys.stdin:  # one run for each line
        found = run(instrument, bar_type, bars)
        print(json.dumps(found | {"megabytes": megabytes()}), flush=True)


if __name__ == "__main__":
    main()
