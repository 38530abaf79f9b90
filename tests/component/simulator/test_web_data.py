"""The Web API's accounts, contracts, market data and history, asked by ibind."""

from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest
from ib_async import MarketOrder
from ibind import ExternalBrokerError

from tests.component.simulator.simulation import AAPL as STOCK
from tests.component.simulator.simulation import OPEN, connected, until
from tests.component.simulator.web_client import AAPL, ACCOUNT, web


async def test_tickle_says_the_state_of_the_log_in_and_the_virtual_time(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        status = (await api.ask("tickle"))["iserver"]["authStatus"]
        assert (status["authenticated"], status["competing"], status["connected"]) == (True, False, True)
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"http://{api.address}/tickle")
        assert parsedate_to_datetime(answer.headers["date"]) == api.simulator.engine.now


async def test_accounts_must_be_asked_for_first_and_a_first_snapshot_has_no_prices(tmp_path: Path) -> None:
    async with web(tmp_path, accounts_read=False) as api:
        api.simulator.broker.advance(OPEN + timedelta(minutes=5))
        with pytest.raises(ExternalBrokerError, match="query /accounts first"):
            await api.ask("live_marketdata_snapshot", str(AAPL), ["31"])
        assert (await api.ask("receive_brokerage_accounts"))["accounts"] == [ACCOUNT]
        fields = ["31", "84", "85", "86", "88", "87", "7762"]
        assert await api.ask("live_marketdata_snapshot", str(AAPL), fields) == [{"conid": AAPL, "conidEx": str(AAPL)}]
        (row,) = await api.ask("live_marketdata_snapshot", str(AAPL), fields)
        quote = api.simulator.engine.market.quote(AAPL, api.simulator.engine.now)
        assert quote is not None
        assert (row["31"], row["84"], row["86"]) == (str(quote.last), str(quote.bid), str(quote.ask))
        assert (row["88"], row["85"]) == (f"{quote.bid_size / 100:g}", f"{quote.ask_size / 100:g}"), "in hundreds"
        assert (row["7762"], row["6509"]) == (str(quote.volume), "RpB")
        assert row["87"].endswith("K")


async def test_an_option_line_has_greeks_and_a_line_can_be_ended(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        api.simulator.broker.advance(OPEN + timedelta(minutes=5))
        (option, *_) = await api.ask("search_secdef_info_by_conid", str(AAPL), "OPT", "JAN10", strike="210", right="C")
        fields = ["31", "7308", "7309", "7310", "7311", "7633"]
        await api.ask("live_marketdata_snapshot", str(option["conid"]), fields)
        (row,) = await api.ask("live_marketdata_snapshot", str(option["conid"]), fields)
        assert 0 < float(row["7308"]) < 1
        assert row["7633"].endswith("%")
        assert len(api.simulator.broker.sessions[2**31 - 1].data.quotes) == 1
        await api.ask("marketdata_unsubscribe_all")
        assert not api.simulator.broker.sessions[2**31 - 1].data.quotes


async def test_contracts_are_found_and_described(tmp_path: Path) -> None:
    async with web(tmp_path, indices=("SPX",), futures=("ES",), currencies=("EUR.USD",)) as api:
        assert await api.ask("stock_conid_by_symbol", ["AAPL", "IBM"]) == {"AAPL": AAPL, "IBM": 8314}
        (found,) = await api.ask("search_contract_by_symbol", "AAPL")
        assert (found["conid"], found["companyName"]) == (str(AAPL), "APPLE INC")
        assert found["sections"][1]["secType"] == "OPT"
        assert "JAN10" in found["sections"][1]["months"].split(";")
        strikes = await api.ask("search_strikes_by_conid", str(AAPL), "OPT", "JAN10")
        assert 210.0 in strikes["call"]
        assert strikes["call"] == strikes["put"]
        (option, *_) = await api.ask("search_secdef_info_by_conid", str(AAPL), "OPT", "JAN10", strike="210", right="C")
        assert (option["strike"], option["right"], option["tradingClass"]) == (210.0, "C", "AAPL")
        rules = (await api.ask("info_and_rules_by_conid", str(AAPL), True))["rules"]
        assert rules["incrementRules"] == [{"lowerEdge": 0.0, "increment": 0.01}]
        futures = (await api.ask("security_future_by_symbol", "ES"))["ES"]
        assert [one["expirationDate"] for one in futures][:1] == [20100319]
        (pair,) = (await api.ask("currency_pairs", "USD"))["USD"]
        assert (pair["symbol"], pair["ccyPair"]) == ("EUR.USD", "EUR")
        (definition,) = (await api.ask("security_definition_by_conid", str(futures[0]["conid"])))["secdef"]
        assert (definition["assetClass"], definition["multiplier"]) == ("FUT", 50.0)
        hours = await api.ask("get", "contract/trading-schedule", {"conid": str(AAPL)})
        assert hours["schedules"]["20100104"]["liquid_hours"][0]["opening"] == int(OPEN.timestamp())


async def test_what_there_is_not_is_refused(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        for name, arguments, reason in (
            ("contract_information_by_conid", ("12345",), "no contract found"),
            ("search_strikes_by_conid", (str(AAPL), "OPT", "2010"), "not written like JAN27"),
            ("marketdata_history_by_conid", (str(AAPL), "7min"), "bar '7min'"),
            ("marketdata_history_by_conid", (str(AAPL), "1d", None, "soon"), "period 'soon'"),
            ("market_scanner", ("STK", "NO_SUCH_SCAN", "STK.US.MAJOR"), "is disabled"),
            ("portfolio_summary", ("DU7",), "unknown account"),
        ):
            with pytest.raises(ExternalBrokerError, match=reason):
                await api.ask(name, *arguments)


async def test_positions_summary_ledger_and_profit_are_the_engines(tmp_path: Path) -> None:
    async with web(tmp_path) as api, connected(api.simulator) as client:
        api.simulator.broker.advance(OPEN + timedelta(minutes=5))
        trade = client.placeOrder(STOCK, MarketOrder("BUY", 100))
        await until(trade.isDone, "filled")
        api.simulator.broker.advance(OPEN + timedelta(minutes=9))
        valuation = api.simulator.engine.valuation()
        (position,) = await api.ask("positions")
        assert (position["conid"], position["position"], position["assetClass"]) == (AAPL, 100.0, "STK")
        assert position["mktPrice"] == float(valuation.positions[0].price)
        assert position["avgCost"] == float(valuation.positions[0].position.average_cost)
        assert await api.ask("positions", ACCOUNT, 1) == [], "the second page"
        summary = await api.ask("portfolio_summary")
        assert summary["netliquidation"]["amount"] == pytest.approx(float(valuation.net_liquidation), abs=0.01)
        assert summary["accountcode"]["value"] == ACCOUNT
        assert (await api.ask("get_ledger"))["USD"]["cashbalance"] == float(valuation.cash)
        profit = (await api.ask("account_profit_and_loss"))["upnl"][f"{ACCOUNT}.Core"]
        assert profit["upl"] == pytest.approx(float(valuation.unrealized), abs=0.01)


async def test_history_begins_each_bar_in_milliseconds_and_ends_at_the_start_time(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        api.simulator.broker.advance(OPEN + timedelta(hours=2))
        hour = await api.ask("marketdata_history_by_conid", str(AAPL), "5min", None, "1h")
        assert [bar["t"] for bar in hour["data"]][-1] == int((OPEN + timedelta(minutes=115)).timestamp()) * 1000
        assert len(hour["data"]) == 12
        end = OPEN + timedelta(hours=1)
        earlier = await api.ask("marketdata_history_by_conid", str(AAPL), "5min", None, "1h", None, end)
        assert earlier["data"][-1]["t"] == int((end - timedelta(minutes=5)).timestamp()) * 1000
        days = await api.ask("marketdata_history_by_conid", str(AAPL), "1d", None, "5d")
        assert len(days["data"]) == 5
        assert days["data"][-1]["t"] == int(OPEN.timestamp()) * 1000, "a day's bar bears its opening"


async def test_the_scanner_ranks(tmp_path: Path) -> None:
    async with web(tmp_path) as api:
        api.simulator.broker.advance(OPEN + timedelta(minutes=30))
        parameters = await api.ask("scanner_parameters")
        assert "MOST_ACTIVE" in [scan["code"] for scan in parameters["scan_type_list"]]
        found = await api.ask("market_scanner", "STK", "MOST_ACTIVE", "STK.US.MAJOR")
        assert [row["symbol"] for row in found["contracts"]] == ["AAPL", "IBM"]
        dear = [{"code": "priceAbove", "value": 200}]
        found = await api.ask("market_scanner", "STK", "MOST_ACTIVE", "STK.US.MAJOR", dear)
        assert [row["con_id"] for row in found["contracts"]] == [AAPL]
