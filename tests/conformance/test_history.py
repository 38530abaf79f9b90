"""Historical data: every bar size and kind, and that it agrees with what was streamed."""

from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.conformance.harness import Client, World, until
from tests.conformance.market import (
    AAPL,
    CLOSE,
    DAY,
    ES,
    EUR,
    MINUTE,
    OPEN,
    SPX,
    TEN_O_CLOCK,
    Contract,
    option,
    qualified,
    quote,
)

NEW_YORK = ZoneInfo("America/New_York")
SIZES = {
    "1 secs": ("300 S", timedelta(seconds=1)),
    "5 secs": ("600 S", timedelta(seconds=5)),
    "10 secs": ("600 S", timedelta(seconds=10)),
    "15 secs": ("600 S", timedelta(seconds=15)),
    "30 secs": ("1800 S", timedelta(seconds=30)),
    "1 min": ("1 D", timedelta(minutes=1)),
    "2 mins": ("1 D", timedelta(minutes=2)),
    "3 mins": ("1 D", timedelta(minutes=3)),
    "5 mins": ("2 D", timedelta(minutes=5)),
    "10 mins": ("2 D", timedelta(minutes=10)),
    "15 mins": ("2 D", timedelta(minutes=15)),
    "20 mins": ("2 D", timedelta(minutes=20)),
    "30 mins": ("1 W", timedelta(minutes=30)),
    "1 hour": ("1 W", timedelta(hours=1)),
    "2 hours": ("1 W", timedelta(hours=2)),
    "3 hours": ("1 W", timedelta(hours=3)),
    "4 hours": ("1 W", timedelta(hours=4)),
    "8 hours": ("1 W", timedelta(hours=8)),
    "1 day": ("1 M", timedelta(days=1)),
    "1 week": ("2 M", timedelta(days=7)),
    "1 month": ("3 M", timedelta(days=28)),
}


def sound(bars: list[dict[str, Any]]) -> None:
    """Bars are in order, and their prices are possible."""
    assert bars
    assert [bar["date"] for bar in bars] == sorted({bar["date"] for bar in bars})
    for bar in bars:
        assert bar["low"] <= min(bar["open"], bar["close"]) <= max(bar["open"], bar["close"]) <= bar["high"], bar


@pytest.fixture
def world(world: World) -> World:
    """Between two ticks: the last one belongs to the bars that go on."""
    world.advance(TEN_O_CLOCK + MINUTE / 2)
    return world


@pytest.mark.parametrize("size", [size for size, (_, step) in SIZES.items() if step < DAY])
def test_bar_sizes(client: Client, world: World, size: str) -> None:
    duration, step = SIZES[size]
    bars = client.call("history", contract=AAPL, duration=duration, size=size)
    sound(bars)
    assert len(bars) > 1
    starts = [datetime.fromisoformat(bar["date"]).astimezone(NEW_YORK) for bar in bars]
    for before, start in pairwise(starts):
        midnight = start.replace(hour=0, minute=0, second=0)
        first_of_day = before.date() != start.date()
        assert start.time() == time(9, 30) if first_of_day else (start - midnight) % step == timedelta(0)
    assert bars[-1]["close"] == float(quote(world, AAPL).last)
    assert min(bar["volume"] for bar in bars) > 0


@pytest.mark.parametrize(("size", "least", "most"), [("1 day", 20, 24), ("1 week", 8, 10), ("1 month", 3, 4)])
def test_long_bars(client: Client, world: World, size: str, least: int, most: int) -> None:
    bars = client.call("history", contract=AAPL, duration=SIZES[size][0], size=size)
    sound(bars)
    assert least <= len(bars) <= most
    assert all(len(bar["date"]) == len("2024-06-03") for bar in bars)
    assert bars[-1]["close"] == float(quote(world, AAPL).last)


@pytest.mark.parametrize(("size", "number"), [("1 min", 390), ("5 mins", 78), ("30 mins", 13), ("1 hour", 7)])
def test_bars_of_a_whole_day(client: Client, world: World, size: str, number: int) -> None:
    world.advance(CLOSE + MINUTE)
    bars = client.call("history", contract=AAPL, duration="1 D", size=size)
    assert len(bars) == number
    assert datetime.fromisoformat(bars[0]["date"]) == OPEN
    (day,) = client.call("history", contract=AAPL, duration="1 D", size="1 day")
    assert day["open"] == bars[0]["open"]
    assert day["close"] == bars[-1]["close"]
    assert day["high"] == max(bar["high"] for bar in bars)
    assert day["low"] == min(bar["low"] for bar in bars)
    assert day["volume"] == pytest.approx(sum(bar["volume"] for bar in bars), rel=0.001)


@pytest.mark.parametrize("what", ["TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"])
def test_what_to_show(client: Client, world: World, what: str) -> None:
    bars = client.call("history", contract=AAPL, duration="1 D", size="5 mins", what=what)
    if what == "BID_ASK":
        # there open is the time-average of the bid and close that of the ask, low the lowest bid, high the highest ask
        assert all(bar["low"] <= bar["open"] < bar["close"] <= bar["high"] for bar in bars)
    else:
        sound(bars)
    now = quote(world, AAPL)
    expected = {"MIDPOINT": (now.bid + now.ask) / 2, "BID": now.bid, "ASK": now.ask, "BID_ASK": None}
    close = expected.get(what, now.last)
    if close is not None:
        assert bars[-1]["close"] == pytest.approx(float(close))
    traded = what in ("TRADES", "ADJUSTED_LAST")
    assert all((bar["volume"] > 0) == traded for bar in bars)


@pytest.mark.parametrize("what", ["HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY"])
def test_volatility_bars(client: Client, what: str) -> None:
    bars = client.call("history", contract=AAPL, duration="1 M", size="1 day", what=what)
    sound(bars)
    assert all(0.01 < bar["close"] < 3 for bar in bars)


@pytest.mark.parametrize(
    ("duration", "size", "days"),
    [("3 D", "1 day", 3), ("1 W", "1 day", 5), ("10 D", "1 hour", 10), ("2 D", "30 mins", 2)],
)
def test_durations(client: Client, world: World, duration: str, size: str, days: int) -> None:
    world.advance(CLOSE + MINUTE)
    bars = client.call("history", contract=AAPL, duration=duration, size=size)
    found = {bar["date"][:10] for bar in bars}
    assert len(found) in (days, days + 1)
    assert max(found) == "2024-06-03"


@pytest.mark.parametrize("form", [1, 2])
def test_forms_of_dates_mean_the_same(client: Client, form: int) -> None:
    bars = client.call("history", contract=AAPL, duration="1200 S", size="5 mins", form=form)
    expected = [(TEN_O_CLOCK - timedelta(minutes=minutes)).isoformat() for minutes in (15, 10, 5, 0)]
    assert [bar["date"] for bar in bars][-4:] == expected
    days = client.call("history", contract=AAPL, duration="2 D", size="1 day", form=form)
    assert [bar["date"] for bar in days] == ["2024-05-31", "2024-06-03"]


@pytest.mark.parametrize(
    "end", ["20240603 09:50:00 US/Eastern", "20240603-13:50:00", "20240603 13:50:00 UTC"], ids=["zone", "dash", "UTC"]
)
def test_an_end_in_the_past(client: Client, end: str) -> None:
    bars = client.call("history", contract=AAPL, duration="600 S", size="5 mins", end=end)
    assert [bar["date"][11:16] for bar in bars] == ["13:40", "13:45"]


@pytest.mark.parametrize("contract", [SPX, EUR], ids=["index", "currency"])
def test_history_of_other_types(client: Client, world: World, contract: Contract) -> None:
    what = "TRADES" if contract is SPX else "MIDPOINT"
    bars = client.call("history", contract=contract, duration="1 D", size="15 mins", what=what)
    sound(bars)
    now = quote(world, contract)
    close = now.last if contract is SPX else (now.bid + now.ask) / 2
    assert bars[-1]["close"] == pytest.approx(float(close))


def test_history_of_a_future(client: Client, world: World) -> None:
    contract = qualified(client, ES)
    bars = client.call("history", contract=contract, duration="1 D", size="1 hour", regular=False)
    sound(bars)
    assert bars[-1]["close"] == float(quote(world, contract).last)
    assert datetime.fromisoformat(bars[0]["date"]) < OPEN - timedelta(hours=12), "futures trade at night"


def test_history_of_an_option(client: Client, world: World) -> None:
    contract = qualified(client, option(world, "C"))
    bars = client.call("history", contract=contract, duration="1 D", size="15 mins", what="MIDPOINT")
    sound(bars)
    now = quote(world, contract)
    assert bars[-1]["close"] == pytest.approx(float((now.bid + now.ask) / 2))


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        # ib_async waits for ever for the end of a request that is answered with 321
        ({"duration": "1 X"}, (162, 322)),
        ({"size": "7 mins"}, (162, 322)),
        ({"what": "NOTHING"}, (162, 322)),
        ({"contract": {**AAPL, "conId": 4711}}, (200,)),
    ],
    ids=["duration", "size", "what", "contract"],
)
def test_refused(client: Client, options: dict[str, Any], codes: tuple[int, ...]) -> None:
    assert client.call("history", **{"contract": AAPL, **options}) == []
    errors = until(lambda: [error for error in client.call("errors") if error[0] > 0])
    assert errors[0][1] in codes


@pytest.mark.parametrize("what", ["TRADES", "BID", "MIDPOINT"])
def test_head_of_the_data(client: Client, what: str) -> None:
    head = client.call("head", contract=AAPL, what=what)
    assert head.startswith("2024-04-0")


@pytest.mark.parametrize("driver", ["ib_async", "ib_insync"], indirect=True)
def test_schedule(client: Client) -> None:
    sessions = client.call("schedule", contract=AAPL, days=5)
    assert [session["refDate"] for session in sessions][-2:] == ["20240531", "20240603"]
    assert sessions[-1]["startDateTime"].replace("-", " ").startswith("20240603 09:30:00")
    assert sessions[-1]["zone"] == "US/Eastern"


def test_histogram(client: Client, world: World) -> None:
    rows = client.call("histogram", contract=AAPL, period="3 days")
    prices = [row["price"] for row in rows]
    assert prices == sorted(set(prices))
    assert min(row["count"] for row in rows) > 0
    assert prices[0] <= float(quote(world, AAPL).last) <= prices[-1]


@pytest.mark.parametrize("what", ["TRADES", "BID_ASK", "MIDPOINT"])
def test_historical_ticks(client: Client, what: str) -> None:
    ticks = client.call("ticks", contract=AAPL, what=what, number=10, start="20240603 09:40:00 US/Eastern")
    assert len(ticks) >= 10
    times = [tick["time"] for tick in ticks]
    assert times == sorted(times)
    assert times[0] >= "2024-06-03T13:40"
    if what == "BID_ASK":
        assert all(0 < tick["priceBid"] < tick["priceAsk"] and tick["sizeBid"] > 0 for tick in ticks)
    else:
        assert all(tick["price"] > 0 for tick in ticks)
        assert all((tick["size"] > 0) == (what == "TRADES") for tick in ticks)


def test_historical_ticks_before_an_end(client: Client) -> None:
    ticks = client.call("ticks", contract=AAPL, what="TRADES", number=5, end="20240603 09:40:00 US/Eastern")
    assert len(ticks) >= 5
    assert max(tick["time"] for tick in ticks) <= "2024-06-03T13:40:00+00:00"


def test_history_that_is_kept_up(client: Client, world: World) -> None:
    client.call("start", key="bars", kind="bars", contract=AAPL, duration="1800 S", size="5 mins")
    before = client.call("read", key="bars")
    sound(before)
    world.advance(TEN_O_CLOCK + 11 * MINUTE)
    after = until(lambda: client.call("read", key="bars"), lambda bars: len(bars) >= len(before) + 2)
    sound(after)
    until(lambda: client.call("read", key="bars")[-1]["close"], lambda close: close == float(quote(world, AAPL).last))
    client.call("stop", key="bars")
    asked = client.call("history", contract=AAPL, duration="3600 S", size="5 mins")
    complete = {bar["date"]: prices(bar) for bar in after[:-1]}
    again = {bar["date"]: prices(bar) for bar in asked if bar["date"] in complete}
    assert len(again) >= len(before)
    assert again == {date: complete[date] for date in again}


def prices(bar: dict[str, Any]) -> tuple[float, float, float, float]:
    return bar["open"], bar["high"], bar["low"], bar["close"]


@pytest.mark.parametrize("what", ["TRADES", "MIDPOINT", "BID", "ASK"])
def test_real_time_bars_agree_with_history(client: Client, world: World, what: str) -> None:
    client.call("start", key="seconds", kind="seconds", contract=AAPL, what=what)
    client.call("time")
    world.advance(TEN_O_CLOCK + 10 * MINUTE)
    stream = until(
        lambda: client.call("read", key="seconds"), lambda bars: bars[-1:] and bars[-1]["date"] >= "2024-06-03T14:09"
    )
    sound(stream)
    client.call("stop", key="seconds")
    asked = client.call("history", contract=AAPL, duration="600 S", size="1 min", what=what)
    for bar in asked[1:-1]:
        minute = [second for second in stream if second["date"][:16] == bar["date"][:16]]
        assert minute, bar["date"]
        assert max(second["high"] for second in minute) == bar["high"]
        assert min(second["low"] for second in minute) == bar["low"]
        assert (minute[0]["open"], minute[-1]["close"]) == (bar["open"], bar["close"])


def test_bars_of_another_day_follow(client: Client, world: World) -> None:
    world.advance(OPEN + DAY + 5 * MINUTE)
    bars = client.call("history", contract=AAPL, duration="2 D", size="1 day")
    assert [bar["date"] for bar in bars] == ["2024-06-03", "2024-06-04"]
