"""The real ib_async writes requests that our layouts read, and reads answers that they write, at every version."""

import logging
import math
from collections.abc import Callable
from typing import Any

import pytest
from ib_async import ComboLeg, Contract, Order, TagValue, TimeCondition
from ib_async.client import Client
from ib_async.contract import DeltaNeutralContract
from ib_async.decoder import Decoder
from ib_async.objects import ExecutionFilter, ScannerSubscription, WshEventData
from ib_async.order import (
    ExecutionCondition,
    MarginCondition,
    OrderComboLeg,
    PercentChangeCondition,
    PriceCondition,
    VolumeCondition,
)

from services.simulator.wire import AMBIGUOUS_VERSION, MAXIMUM_VERSION, MINIMUM_VERSION, answers, requests
from services.simulator.wire.framing import split_fields
from services.simulator.wire.layout import Field, Layout, LayoutError, Repeat, When
from services.simulator.wire.requests import Request, read_request, write_request

VERSIONS = [version for version in range(MINIMUM_VERSION, MAXIMUM_VERSION + 1) if version != AMBIGUOUS_VERSION]


def sent_by_client(send: Callable[[Any], object], version: int = 178) -> list[str]:
    """Return the fields that the real client's own encoder sends."""
    client = Client(object())
    client._serverVersion = version
    client.connState = Client.CONNECTED
    sent: list[str] = []
    client.sendMsg = sent.append  # type: ignore[method-assign]
    send(client)
    (message,) = sent
    return message[:-1].split("\0")


STOCK = Contract(conId=265598, secType="STK", symbol="AAPL", exchange="SMART", currency="USD")
COMBO = Contract(secType="BAG", symbol="AAPL", comboLegs=[ComboLeg(conId=1, ratio=1, action="BUY", exchange="SMART")])
HEDGED = Contract(secType="OPT", symbol="AAPL", deltaNeutralContract=DeltaNeutralContract(1, 0.5, 10.0))
CALLS: list[Callable[[Any], object]] = [
    lambda c: c.reqMktData(1, COMBO, "233", False, False, []),
    lambda c: c.reqMktData(1, HEDGED, "", True, False, [TagValue("a", "b")]),
    lambda c: c.cancelMktData(1),
    lambda c: c.placeOrder(5, STOCK, Order(orderType="MKT")),
    lambda c: c.placeOrder(5, HEDGED, Order(orderType="PEG BENCH")),
    lambda c: c.placeOrder(5, STOCK, Order(orderType="PEG MID")),
    lambda c: c.cancelOrder(5),
    lambda c: c.reqOpenOrders(),
    lambda c: c.reqAccountUpdates(True, "DU1"),
    lambda c: c.reqExecutions(1, ExecutionFilter()),
    lambda c: c.reqIds(1),
    lambda c: c.reqContractDetails(1, STOCK),
    lambda c: c.reqMktDepth(1, STOCK, 5, True, []),
    lambda c: c.cancelMktDepth(1, True),
    lambda c: c.reqNewsBulletins(True),
    lambda c: c.cancelNewsBulletins(),
    lambda c: c.setServerLogLevel(1),
    lambda c: c.reqAutoOpenOrders(True),
    lambda c: c.reqAllOpenOrders(),
    lambda c: c.reqManagedAccts(),
    lambda c: c.requestFA(1),
    lambda c: c.replaceFA(1, 1, "<x/>"),
    lambda c: c.reqHistoricalData(1, COMBO, "", "1 D", "1 min", "TRADES", True, 1, False, []),
    lambda c: c.exerciseOptions(1, STOCK, 1, 1, "DU1", 0),
    lambda c: c.reqScannerSubscription(1, ScannerSubscription(), [], [TagValue("a", "1")]),
    lambda c: c.cancelScannerSubscription(1),
    lambda c: c.reqScannerParameters(),
    lambda c: c.cancelHistoricalData(1),
    lambda c: c.reqCurrentTime(),
    lambda c: c.reqRealTimeBars(1, STOCK, 5, "TRADES", True, []),
    lambda c: c.cancelRealTimeBars(1),
    lambda c: c.reqFundamentalData(1, STOCK, "ReportSnapshot", []),
    lambda c: c.cancelFundamentalData(1),
    lambda c: c.calculateImpliedVolatility(1, STOCK, 1.0, 2.0, []),
    lambda c: c.calculateOptionPrice(1, STOCK, 0.2, 2.0, []),
    lambda c: c.cancelCalculateImpliedVolatility(1),
    lambda c: c.cancelCalculateOptionPrice(1),
    lambda c: c.reqGlobalCancel(),
    lambda c: c.reqMarketDataType(3),
    lambda c: c.reqPositions(),
    lambda c: c.reqAccountSummary(1, "All", "NetLiquidation"),
    lambda c: c.cancelAccountSummary(1),
    lambda c: c.cancelPositions(),
    lambda c: c.verifyRequest("a", "b"),
    lambda c: c.verifyMessage("a"),
    lambda c: c.queryDisplayGroups(1),
    lambda c: c.subscribeToGroupEvents(1, 1),
    lambda c: c.updateDisplayGroup(1, "x"),
    lambda c: c.unsubscribeFromGroupEvents(1),
    lambda c: c.startApi(),
    lambda c: c.verifyAndAuthRequest("a", "b", "c"),
    lambda c: c.verifyAndAuthMessage("a", "b"),
    lambda c: c.reqPositionsMulti(1, "DU1", ""),
    lambda c: c.cancelPositionsMulti(1),
    lambda c: c.reqAccountUpdatesMulti(1, "DU1", "", False),
    lambda c: c.cancelAccountUpdatesMulti(1),
    lambda c: c.reqSecDefOptParams(1, "AAPL", "", "STK", 265598),
    lambda c: c.reqSoftDollarTiers(1),
    lambda c: c.reqFamilyCodes(),
    lambda c: c.reqMatchingSymbols(1, "AA"),
    lambda c: c.reqMktDepthExchanges(),
    lambda c: c.reqSmartComponents(1, "a6"),
    lambda c: c.reqNewsArticle(1, "BZ", "x", []),
    lambda c: c.reqNewsProviders(),
    lambda c: c.reqHistoricalNews(1, 265598, "BZ", "", "", 10, []),
    lambda c: c.reqHeadTimeStamp(1, STOCK, "TRADES", True, 1),
    lambda c: c.reqHistogramData(1, STOCK, True, "3 days"),
    lambda c: c.cancelHistogramData(1),
    lambda c: c.cancelHeadTimeStamp(1),
    lambda c: c.reqMarketRule(26),
    lambda c: c.reqPnL(1, "DU1", ""),
    lambda c: c.cancelPnL(1),
    lambda c: c.reqPnLSingle(1, "DU1", "", 265598),
    lambda c: c.cancelPnLSingle(1),
    lambda c: c.reqHistoricalTicks(1, STOCK, "", "", 10, "TRADES", 1, False, []),
    lambda c: c.reqTickByTickData(1, STOCK, "Last", 0, False),
    lambda c: c.cancelTickByTickData(1),
    lambda c: c.reqCompletedOrders(True),
    lambda c: c.reqWshMetaData(1),
    lambda c: c.cancelWshMetaData(1),
    lambda c: c.reqWshEventData(1, WshEventData()),
    lambda c: c.cancelWshEventData(1),
    lambda c: c.reqUserInfo(1),
]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_request_of_ib_async_fits(version: int) -> None:
    seen: set[int] = set()
    for call in CALLS:
        fields = sent_by_client(call, version)
        request = read_request(fields, version)
        assert write_request(request.message_id, request.row, version) == fields
        seen.add(request.message_id)
    assert seen == set(requests.LAYOUTS)


CONDITIONS = [
    PriceCondition(price=1.5, conId=1, exch="SMART"),
    TimeCondition(isMore=True, time="20100104 10:00:00"),
    MarginCondition(percent=10),
    ExecutionCondition(secType="STK", exch="SMART", symbol="IBM"),
    VolumeCondition(volume=100, conId=1, exch="SMART"),
    PercentChangeCondition(changePercent=1.0, conId=1, exch="SMART"),
]


def test_ib_asyncs_place_order_fits_with_every_optional_part() -> None:
    order = Order(
        action="BUY",
        totalQuantity=3,
        orderType="PEG BEST",
        lmtPrice=1e-05,
        competeAgainstBestOffset=math.inf,
        deltaNeutralOrderType="None",
        scalePriceIncrement=0.5,
        hedgeType="D",
        hedgeParam="1",
        algoStrategy="Vwap",
        algoParams=[TagValue("a", "1"), TagValue("b", "2")],
        conditions=CONDITIONS,
        orderComboLegs=[OrderComboLeg(1.5)],
        smartComboRoutingParams=[TagValue("NonGuaranteed", "1")],
        orderRef="reference",
    )
    contract = Contract(secType="BAG", symbol="AAPL", exchange="IBKRATS", comboLegs=COMBO.comboLegs)
    request = Request.parse(requests.PLACE, sent_by_client(lambda c: c.placeOrder(9, contract, order)), 178)
    assert request.integer("order_id") == 9
    assert request.text("order_ref") == "reference"
    assert request.row["algo_params"] == [{"tag": "a", "value": "1"}, {"tag": "b", "value": "2"}]
    assert request.row["order_combo_legs"] == [{"price": "1.5"}]
    assert [row["type"] for row in request.row["conditions"] if isinstance(row, dict)] == ["1", "3", "4", "5", "6", "7"]
    assert request.text("compete_against_best_offset") == "Infinite"


def test_an_unknown_condition_type_is_refused() -> None:
    row = read_request(sent_by_client(lambda c: c.placeOrder(9, STOCK, Order())), 178).row
    with pytest.raises(LayoutError, match="type: '2' is none of 1, 3, 4, 5, 6, 7"):
        write_request(requests.PLACE, {**row, "conditions": [{"type": "2"}]}, 178)


def filled(layout: Layout) -> dict[str, Any]:
    """Return a value for every name of a layout: 1, or one row of them."""
    values: dict[str, Any] = {}
    for item in layout:
        if isinstance(item, Field):
            values[item.name] = "1"
        elif isinstance(item, Repeat):
            values[item.name] = [filled(item.items)]
        else:
            for items in (item.items,) if isinstance(item, When) else item.cases.values():
                values |= filled(items)
    return values


class Deaf:
    """Takes every callback of ib_async's decoder."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.ib = self
        self.TimezoneTWS = ""
        self.defaultTimezone = None

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_arguments: self.heard.append(name)


@pytest.mark.parametrize("version", VERSIONS)
def test_ib_async_decodes_every_answer(version: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="ib_async.Decoder")
    special = {"time": "20100104 09:30:00 US/Eastern"}
    for message in answers.MESSAGES:
        values = filled(message.layout)
        values |= special if message is answers.EXECUTION else {}
        listener = Deaf()
        fields = split_fields(answers.encode(message, values, version)[4:])
        Decoder(listener, version).interpret(fields)  # type: ignore[arg-type]
        assert listener.heard, message.name
    assert not caplog.records
