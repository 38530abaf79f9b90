"""`millrace market` on a running copy, whose simulated market stands still but where a test moves it."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from cli.deployment import Deployment
from cli.errors import CommandError
from cli.inquiry import inquiry
from cli.main import app
from shared.messages.base import originate
from shared.messages.broker import BrokerTime, SessionChanged
from shared.messages.market_requests import FetchContract, Subscribe
from shared.types import Mode, SessionState
from tests.integration.test_cli import ROOT, Launcher, environment
from tests.tools import eventually, make_bus

OPTION = "AAPL  120615C00575000"
MORNING = datetime(2012, 6, 1, 13, 35, tzinfo=UTC)
pytestmark = pytest.mark.timeout(240)


def connect(url: str) -> Any:
    return cast(Any, Redis).from_url(url)  # redis-py's annotations are incomplete


class Market:
    """The verbs, and the market's time."""

    def __init__(self, data_folder: Path, deployment: Deployment) -> None:
        self.data_folder = data_folder
        self.deployment = deployment
        self.simulator = deployment.services["simulator"]
        self.now = MORNING
        self.move(timedelta())

    def move(self, step: timedelta = timedelta(minutes=1)) -> None:
        self.now += step
        httpx.post(f"{self.simulator}/advance", params={"to": self.now.isoformat()}).raise_for_status()

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["market", *words, "--data-folder", str(self.data_folder)])

    def lines(self, *words: str) -> list[dict[str, Any]]:
        """What a verb prints with --json; it must succeed."""
        done = self(*words, "--json")
        assert done.exit_code == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "cli.main", "market", *words, "--data-folder", str(self.data_folder)],
            cwd=ROOT,
            env=environment() | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )

    def moving(self, *words: str) -> list[str]:
        """What a verb prints that ends by itself, while the market moves."""
        ended = threading.Event()

        def move() -> None:
            while not ended.wait(0.05):
                self.move(timedelta(seconds=20))

        mover = threading.Thread(target=move)
        mover.start()
        try:
            done = self(*words)
        finally:
            ended.set()
            mover.join()
        assert done.exit_code == 0, done.stderr
        return done.stdout.splitlines()

    def until_wanted(self, count: float) -> None:
        asyncio.run(eventually(lambda: self.wanted() == count))

    def wanted(self) -> float:
        """How many streams the gateway keeps, or would."""
        text = httpx.get(f"{self.deployment.services['gateway']}/metrics").text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(WANTED))

    def sent(self) -> list[dict[str, Any]]:
        with connect(self.deployment.redis_url) as redis:
            commands = redis.xrange("market.commands")
            return [json.loads(fields[b"message"]) for _, fields in commands]


WANTED = "millrace_gateway_lines_wanted "


@pytest.fixture(scope="module")
def market(server_folder: Path) -> Iterator[Market]:
    launcher = Launcher(server_folder / "market")
    try:
        asyncio.run(launcher.until_started())
        yield Market(launcher.data_folder, launcher.deployment)
    finally:
        launcher.stop()


def test_quotes_and_greeks_are_shown_and_then_wanted_no_more(market: Market) -> None:
    wanted = market.wanted()
    done = market("quote", "AAPL", OPTION, "--held")
    assert done.exit_code == 0, done.stderr
    header, stock, option = done.stdout.splitlines()
    assert header.startswith("symbol")
    assert header.rstrip().endswith("by")
    assert "live" in stock
    assert option.startswith(OPTION)
    assert option.split()[-1] == "broker"
    market.until_wanted(wanted)
    begun, ended = market.sent()[-2:]
    assert (begun["type"], begun["data"]["priority"], ended["type"]) == ("Subscribe", "held", "Unsubscribe")
    assert ended["data"]["symbols"] == ["AAPL", OPTION]


def test_the_broker_s_refusal_is_printed_beside_the_quotes_there_are(market: Market) -> None:
    done = market("quote", "IBM", "NOSUCH")
    assert done.exit_code == 1
    assert "IBM" in done.stdout
    assert done.stderr.startswith("NOSUCH: 200 ")


def test_what_is_no_symbol_is_refused_before_anything_is_sent(market: Market) -> None:
    sent = len(market.sent())
    for words in (("quote", "IBM", "aapl"), ("history", "aapl"), ("ticks", "aapl")):
        done = market(*words)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "symbol 'aapl' is no ticker, OCC option symbol" in done.stderr
    assert "choose one of --bids-and-asks, --depth" in market("ticks", "IBM", "--depth", "--bids-and-asks").stderr
    assert len(market.sent()) == sent


def test_two_who_follow_the_same_symbol_do_not_disturb_each_other(market: Market) -> None:
    wanted = market.wanted()
    follower = market.start("quote", OPTION, "--follow", "--json")
    assert follower.stdout is not None
    first = json.loads(follower.stdout.readline())
    (other,) = market.lines("quote", OPTION)
    assert first["symbol"] == other["symbol"] == OPTION
    assert market.wanted() == wanted + 1
    market.move()
    newer = first
    while newer["volume"] == first["volume"]:
        newer = json.loads(follower.stdout.readline())
    follower.send_signal(signal.SIGINT)
    follower.communicate()
    assert follower.returncode == 0
    market.until_wanted(wanted)


@pytest.mark.parametrize(("flag", "field"), [("--bids-and-asks", "bid_size"), ("--bars", "close")])
def test_ticks_end_after_as_many_as_were_asked_for(market: Market, flag: str, field: str) -> None:
    printed = market.moving("ticks", "MSFT", flag, "--json", "-n", "2")
    assert len(printed) == 2
    assert all(json.loads(line)["symbol"] == "MSFT" and field in json.loads(line) for line in printed)


def test_trades_and_the_book_for_people(market: Market) -> None:
    (trade,) = market.moving("ticks", "MSFT", "-n", "1")
    assert trade.startswith("2012-06-01 ")
    assert "NASDAQ" in trade
    book = market.moving("ticks", "MSFT", "--depth", "-n", "1")
    assert book[0].split() == ["at", "size", "bid", "ask", "size", "at"]
    assert len(book) > 2


def test_a_contract_and_its_option_chain(market: Market) -> None:
    shown = market("contract", "AAPL")
    assert "APPLE INC" in shown.stdout, shown.stderr
    assert "multiples of 0.01 from 0" in shown.stdout
    assert market.lines("contract", OPTION)[0]["facts"]["underlying"] == "AAPL"
    chain = market("chain", "AAPL")
    assert "2012-06-15" in chain.stdout, chain.stderr
    assert " 575, " in chain.stdout


def test_history(market: Market) -> None:
    shown = market("history", "AAPL", "-n", "3").stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["from", "2012-05-29", "2012-05-30", "2012-05-31"]
    minutes = market.lines("history", "AAPL", "--timeframe", "1 min", "-n", "2", "--kind", "midpoint")
    assert [bar["timeframe"] for bar in minutes] == ["1 min", "1 min"]
    refused = market("history", "NOSUCH")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("NOSUCH: the broker knows no contract")


def test_scans_and_news(market: Market) -> None:
    assert len(market("scan", "MOST_ACTIVE", "--rows", "2").stdout.split()) == 2
    (news,) = market.lines("news", "AAPL", "-n", "1")
    assert news["headline"] in market("news", "AAPL", "-n", "1").stdout
    assert market("scan", "NO_SUCH_CODE").exit_code == 1


def test_an_answer_that_does_not_come_is_missed_with_the_state_of_the_gateway(market: Market) -> None:
    rule = {"when": {"receives": "reqHistoricalData"}, "do": [{"effect": "drop"}]}
    httpx.post(f"{market.simulator}/faults", json=rule).raise_for_status()
    done = market("history", "GOOG", "--kind", "bid", "--wait", "0.5")
    httpx.delete(f"{market.simulator}/faults").raise_for_status()
    assert done.exit_code == 1
    assert (
        done.stderr == "no answer about GOOG within 0.5 s (--wait); the gateway is ready: the broker has sent nothing\n"
    )


def elsewhere(redis_url: str) -> Deployment:
    """A copy whose gateway can't be reached."""
    return Deployment(mode=Mode.PAPER, redis_url=redis_url, database_url="", services={"gateway": "http://127.0.0.1:1"})


async def test_a_gateway_that_starts_anew_is_told_again_what_is_wished(redis_url: str) -> None:
    gateway = make_bus(redis_url, "gateway")
    ready = SessionChanged(state=SessionState.READY, reason="connected", account="DU1", since=MORNING)
    async with inquiry(elsewhere(redis_url), 20) as asking:
        await asking.subscribe(Subscribe(symbols=("IBM",)))
        for event in (ready, BrokerTime(now=MORNING)):
            await gateway.publish([originate(event, source="gateway", time=MORNING, subject="session", key="1")])
        heard = await anext(asking.hear())
        assert isinstance(heard.envelope.data, BrokerTime)
    commands = await gateway.tail("market.commands", 10)
    assert [command.type for command in commands] == ["Subscribe", "Subscribe", "Unsubscribe"]
    assert len({command.source for command in commands}) == 1
    assert len({command.id for command in commands}) == 3
    await gateway.close()


async def test_a_gateway_that_does_not_answer_is_named(redis_url: str) -> None:
    async with inquiry(elsewhere(redis_url), 0.1) as asking:
        with pytest.raises(CommandError, match=r"no answer about IBM .* the gateway is not ready: does not answer yet"):
            await asking.ask(FetchContract(symbol="IBM"), "IBM")
