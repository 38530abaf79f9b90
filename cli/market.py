"""`millrace market`: what the gateway can tell of the market, asked by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape

from cli import market_views as views
from cli.deployment import find
from cli.errors import CommandError
from cli.inquiry import Inquiry, inquiry
from cli.options import DataFolder
from cli.text import DEFAULT_DATA_FOLDER, make_console
from shared.instruments import parse
from shared.messages.base import Message
from shared.messages.market import DepthBook
from shared.messages.market_requests import (
    Feed,
    FetchContract,
    FetchHistory,
    FetchNews,
    FetchOptionChain,
    HistoryKind,
    LinePriority,
    ScanMarket,
    Subscribe,
)
from shared.types import Timeframe

DATA = DEFAULT_DATA_FOLDER
FEEDS = {
    "trades": Feed.TRADES,
    "bids_and_asks": Feed.BIDS_AND_ASKS,
    "depth": Feed.DEPTH,
    "bars": Feed.FIVE_SECOND_BARS,
}
console = make_console()
market = typer.Typer(
    name="market", no_args_is_help=True, help="Quotes, ticks, contracts, chains, history, scans, news."
)

Symbol = Annotated[str, typer.Argument(help="AAPL, 'AAPL  261218C00200000', ^SPX, /ESZ6 or EUR.USD")]
Wait = Annotated[float, typer.Option(min=0.1, help="Seconds until an answer, or the first of a stream, must be there.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for scripts.")]


def _checked(*symbols: str) -> tuple[str, ...]:
    """The symbols; raises CommandError for what is none."""
    try:
        return tuple(parse(symbol).name for symbol in symbols)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _chosen(default: str, **flags: bool) -> str:
    """The name of the one flag that is set; raises CommandError where there are several."""
    names = [name for name, is_set in flags.items() if is_set]
    if len(names) > 1:
        raise CommandError(f"choose one of {', '.join('--' + name.replace('_', '-') for name in names)}")
    return names[0] if names else default


def _talk(data_folder: Path, wait: float, talk: Callable[[Inquiry], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with inquiry(find(data_folder), wait) as asking:
            return await talk(asking)

    return asyncio.run(run())


def _answer(data_folder: Path, wait: float, question: Message, about: str) -> Any:
    """The answer to a question; raises CommandError with the gateway's words where the broker gave none."""
    answer = _talk(data_folder, wait, lambda asking: asking.ask(question, about))
    if answer.error is not None:
        raise CommandError(answer.error)
    return answer


def _complain(text: str) -> None:
    Console(stderr=True).print(f"[red]{escape(text)}[/red]", highlight=False, soft_wrap=True)


@market.command()
def quote(
    symbols: Annotated[list[str], typer.Argument(help="As many as you like, written as for the other verbs.")],
    held: Annotated[bool, typer.Option("--held", help="Never take their lines away.")] = False,
    watched: Annotated[bool, typer.Option("--watched", help="Stream them if lines are free (the default).")] = False,
    scanned: Annotated[bool, typer.Option("--scanned", help="Let them take turns on what lines are left.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep the table up to date until Ctrl-C.")] = False,
    json: Json = False,
    wait: Wait = 15,
    data_folder: DataFolder = DATA,
) -> None:
    """Bid, ask, last, sizes, volume, quality and age; Greeks of options."""
    names = _checked(*dict.fromkeys(symbols))
    priority = LinePriority(_chosen("watched", held=held, watched=watched, scanned=scanned))
    wish = Subscribe(symbols=names, priority=priority)
    _talk(data_folder, wait, lambda asking: _show_quotes(asking, wish, follow=follow, json=json))


async def _show_quotes(asking: Inquiry, wish: Subscribe, *, follow: bool, json: bool) -> None:
    quotes = views.QuoteTable(wish.symbols)
    await asking.subscribe(wish)
    live = follow and not json and console.is_terminal
    with Live(get_renderable=quotes.screen, console=console) if live else nullcontext():
        async for heard in asking.hear():
            told = quotes.take(heard)
            if follow and json:
                views.print_json(*told)
            if quotes.settled:
                if not follow:
                    break
                asking.wait(float("inf"))
    if not live:
        _print_quotes(quotes, follow=follow, json=json)
    if silent := [symbol for symbol in quotes.missing if symbol not in quotes.words]:
        await asking.give_up(f"quote of {', '.join(silent)}")
    if quotes.missing:
        raise typer.Exit(1)


def _print_quotes(quotes: views.QuoteTable, *, follow: bool, json: bool) -> None:
    """What a terminal that follows has seen on its screen."""
    if quotes.newest and not json:
        console.print(quotes.table())
    elif json and not follow:
        views.print_json(*quotes.newest)
    for word in quotes.words.values():
        _complain(word)


@market.command()
def ticks(
    symbol: Symbol,
    bids_and_asks: Annotated[bool, typer.Option("--bids-and-asks", help="Every change of the best prices.")] = False,
    depth: Annotated[bool, typer.Option("--depth", help="The book.")] = False,
    bars: Annotated[bool, typer.Option("--bars", help="Bars of five seconds.")] = False,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="End after so many; 0: at Ctrl-C.")] = 0,
    json: Json = False,
    wait: Wait = 15,
    data_folder: DataFolder = DATA,
) -> None:
    """Every trade as it is made, or another stream."""
    (name,) = _checked(symbol)
    feed = FEEDS[_chosen("trades", bids_and_asks=bids_and_asks, depth=depth, bars=bars)]
    wish = Subscribe(symbols=(name,), feed=feed, priority=LinePriority.HELD)
    _talk(data_folder, wait, lambda asking: _show_ticks(asking, wish, count, json=json))


async def _show_ticks(asking: Inquiry, wish: Subscribe, count: int, *, json: bool) -> None:
    (symbol,) = wish.symbols
    shown, refused = 0, False
    await asking.subscribe(wish)
    screen = Live(console=console)
    with screen if wish.feed is Feed.DEPTH and not json and console.is_terminal else nullcontext():
        async for heard in asking.hear():
            if (word := heard.word_on(wish.symbols)) is not None:
                _complain(word[1])
                refused = not shown
                if refused:
                    asking.wait(views.SETTLE_SECONDS)
            for tick in views.ticks_of(heard.envelope.data, wish.feed, symbol):
                asking.wait(float("inf"))
                _show_tick(tick, screen, json=json)
                shown += 1
                if shown == count:
                    return
    if refused and not shown:
        raise typer.Exit(1)
    if not shown:
        await asking.give_up(f"{wish.feed.replace('_', ' ')} of {symbol}")


def _show_tick(tick: views.Tick, screen: Live, *, json: bool) -> None:
    if json:
        views.print_json(tick)
    elif not isinstance(tick, DepthBook):
        console.print(views.tick_line(tick), highlight=False)
    elif screen.is_started:
        screen.update(views.depth_table(tick))
    else:
        console.print(views.depth_table(tick))


@market.command()
def contract(symbol: Symbol, json: Json = False, wait: Wait = 15, data_folder: DataFolder = DATA) -> None:
    """What the broker knows about an instrument: prices and sizes it takes, hours, order types."""
    (name,) = _checked(symbol)
    answer = _answer(data_folder, wait, FetchContract(symbol=name), name)
    views.print_json(answer) if json else console.print(views.contract_table(answer.facts))


@market.command()
def chain(symbol: Symbol, json: Json = False, wait: Wait = 15, data_folder: DataFolder = DATA) -> None:
    """The expiries and strikes of the options on a symbol; not every strike exists at every expiry."""
    (name,) = _checked(symbol)
    answer = _answer(data_folder, wait, FetchOptionChain(symbol=name), name)
    views.print_json(answer) if json else console.print(views.chain_table(answer.chain))


@market.command()
def history(
    symbol: Symbol,
    timeframe: Annotated[Timeframe, typer.Option(help="Length of a bar.")] = Timeframe.DAY,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=2000, help="How many, the newest.")] = 20,
    kind: Annotated[HistoryKind, typer.Option(case_sensitive=False, help="Bars of what.")] = HistoryKind.TRADES,
    all_hours: Annotated[bool, typer.Option("--all-hours", help="Also outside the regular hours.")] = False,
    json: Json = False,
    wait: Wait = 15,
    data_folder: DataFolder = DATA,
) -> None:
    """The newest closed bars, oldest first."""
    (name,) = _checked(symbol)
    question = FetchHistory(symbol=name, timeframe=timeframe, count=count, kind=kind, regular_hours=not all_hours)
    answer = _answer(data_folder, wait, question, name)
    views.print_json(*answer.bars) if json else console.print(views.bars_table(answer.bars))


@market.command()
def scan(
    code: Annotated[str, typer.Argument(help="One of IBKR's scan codes, such as TOP_PERC_GAIN or MOST_ACTIVE.")],
    rows: Annotated[int, typer.Option(min=1, max=50, help="At most so many symbols.")] = 20,
    json: Json = False,
    wait: Wait = 15,
    data_folder: DataFolder = DATA,
) -> None:
    """Run one of IBKR's own scanners over US stocks once; symbols, best first."""
    answer = _answer(data_folder, wait, ScanMarket(scan_code=code, rows=rows), code)
    views.print_json(answer) if json else console.print("\n".join(answer.symbols), markup=False, highlight=False)


@market.command()
def news(
    symbol: Symbol,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=300, help="How many, the newest.")] = 10,
    json: Json = False,
    wait: Wait = 15,
    data_folder: DataFolder = DATA,
) -> None:
    """The newest headlines about a symbol."""
    (name,) = _checked(symbol)
    answer = _answer(data_folder, wait, FetchNews(symbol=name, count=count), name)
    views.print_json(*answer.headlines) if json else console.print(views.news_table(answer.headlines))
