"""What a backtest through the simulator takes for granted, in sentences for whoever reads its result."""

from collections.abc import Iterator, Sequence

from services.backtest.core.replay import ReplaySettings
from services.scheduler.core.schedule import JobTime
from services.simulator.config import Settings as SimulatorSettings
from services.strategy.core.host import Instance
from services.strategy.core.vertical import SpreadStrategy


def assumptions(
    simulator: SimulatorSettings, settings: ReplaySettings, instances: Sequence[Instance]
) -> tuple[str, ...]:
    spreads = [each.strategy for each in instances if isinstance(each.strategy, SpreadStrategy)]
    return (
        *_prices(simulator),
        *_fills(),
        *_costs(simulator),
        *_account(simulator),
        *_system(settings),
        *(_spreads() if spreads else ()),
    )


def _prices(simulator: SimulatorSettings) -> Iterator[str]:
    yield (
        f"There is a price every {simulator.tick_seconds} s. Where only a day's bar is known, prices go in straight"
        " lines from the open over both extremes to the close; a rising day reaches its low first, a falling day its"
        " high, at times drawn from symbol and date."
    )
    yield (
        "Of such a day's volume 2 % trade in the opening auction and 6 % in the closing one, the rest three times as"
        " densely at open and close as at mid-day."
    )
    yield f"A stock's bid and ask lie {simulator.spread} USD to each side of its last price, all day."
    yield "What is shown at bid and at ask is on average 2 % of what trades in a minute."
    if simulator.market == "synthetic":
        yield (
            f"Prices are drawn with seed {simulator.seed}: drift {simulator.drift:.0%} and volatility"
            f" {simulator.volatility:.0%} a year, {simulator.gaps_per_year:g} large overnight moves and"
            f" {simulator.halts_per_year:g} trading halts a year and symbol."
        )


def _fills() -> Iterator[str]:
    yield (
        "An order takes what the book shows up to its limit, level by level, at those prices; what rests gets what is"
        " shown or trades at its limit, behind what was shown there before: fills can be partial, and none is better"
        " than the market was."
    )
    yield (
        "Entries are limit orders at the ask for the day. A stop becomes a market order when the last price reaches it:"
        " it pays the spread and what the book gives, and after a gap the price beyond it."
    )
    yield "The market does not react to our orders, and our orders do not trade with each other."


def _costs(simulator: SimulatorSettings) -> Iterator[str]:
    if simulator.commission_plan == "tiered":
        yield "Commissions of stocks are IBKR's tiered ones of the lowest tier, without exchange fees."
    else:
        yield (
            f"Commissions of stocks are {simulator.commission_per_share} USD a share, at least"
            f" {simulator.commission_minimum} USD an order, at most {simulator.commission_maximum_fraction:.1%} of"
            " its value."
        )
    charged = "are charged" if simulator.regulatory_fees else "are not charged"
    yield f"Regulatory fees on sales {charged}."
    if simulator.borrow_fee:
        yield f"Short stock costs {simulator.borrow_fee:.2%} of its value a year."


def _account(simulator: SimulatorSettings) -> Iterator[str]:
    yield (
        "The account is a margin account by Regulation T; the broker refuses what it cannot carry. Cash earns no"
        " interest and debit pays none."
    )
    yield (
        "Dividends are paid on the ex-date; in the night of a split all orders on the stock are cancelled, the position"
        " is converted, and the books, which know nothing of it, disarm trading."
        if simulator.market == "folder" or simulator.corporate_actions
        else "There are no dividends and no splits."
    )


def _system(settings: ReplaySettings) -> Iterator[str]:
    times = ", ".join(f"{job.job} {_when(job)}" for job in settings.jobs)
    yield f"In every session: {times}."
    yield (
        f"Daily strategies see the newest {settings.window_bars} bars through the session before, of which"
        f" {settings.history_bars} are there at the start, and act at the prices of their job's minute."
    )
    yield "Risk sizes with the account's value of the session's reconciliation, all day."
    yield "Messages take no time: every order arrives in the minute in which it was decided."
    yield "All intents of one evaluation are judged before the first of their orders fills."
    if settings.filters is None:
        yield "Every symbol may be entered, whatever the scanner thinks of it."
    yield "What is still held at the end is valued at the last prices, and costs no commission to close."


def _spreads() -> Iterator[str]:
    yield (
        "Options are quoted around their model price: 0.02 USD plus 1 % of the premium wide, and wider away from the"
        " money; combinations trade whole, at their legs' best quotes, or not at all."
    )
    yield (
        "An option spread is entered by one limit order for the day, `crossing` of its quoted spread from the middle;"
        " where a leg has no bid or no ask it is not entered. It is left at the quote, by the same order on both legs."
    )
    yield (
        "While the leg that leaving would sell has no bid, as one far out of the money has none, a spread is not left,"
        " whatever its target, stop and last day: it can come to expiry."
    )
    yield (
        "Targets, stops and last days of option spreads are looked at when exits are checked, at what leaving would"
        " bring then; between these checks losses can pass the stop, never the most that the legs can lose."
    )
    yield (
        "At expiry what is 0.01 USD in the money is exercised or assigned; a short call is assigned early before a"
        " dividend that is worth more than its time value, and never else. Shares or single legs that this leaves are"
        " closed at the next check of exits; until then they are at risk."
    )


def _when(job: JobTime) -> str:
    for name in ("after_open_minutes", "before_close_minutes", "after_close_minutes"):
        minutes = getattr(job, name)
        if minutes is not None:
            return f"{minutes} min {name.removesuffix('_minutes').replace('_', ' the ')}"
    return ""
