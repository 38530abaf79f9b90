"""Scanner, news, contracts, option computations: what a client asks for once."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from services.simulator.adapters.journal import Journal
from services.simulator.core.increments import MARKET_RULES
from services.simulator.core.news import PROVIDERS, NewsDesk
from services.simulator.core.scans import SCANS, ScanQuery, scan
from tests.unit.simulator.data_world import CLOSE, DAY, KINDS, OPEN, Desk, instrument, make_market, minutes, of

MARKET = make_market()
STOCKS = [instrument(MARKET, name) for name in ("AAA", "BBB", "CCC", "SPY")]
SCAN, CANCEL_SCAN, SCAN_PARAMETERS, DETAILS, RULE, CHAIN, SYMBOLS = 22, 23, 24, 9, 91, 78, 81
NEWS_ARTICLE, NEWS_PROVIDERS, OLD_NEWS, QUOTES, BULLETINS = 84, 85, 86, 1, 12


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Journal(tmp_path / "journal.jsonl", "id") as opened:
        yield Desk(opened, MARKET)


def change(contract_id: int) -> Decimal:
    quote = MARKET.quote(contract_id, minutes(200))
    assert quote is not None
    assert quote.previous_close is not None
    return quote.last / quote.previous_close - 1


def test_gainers_and_losers_are_ranked() -> None:
    changes = {stock.contract_id: change(stock.contract_id) for stock in STOCKS}
    for code, sign in (("TOP_PERC_GAIN", 1), ("TOP_PERC_LOSE", -1)):
        found = scan(MARKET, ScanQuery(code, "STK.US.MAJOR"), minutes(200), DAY)
        expected = sorted((one for one in changes if changes[one] * sign > 0), key=lambda one: -changes[one] * sign)
        assert [stock.contract_id for stock in found] == expected


@pytest.mark.parametrize("code", SCANS)
def test_every_scan_gives_listed_stocks_and_obeys_its_filters(code: str) -> None:
    everything = scan(MARKET, ScanQuery(code, "STK.US"), minutes(200), DAY)
    assert set(everything) <= set(STOCKS)
    assert scan(MARKET, ScanQuery(code, "STK.US", rows=1), minutes(200), DAY) == everything[:1]
    assert scan(MARKET, ScanQuery(code, "STK.US", above_price=Decimal(100_000)), minutes(200), DAY) == []
    funds = scan(MARKET, ScanQuery(code, "ETF.EQ.US", "ETF.EQ.US"), minutes(200), DAY)
    assert {stock.symbol for stock in funds} <= {"SPY"}


@pytest.mark.parametrize(("code", "location"), [("NOTHING", "STK.US"), ("MOST_ACTIVE", "STK.EU")])
def test_unknown_scans_are_named(code: str, location: str) -> None:
    with pytest.raises(ValueError, match=code if code == "NOTHING" else location):
        scan(MARKET, ScanQuery(code, location), OPEN, DAY)


def test_a_scan_is_repeated_when_it_has_changed(desk: Desk) -> None:
    usual = {"rows": 10, "instrument": "STK", "location_code": "STK.US.MAJOR", "request_id": 3}
    (first,) = desk.ask(SCAN, scan_code="TOP_PERC_GAIN", **usual)
    assert first["message"] == "scannerData"
    ranks: list[list[str]] = []
    for minute in range(1, 391, 10):
        rows = of(desk.advance(minutes(minute)), "scannerData")
        ranks += [[row["symbol"] for row in each["rows"]] for each in rows]
    assert ranks
    assert all(earlier != later for earlier, later in pairwise(ranks))
    assert [row["code"] for row in desk.ask(CANCEL_SCAN, request_id=3)] == ["162"]
    assert [row["code"] for row in desk.ask(CANCEL_SCAN, request_id=3)] == ["365"]
    assert [row["code"] for row in desk.ask(SCAN, scan_code="X", **usual)] == ["162"]
    (parameters,) = desk.ask(SCAN_PARAMETERS)
    assert all(f"<scanCode>{code}</scanCode>" in parameters["xml"] for code in SCANS)


def test_scan_filters_as_tags(desk: Desk) -> None:
    usual = {"rows": 10, "instrument": "STK", "location_code": "STK.US.MAJOR", "scan_code": "MOST_ACTIVE"}
    (none,) = desk.ask(SCAN, request_id=1, filter_options="priceAbove=100000;volumeAbove=1;", **usual)
    (some,) = desk.ask(SCAN, request_id=2, filter_options="priceAbove=1;", **usual)
    assert (len(none["rows"]), len(some["rows"])) == (0, 4)


def test_news_of_the_day_and_its_articles(desk: Desk) -> None:
    stories = list(NewsDesk(MARKET).between(STOCKS[0].contract_id, OPEN - timedelta(seconds=1), CLOSE))
    assert stories
    assert stories[-1].time == CLOSE
    assert {row["code"] for row in desk.ask(NEWS_PROVIDERS)[0]["providers"]} == set(PROVIDERS)
    assert of(desk.ask(QUOTES, STOCKS[0], request_id=1, generic_ticks="mdoff,292"), "tickNews") == []
    desk.advance(OPEN)
    told = of(desk.advance(CLOSE), "tickNews")
    assert [row["article_id"] for row in told] == [story.article_id for story in stories if story.time > OPEN]
    (article,) = desk.ask(NEWS_ARTICLE, request_id=2, provider=told[-1]["provider"], article_id=told[-1]["article_id"])
    assert told[-1]["headline"] in article["text"]
    rows = desk.ask(
        OLD_NEWS, request_id=3, con_id=STOCKS[0].contract_id, providers="BRFG+DJNL+BRFUPDN", total=2,
        start="2010-01-05 00:00:00.0", end="",
    )  # fmt: skip
    assert [row["message"] for row in rows] == ["historicalNews", "historicalNews", "historicalNewsEnd"]
    assert rows[0]["article_id"] == stories[-1].article_id
    assert rows[2]["has_more"] == "1"


@pytest.mark.parametrize("article", ["", "x", "BRFG$", "BRFG$1-2-3", "BRFG$zz-1-1", "BRFG$1-fffffffffff-1"])
def test_unknown_articles_are_refused(desk: Desk, article: str) -> None:
    assert [row["code"] for row in desk.ask(NEWS_ARTICLE, request_id=1, provider="BRFG", article_id=article)] == [
        "10172"
    ]


def test_stories_are_not_told_before_they_happen(desk: Desk) -> None:
    story = list(NewsDesk(MARKET).between(STOCKS[0].contract_id, OPEN, CLOSE))[-1]
    rows = desk.ask(NEWS_ARTICLE, request_id=1, provider=story.provider, article_id=story.article_id)
    assert [row["code"] for row in rows] == ["10172"]


def test_halts_are_bulletins(tmp_path: Path) -> None:
    market = make_market(halts_per_year=50)
    with Journal(tmp_path / "halts.jsonl", "id") as journal:
        desk = Desk(journal, market, OPEN - timedelta(days=1))
        desk.ask(BULLETINS, all_messages=False)
        rows = of(desk.advance(CLOSE + timedelta(days=9)), "updateNewsBulletin")
        texts = [row["text"] for row in rows]
        assert sum("halted" in text for text in texts) == sum("resumed" in text for text in texts) > 0


# -- contracts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_details_of_every_kind(desk: Desk, name: str) -> None:
    one = instrument(MARKET, name)
    found, end = desk.ask(DETAILS, one, request_id=5)
    assert end["message"] == "contractDetailsEnd"
    assert (found["con_id"], found["symbol"], found["sec_type"]) == (
        str(one.contract_id),
        one.symbol,
        str(one.security_type),
    )
    assert found["trading_hours"].count(";") == found["liquid_hours"].count(";") == 5
    assert found["market_rule_ids"].split(",")[0] == str(one.market_rule)
    assert len(found["market_rule_ids"].split(",")) == len(found["valid_exchanges"].split(","))
    assert found["time_zone"] == ("US/Central" if name == "ES" else "US/Eastern")
    assert bool(found["under_symbol"]) == (name in ("ES", "option"))
    (rule,) = desk.ask(RULE, market_rule_id=one.market_rule)
    assert Decimal(rule["increments"][0]["increment"]) == MARKET_RULES[one.market_rule][0].increment


def test_hours_are_those_of_the_market(desk: Desk) -> None:
    details = {name: desk.ask(DETAILS, instrument(MARKET, name), request_id=1)[0] for name in ("AAA", "ES", "EUR.USD")}
    assert details["AAA"]["liquid_hours"].startswith("20100106:0930-20100106:1600;20100107:0930-20100107:1600;")
    assert ";20100109:CLOSED;" in details["AAA"]["trading_hours"]
    assert details["ES"]["trading_hours"].startswith("20100105:1700-20100106:1600;")
    assert details["EUR.USD"]["trading_hours"].startswith("20100105:1700-20100106:1700;")


def test_a_query_without_a_strike_gives_the_chain(desk: Desk) -> None:
    parameters = desk.ask(CHAIN, request_id=1, under_con_id=STOCKS[0].contract_id)
    assert parameters[-1]["message"] == "securityDefinitionOptionParameterEnd"
    smart = next(row for row in parameters if row.get("exchange") == "SMART")
    expiry = smart["expirations"][0]["expiry"]
    rows = desk.ask(DETAILS, request_id=2, symbol="AAA", sec_type="OPT", expiry=expiry, exchange="SMART")
    options = of(rows, "contractDetails")
    assert {row["right"] for row in options} == {"C", "P"}
    assert {row["last_trade_date"] for row in options} == {expiry}
    assert {row["strike"] for row in options} <= {row["strike"] for row in smart["strikes"]}
    assert len({row["con_id"] for row in options}) == len(options)
    only = desk.ask(DETAILS, request_id=3, symbol="AAA", sec_type="OPT", expiry=expiry, right="C",
                    strike=options[0]["strike"], exchange="SMART")  # fmt: skip
    assert len(of(only, "contractDetails")) == 1


def test_search_and_identifiers(desk: Desk) -> None:
    (found,) = desk.ask(SYMBOLS, request_id=1, pattern="AA")
    assert [row["symbol"] for row in found["contracts"]] == ["AAA"]
    assert {row["sec_type"] for row in found["contracts"][0]["derivative_types"]} == {"OPT", "BAG"}
    details = desk.ask(DETAILS, STOCKS[0], request_id=2)[0]
    isin = next(row["value"] for row in details["security_ids"] if row["tag"] == "ISIN")
    rows = desk.ask(DETAILS, request_id=3, sec_type="STK", sec_id_type="ISIN", sec_id=isin)
    assert [row["symbol"] for row in of(rows, "contractDetails")] == ["AAA"]
    assert [row["code"] for row in desk.ask(DETAILS, request_id=4, symbol="NOPE", sec_type="STK")] == ["200"]


def test_a_price_and_its_volatility_belong_together(desk: Desk) -> None:
    option = instrument(MARKET, "option")
    (priced,) = desk.ask(55, option, request_id=1, volatility="0.4", under_price="100")
    assert priced["tick_type"] == "53"
    (implied,) = desk.ask(54, option, request_id=2, option_price=priced["option_price"], under_price="100")
    assert abs(float(implied["implied_volatility"]) - 0.4) < 1e-4
    (impossible,) = desk.ask(54, option, request_id=3, option_price="99999", under_price="100")
    assert impossible["implied_volatility"] == "-1"
    assert [row["code"] for row in desk.ask(55, option, request_id=4, volatility="0", under_price="100")] == ["322"]
    assert [row["code"] for row in desk.ask(55, STOCKS[0], request_id=5, volatility="1", under_price="1")] == ["322"]


def test_what_needs_a_subscription_is_refused(desk: Desk) -> None:
    assert [row["code"] for row in desk.ask(52, request_id=1, con_id=1, report_type="ReportSnapshot")] == ["430"]
    assert [row["code"] for row in desk.ask(100, request_id=2)] == ["10276"]
    assert [row["code"] for row in desk.ask(102, request_id=3)] == ["10276"]


def test_display_groups(desk: Desk) -> None:
    assert desk.ask(67, request_id=1)[0]["groups"] == "1|2|3|4|5|6|7"
    assert desk.ask(68, request_id=2, group_id=1)[0]["contract_info"] == "none"
    assert desk.ask(69, request_id=2, contract_info="265598@SMART")[0]["contract_info"] == "265598@SMART"
    assert desk.ask(68, request_id=3, group_id=1)[0]["contract_info"] == "265598@SMART"
    assert desk.ask(70, request_id=2) == desk.ask(69, request_id=2, contract_info="8314@SMART") == []
