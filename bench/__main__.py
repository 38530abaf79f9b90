"""Run the benchmarks and print them."""

import asyncio
import logging
import os
import sys

import structlog
import uvloop

from bench import backtest, latency, matching, quotes, simulator


def main() -> None:
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})  # inherited by every process started below
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    ours, bare = uvloop.run(latency.run())
    print(f"quote in -> order out, {len(ours.seconds)} orders each, one at a time, one processor for everything")
    print(f"{'':34}{'p50 ms':>10}{'p99 ms':>10}")
    for name, result in (("Millrace, all services", ours), ("bare redis-py chain, same hops", bare)):
        print(f"{name:34}{result.percentile(50):>10.2f}{result.percentile(99):>10.2f}")
    ratios = [ours.percentile(percent) / bare.percentile(percent) for percent in (50, 99)]
    print(f"{'ratio':34}{ratios[0]:>10.2f}{ratios[1]:>10.2f}")
    os.sched_setaffinity(0, everywhere)
    flow = uvloop.run(quotes.run())
    print(f"\nquotes, broker's socket -> gateway -> stream -> last reader, {len(everywhere)} processors")
    print(f"{flow.sent:,} updates of {flow.symbols} symbols in {flow.ours.ticks:,} ticks")
    print(f"{'':34}{'ticks/s':>10}{'CPU us/tick':>13}")
    for name, one in (("Millrace's gateway, published", flow.ours), ("ib_async alone, dropped", flow.alone)):
        print(f"{name:34}{one.ticks / one.seconds:>10,.0f}{one.microseconds:>13.2f}")
    speed = flow.ours.ticks / flow.ours.seconds / (flow.alone.ticks / flow.alone.seconds)
    print(f"{'ratio':34}{speed:>10.2f}{flow.ours.microseconds / flow.alone.microseconds:>13.2f}")
    print(f"{flow.batches:,} batches; newest value of every symbol arrived: {'yes' if flow.complete else 'NO'}")
    print()
    asyncio.run(simulator.main())  # ib_async, which it measures against, does not know uvloop
    fast = matching.main()
    fast = backtest.main() and fast
    if not (flow.complete and fast):
        sys.exit(1)


if __name__ == "__main__":
    main()
