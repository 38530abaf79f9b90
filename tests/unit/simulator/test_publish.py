"""Market data requests and what is pushed to a client afterwards, message by message."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from services.simulator.adapters.journal import Journal
from services.simulator.broker import Broker
from services.simulator.core.generic_ticks import GENERIC
from services.simulator.core.instruments import Instrument
from services.simulator.entitlement import Entitlement
from services.simulator.limits import DataLimits
from services.simulator.session import ClientSession
from tests.unit.simulator.data_world import CLOSE, KINDS, OPEN, Desk, instrument, make_market, minutes, of

MARKET = make_market()
AAA = instrument(MARKET, "AAA")
QUOTES, CANCEL_QUOTES, DEPTH, CANCEL_DEPTH, SECONDS, CANCEL_SECONDS = 1, 2, 10, 11, 50, 51
HISTORY, CANCEL_HISTORY, TICKS, CANCEL_TICKS, DATA_TYPE = 20, 25, 97, 98, 59


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.jsonl", "id") as opened:
        yield opened


@pytest.fixture
def desk(journal: Journal) -> Desk:
    return Desk(journal, MARKET)


def prices(rows: list[dict[str, object]], kind: int) -> list[str]:
    return [str(row["price"]) for row in of(rows, "tickPrice") if row["tick_type"] == str(kind)]


def test_a_line_begins_with_its_type_and_what_is_known(desk: Desk) -> None:
    rows = desk.ask(QUOTES, AAA, request_id=7)
    assert [row["message"] for row in rows[:3]] == ["marketDataType", "tickReqParams", "tickPrice"]
    assert (rows[0]["market_data_type"], rows[1]["min_tick"]) == ("1", "0.01")
    quote = MARKET.quote(AAA.contract_id, OPEN)
    assert quote is not None
    seen = {row["tick_type"]: row for row in of(rows, "tickPrice")}
    assert {kind: Decimal(seen[kind]["price"]) for kind in ("1", "2", "4", "14")} == {
        "1": quote.bid, "2": quote.ask, "4": quote.last, "14": quote.open,
    }  # fmt: skip
    assert seen["1"]["size"] == str(quote.bid_size)
    assert of(rows, "tickGeneric") == [{**of(rows, "tickGeneric")[0], "tick_type": "49", "value": "0"}]
    assert desk.advance(OPEN + timedelta(seconds=1)) == [], "no tick, no news"
    later = desk.advance(minutes(1))
    assert {row["request_id"] for row in later} == {"7"}
    now = MARKET.quote(AAA.contract_id, minutes(1))
    assert now is not None
    assert prices(later, 1) == ([str(now.bid.normalize())] if now.bid != quote.bid else [])
    assert [row["code"] for row in desk.ask(QUOTES, AAA, request_id=7)] == ["322"]
    assert desk.ask(CANCEL_QUOTES, request_id=7) == []
    assert desk.advance(minutes(2)) == []
    assert [row["code"] for row in desk.ask(CANCEL_QUOTES, request_id=7)] == ["300"]


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_instrument_is_quoted(desk: Desk, name: str) -> None:
    one = instrument(MARKET, name)
    rows = desk.ask(QUOTES, one, request_id=1, snapshot=True)
    assert rows[-1]["message"] == "tickSnapshotEnd"
    bids = prices(rows, 1)
    assert bool(bids) == (name != "SPX")
    assert bool(prices(rows, 4)) == (name != "EUR.USD")
    assert bool(of(rows, "tickOptionComputation")) == (name == "option")
    assert desk.advance(minutes(5)) == [], "a snapshot is no subscription"


def test_greeks_of_bid_ask_last_and_model(desk: Desk) -> None:
    rows = of(desk.ask(QUOTES, instrument(MARKET, "option"), request_id=1), "tickOptionComputation")
    assert [row["tick_type"] for row in rows] == ["10", "11", "12", "13"]
    bid, ask, _, model = rows
    assert float(bid["implied_volatility"]) < float(model["implied_volatility"]) < float(ask["implied_volatility"])
    assert all(0 < float(row["delta"]) < 1 and float(row["gamma"]) > 0 for row in rows)


def test_delayed_data_are_older_and_have_types_of_their_own(desk: Desk) -> None:
    desk.advance(minutes(30))
    warning = Entitlement(delayed=True, code=10167, text="Displaying delayed market data.")

    def delayed(session: ClientSession, one: Instrument) -> Entitlement:
        del session, one
        return warning

    desk.broker.entitlement = delayed
    desk.ask(DATA_TYPE, market_data_type=3)
    rows = desk.ask(QUOTES, AAA, request_id=1)
    assert (rows[0]["code"], rows[1]["market_data_type"]) == ("10167", "3")
    old = MARKET.quote(AAA.contract_id, minutes(15))
    assert old is not None
    assert prices(rows, 68) == [str(old.last.normalize())]
    assert not prices(rows, 4)
    assert {row["tick_type"] for row in rows if "tick_type" in row} <= {str(kind) for kind in (*range(66, 77), 88, 90)}
    warning = Entitlement(delivers=False, code=354, text="not subscribed")
    assert [row["code"] for row in desk.ask(QUOTES, AAA, request_id=2, snapshot=True)] == ["354"]
    usual = {"duration": "1 D", "bar_size": "1 day", "what_to_show": "TRADES"}
    (refused,) = desk.ask(HISTORY, AAA, request_id=3, **usual)
    assert (refused["code"], "No market data permissions for NASDAQ STK" in refused["text"]) == ("162", True)
    assert [row["code"] for row in desk.ask(DEPTH, AAA, request_id=4, smart_depth=True)] == ["354"]


def test_frozen_data_after_the_close(journal: Journal) -> None:
    desk = Desk(journal, MARKET, CLOSE + timedelta(minutes=1))
    assert desk.ask(QUOTES, AAA, request_id=1)[0]["market_data_type"] == "1"
    desk.ask(DATA_TYPE, market_data_type=2)
    assert desk.ask(QUOTES, AAA, request_id=2)[0]["market_data_type"] == "2"


def test_the_type_is_told_again_when_the_market_closes_and_opens(desk: Desk) -> None:
    desk.ask(QUOTES, AAA, request_id=1)
    desk.ask(DATA_TYPE, market_data_type=2)
    assert desk.ask(QUOTES, AAA, request_id=2)[0]["market_data_type"] == "1"
    assert of(desk.advance(CLOSE), "marketDataType") == [], "the last trade is still live"
    closing = of(desk.advance(CLOSE + timedelta(seconds=1)), "marketDataType")
    assert [(row["request_id"], row["market_data_type"]) for row in closing] == [("2", "2")]
    opening = desk.advance(OPEN + timedelta(days=1))
    assert [(row["request_id"], row["market_data_type"]) for row in of(opening, "marketDataType")] == [("2", "1")]
    of_the_line = [row["message"] for row in opening if row["request_id"] == "2"]
    assert of_the_line[0] == "marketDataType", "the word comes before the values"


@pytest.mark.parametrize("name", KINDS)
def test_generic_ticks_of_every_kind(desk: Desk, name: str) -> None:
    wanted = ",".join(str(number) for number in GENERIC)
    rows = desk.ask(QUOTES, instrument(MARKET, name), request_id=1, generic_ticks=wanted)
    types = {int(row["tick_type"]) for row in rows if "tick_type" in row}
    expected = {
        "AAA": {15, 20, 21, 23, 24, 27, 28, 29, 30, 37, 46, 47, 48, 54, 55, 56, 57, 59, 63, 77, 87, 89},
        "SPX": {15, 23, 24, 37}, "EUR.USD": {15, 37}, "ES": {37, 86}, "option": {27, 29, 37}, "SPY": {15, 46},
    }[name]  # fmt: skip
    assert expected <= types
    desk.advance(minutes(3))


def test_odd_generic_ticks_are_refused(desk: Desk) -> None:
    assert [row["code"] for row in desk.ask(QUOTES, AAA, request_id=1, generic_ticks="100,99999")] == ["321"]
    assert [row["code"] for row in desk.ask(QUOTES, AAA, request_id=1, generic_ticks="x")] == ["321"]
    assert [row["code"] for row in desk.ask(QUOTES, AAA, request_id=1, generic_ticks="233", snapshot=True)] == ["321"]
    assert of(desk.ask(QUOTES, AAA, request_id=1, generic_ticks="mdoff,292:BRFG+DJNL"), "error") == []


def test_auction_of_the_close_is_announced(journal: Journal) -> None:
    desk = Desk(journal, MARKET, minutes(379))
    assert 34 not in {int(row["tick_type"]) for row in desk.ask(QUOTES, AAA, request_id=1, generic_ticks="225")[2:]}
    rows = desk.advance(minutes(385))
    assert {34, 35, 36, 61} <= {int(row["tick_type"]) for row in rows}


def test_a_combination_is_quoted_net(desk: Desk) -> None:
    one, other = instrument(MARKET, "AAA"), instrument(MARKET, "BBB")
    legs = [
        {"con_id": one.contract_id, "ratio": 2, "action": "BUY", "exchange": "SMART"},
        {"con_id": other.contract_id, "ratio": 1, "action": "SELL", "exchange": "SMART"},
    ]
    rows = desk.ask(QUOTES, request_id=1, symbol="AAA", sec_type="BAG", combo_legs=legs)
    first, second = MARKET.quote(one.contract_id, OPEN), MARKET.quote(other.contract_id, OPEN)
    assert first is not None
    assert second is not None
    assert [Decimal(price) for price in prices(rows, 1)] == [2 * first.bid - second.ask]
    assert [Decimal(price) for price in prices(rows, 2)] == [2 * first.ask - second.bid]


def test_depth_is_kept_row_by_row(desk: Desk) -> None:
    book: dict[tuple[str, int], tuple[str, str]] = {}

    def apply(rows: list[dict[str, object]]) -> None:
        for row in rows:
            key = str(row["side"]), int(str(row["position"]))
            if row["operation"] == "2":
                del book[key]
            else:
                assert (key in book) == (row["operation"] == "1")
                book[key] = str(row["price"]), str(row["size"])

    apply(of(desk.ask(DEPTH, AAA, request_id=1, rows=4, smart_depth=True), "updateMktDepthL2"))
    assert len(book) == 8
    for minute in (1, 2, 30, 389):
        apply(desk.advance(minutes(minute)))
        place = MARKET.latest(AAA.contract_id, minutes(minute))
        assert place is not None
        bids, asks = MARKET.ladder(*place)
        shown = [book["1", row] for row in range(4)], [book["0", row] for row in range(4)]
        for rows, levels in zip(shown, (bids, asks), strict=True):
            assert [(Decimal(price), int(size)) for price, size in rows] == [
                (one.price, one.size) for one in levels[:4]
            ]
    assert of(desk.ask(DEPTH, AAA, request_id=2, exchange="ARCA"), "updateMktDepth")
    assert [row["code"] for row in desk.ask(DEPTH, AAA, request_id=3)] == ["10092"]
    desk.ask(CANCEL_DEPTH, request_id=1)
    desk.ask(CANCEL_DEPTH, request_id=2)
    assert [row["code"] for row in desk.ask(CANCEL_DEPTH, request_id=2)] == ["310"]
    assert desk.advance(CLOSE) == []


def test_limits_are_all_clients_together(journal: Journal) -> None:
    desk = Desk(journal, MARKET)
    desk.session.limits = DataLimits(2)
    other = ClientSession(178, desk.session._writer, 1 << 40, limits=DataLimits(2))
    desk.broker.join(2, other)
    desk.ask(QUOTES, AAA, request_id=1)
    own, desk.session = desk.session, other
    assert of(desk.ask(QUOTES, AAA, request_id=1), "error") == []
    assert [row["code"] for row in desk.ask(QUOTES, AAA, request_id=2)] == ["101"]
    desk.session = own
    for request_id in (1, 2, 3):
        assert of(desk.ask(DEPTH, AAA, request_id=request_id, smart_depth=True), "error") == []
        assert of(desk.ask(TICKS, AAA, request_id=request_id, tick_type="Last"), "error") == []
    assert [row["code"] for row in desk.ask(DEPTH, AAA, request_id=4, smart_depth=True)] == ["309"]
    assert [row["code"] for row in desk.ask(TICKS, AAA, request_id=4, tick_type="Last")] == ["10190"]


def test_kept_up_history_and_its_end(desk: Desk) -> None:
    desk.advance(minutes(5))
    query = {"duration": "1 D", "bar_size": "5 mins", "what_to_show": "TRADES", "format_date": 2}
    rows = desk.ask(HISTORY, AAA, request_id=1, keep_up_to_date=True, **query)
    assert [row["message"] for row in rows] == ["historicalData"]
    updated = of(desk.advance(minutes(11)), "historicalDataUpdate")
    assert [int(row["date"]) for row in updated] == [int(minutes(count).timestamp()) for count in (5, 10)]
    (whole,) = desk.ask(HISTORY, AAA, request_id=2, **query)
    assert {name: whole["bars"][-2][name] for name in ("date", "open", "high", "low", "close", "volume")} == {
        name: updated[0][name] for name in ("date", "open", "high", "low", "close", "volume")
    }
    assert [row["code"] for row in desk.ask(CANCEL_HISTORY, request_id=1)] == ["162"]
    assert [row["code"] for row in desk.ask(CANCEL_HISTORY, request_id=1)] == ["366"]
    assert desk.advance(minutes(20)) == []


@pytest.mark.parametrize("changes", [
    {"duration": "1 X"}, {"bar_size": "7 mins"}, {"what_to_show": "FEE_RATE"}, {"end": "nonsense"},
    {"what_to_show": "SCHEDULE"}, {"keep_up_to_date": True, "end": "20100106 10:00:00"},
    {"what_to_show": "ADJUSTED_LAST", "end": "20100106 10:00:00"}, {"what_to_show": "BID_ASK", "keep_up_to_date": True},
])  # fmt: skip
def test_what_history_does_not_have_ends_with_162(desk: Desk, changes: dict[str, object]) -> None:
    usual = {"duration": "1 D", "bar_size": "5 mins", "what_to_show": "TRADES"}
    assert [row["code"] for row in desk.ask(HISTORY, AAA, request_id=1, **{**usual, **changes})] == ["162"]


def test_seconds_and_ticks_end_when_cancelled(desk: Desk) -> None:
    desk.ask(SECONDS, AAA, request_id=1, what_to_show="TRADES")
    for number, kind in enumerate(("Last", "AllLast", "BidAsk", "MidPoint"), 2):
        desk.ask(TICKS, AAA, request_id=number, tick_type=kind)
    rows = desk.advance(minutes(3))
    assert len(of(rows, "realtimeBar")) == 3
    for number in range(2, 6):
        assert len([row for row in of(rows, "tickByTick") if row["request_id"] == str(number)]) == 3
    assert [row["code"] for row in desk.ask(SECONDS, AAA, request_id=9, what_to_show="X")] == ["420"]
    desk.ask(CANCEL_SECONDS, request_id=1)
    for number in range(2, 6):
        desk.ask(CANCEL_TICKS, request_id=number)
    assert desk.advance(minutes(4)) == []


def test_forgotten_and_sent_again(desk: Desk) -> None:
    first = desk.ask(QUOTES, AAA, request_id=1)
    assert [one for _, one in desk.session.data.lines()] == [AAA]
    desk.session.data.resend()
    again = desk.advance(OPEN + timedelta(seconds=1))
    assert again == first[2:], "all values once more"
    desk.session.data.forget()
    assert desk.session.data.instrument_of(1) is None
    assert desk.advance(minutes(3)) == []


@pytest.mark.parametrize("version", [157, 163, 174, 178])
def test_every_version_gets_its_form_of_dates(journal: Journal, version: int) -> None:
    desk = Desk(journal, MARKET, minutes(10), version)
    (found,) = desk.ask(HISTORY, AAA, request_id=1, duration="600 S", bar_size="5 mins", what_to_show="TRADES")
    form = "20100106 09:30:00 US/Eastern" if version >= 174 else "20100106  09:30:00"
    assert found["bars"][0]["date"] == form
    (epoch,) = desk.ask(
        HISTORY, AAA, request_id=1, duration="600 S", bar_size="5 mins", what_to_show="TRADES", format_date=2
    )
    assert epoch["bars"][0]["date"] == str(int(OPEN.timestamp()))


def test_a_broker_without_clients_computes_nothing(journal: Journal) -> None:
    desk = Desk(journal, MARKET)
    broker: Broker = desk.broker
    broker.leave(1)
    assert desk.advance(CLOSE) == []
