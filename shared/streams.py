"""The registry of streams: what each carries, who writes it, who reads it, how long it is kept.

Event streams have exactly one writing service; command streams exactly one reading group.
"""

from dataclasses import dataclass
from datetime import timedelta

from shared.messages import (
    alert,
    broker,
    broker_commands,
    control,
    job,
    market,
    market_requests,
    order,
    risk,
    scan,
    sentiment,
    strategy,
)
from shared.messages.base import Message


@dataclass(frozen=True)
class Stream:
    """`groups` are the services that read it and acknowledge; `followers` read the newest state and never
    acknowledge. `retention` is how long acknowledged entries stay for people to look at."""

    name: str
    messages: tuple[type[Message], ...]
    writers: tuple[str, ...]
    groups: tuple[str, ...]
    followers: tuple[str, ...] = ()
    retention: timedelta = timedelta(days=7)

    @property
    def types(self) -> dict[str, type[Message]]:
        return {message.__name__: message for message in self.messages}

    @property
    def dead(self) -> str:
        return f"{self.name}.dead"


STREAMS: tuple[Stream, ...] = (
    Stream(
        "market.quotes",
        (market.QuoteBatch,),
        ("gateway",),
        (),
        followers=("marketdata", "risk", "cli"),
        retention=timedelta(minutes=15),
    ),
    Stream("market.bars", (market.Bar,), ("marketdata",), ("strategy",)),
    Stream(
        "market.ticks",
        (market.TickBatch, market.DepthBook, market.LiveBar, market.NewsHeadline),
        ("gateway",),
        (),
        followers=("cli",),
        retention=timedelta(minutes=15),
    ),
    Stream(
        "market.commands",
        (
            market_requests.Subscribe,
            market_requests.Unsubscribe,
            market_requests.FetchHistory,
            market_requests.FetchContract,
            market_requests.FetchOptionChain,
            market_requests.ScanMarket,
            market_requests.FetchNews,
        ),
        ("marketdata", "cli"),
        ("gateway",),
    ),
    Stream(
        "broker.events",
        (
            broker.SessionChanged,
            broker.BrokerTime,
            broker.OrderReported,
            broker.OrderPreviewed,
            broker.ExecutionReported,
            broker.CommissionReported,
            broker.BrokerErrorReported,
            broker.BrokerSnapshot,
            market_requests.HistoryFetched,
            market_requests.ContractFetched,
            market_requests.OptionChainFetched,
            market_requests.MarketScanned,
            market_requests.NewsFetched,
        ),
        ("gateway",),
        ("execution", "marketdata", "scheduler", "notifier"),
        followers=("cli",),
        retention=timedelta(days=1),
    ),
    Stream(
        "broker.commands",
        (
            broker_commands.SubmitOrder,
            broker_commands.ModifyOrder,
            broker_commands.CancelOrder,
            broker_commands.CancelAllOrders,
            broker_commands.PreviewOrder,
            broker_commands.RequestSnapshot,
        ),
        ("execution",),
        ("gateway",),
    ),
    Stream("scan.commands", (scan.ScanShard,), ("scheduler",), ("scanner",)),
    Stream("scan.results", (scan.ShardScanned,), ("scanner",), ("strategy",)),
    Stream("sentiment.readings", (sentiment.SentimentReading,), ("sentiment",), ("strategy",)),
    Stream("strategy.signals", (strategy.OrderIntent,), ("strategy",), ("risk",)),
    Stream(
        "order.commands",
        (order.PlaceOrder, order.ClosePosition, order.CancelEntry, order.Reconcile),
        ("risk",),
        ("execution",),
    ),
    Stream("risk.events", (risk.IntentRefused, risk.TradingStateChanged), ("risk",), ("notifier",)),
    Stream(
        "order.events",
        (order.OrderChanged, order.OrderFilled, order.CommissionBooked, order.Reconciled),
        ("execution",),
        ("risk", "notifier"),
    ),
    Stream("control.commands", (control.Halt, control.Flatten, control.Resume), ("cli",), ("risk",)),
    Stream(
        "job.commands",
        (job.RunJob,),
        ("scheduler",),
        ("marketdata", "strategy", "risk", "execution"),
    ),
    Stream("job.events", (job.JobFinished,), ("marketdata", "strategy", "risk", "execution"), ("scheduler",)),
    Stream("alert.events", (alert.AlertSent,), ("notifier",), ()),
)

# Whatever a reader could not handle, with the reason; people and the notifier read it.
DEAD_STREAMS: tuple[Stream, ...] = tuple(
    Stream(stream.dead, (alert.DeadLetter,), stream.groups, ("notifier",), retention=timedelta(days=30))
    for stream in STREAMS
    if stream.groups
)
ALL_STREAMS = STREAMS + DEAD_STREAMS

BY_NAME: dict[str, Stream] = {stream.name: stream for stream in ALL_STREAMS}
BY_MESSAGE: dict[type[Message], Stream] = {message: stream for stream in STREAMS for message in stream.messages}


def home(message: Message) -> Stream:
    """The one stream that carries this message type."""
    return BY_MESSAGE[type(message)]


def as_markdown() -> str:
    """The table of streams for the README."""
    lines = ["| stream | carries | written by | read by |", "|---|---|---|---|"]
    for stream in STREAMS:
        carries = ", ".join(message.__name__ for message in stream.messages)
        readers = ", ".join((*stream.groups, *(f"{follower} (follows)" for follower in stream.followers)))
        lines.append(f"| `{stream.name}` | {carries} | {', '.join(stream.writers)} | {readers or 'people'} |")
    lines.append("| `<stream>.dead` | DeadLetter | the reader that gave up | notifier |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(as_markdown())  # noqa: T201 - for the README
