"""The Web API adapter's pure parts: values, orders, questions, quotes and limits."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from services.gateway.adapters.web import convert, order_form, questions
from services.gateway.adapters.web.contracts import name_of
from services.gateway.adapters.web.limits import EndpointLimits
from services.gateway.adapters.web.quotes import Line, Quotes
from services.gateway.ports import RequestRefused, Unsupported
from shared import instruments
from shared.messages.broker_commands import (
    Algorithm,
    ComboLeg,
    ModifyOrder,
    NetPrice,
    OcaType,
    OrderTerms,
    PriceEffect,
    bracket,
)
from shared.messages.market import GreeksSource
from shared.types import OrderStatus, OrderType, QuoteQuality, Side, Timeframe, TimeInForce

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("1,234.5", Decimal("1234.5")),
        ("1.2M", Decimal(1_200_000)),
        ("15K", Decimal(15_000)),
        ("C199.50", Decimal("199.5")),
        ("H7", Decimal(7)),
        ("25.3%", Decimal("25.3")),
        (7.0, Decimal(7)),
        (0.1, Decimal("0.1")),
        (-2, Decimal(-2)),
        ("", None),
        (None, None),
        (True, None),
        ("NaN", None),
        ("Infinity", None),
        ("n/a", None),
    ],
)
def test_a_number(told: Any, expected: Decimal | None) -> None:
    found = convert.number(told)
    assert found == expected
    assert "E" not in str(found)


@pytest.mark.parametrize("told", ["0", "-1", 0.0, None, ""])
def test_a_side_without_a_price_has_none(told: Any) -> None:
    assert convert.price(told) is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("RpB", QuoteQuality.LIVE),
        ("DPB", QuoteQuality.DELAYED),
        ("Z", QuoteQuality.FROZEN),
        ("Y", QuoteQuality.DELAYED),
        ("N", None),
        (None, None),
    ],
)
def test_the_quality_of_a_quote(told: Any, expected: QuoteQuality | None) -> None:
    assert convert.quality(told) is expected


def test_the_month_of_an_expiry() -> None:
    assert convert.month(date(2026, 12, 18)) == "DEC26"
    assert convert.day("20261218") == date(2026, 12, 18)


def row(**changes: Any) -> dict[str, Any]:
    return {
        "orderId": 77,
        "acct": "DU1",
        "conid": 265598,
        "conidex": "265598",
        "side": "BUY",
        "origOrderType": "LIMIT",
        "orderType": "Limit",
        "price": "150.25",
        "auxPrice": "",
        "totalSize": 10.0,
        "filledQuantity": 4.0,
        "remainingQuantity": 6.0,
        "avgPrice": "150.20",
        "status": "Submitted",
        "order_ccp_status": "Submitted",
        "timeInForce": "CLOSE",
        "outsideRTH": False,
        **changes,
    }


def test_an_order_row() -> None:
    report = convert.order_report("a", row())
    assert report.status is OrderStatus.PARTIALLY_FILLED
    assert (report.filled, report.remaining, report.average_price) == (Decimal(4), Decimal(6), Decimal("150.2"))
    assert (report.limit_price, report.trigger_price) == (Decimal("150.25"), None)
    assert report.broker_order_id == 77


@pytest.mark.parametrize(
    ("changes", "limit", "trigger"),
    [
        ({"origOrderType": "MARKET", "price": ""}, None, None),
        ({"origOrderType": "STOP", "price": "", "auxPrice": "140.00"}, None, Decimal(140)),
        ({"origOrderType": "STOP", "price": "140.00"}, None, Decimal(140)),
        ({"origOrderType": "STOP", "price": "", "stop_price": "140.00"}, None, Decimal(140)),
        ({"origOrderType": "STOP_LIMIT", "price": "139", "auxPrice": "140"}, Decimal(139), Decimal(140)),
        ({"origOrderType": None, "orderType": "Stop Limit", "auxPrice": "140"}, Decimal("150.25"), Decimal(140)),
        ({"price": "-1.25"}, Decimal("-1.25"), None),
    ],
)
def test_the_prices_of_an_order_row(changes: dict[str, Any], limit: Decimal | None, trigger: Decimal | None) -> None:
    assert convert.prices(row(**changes)) == (limit, trigger)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "PreSubmitted", "filledQuantity": 0.0}, OrderStatus.SUBMITTED),
        ({"status": "Filled", "filledQuantity": 10.0, "remainingQuantity": 0.0}, OrderStatus.FILLED),
        ({"status": "Cancelled"}, OrderStatus.CANCELLED),
        ({"status": "Inactive", "order_ccp_status": "Rejected", "filledQuantity": 0.0}, OrderStatus.REJECTED),
        ({"status": "Inactive", "order_ccp_status": "Pending Submit", "filledQuantity": 0.0}, OrderStatus.SUBMITTED),
        ({"status": "Something"}, OrderStatus.UNKNOWN),
    ],
)
def test_the_status_of_an_order_row(changes: dict[str, Any], status: OrderStatus) -> None:
    assert convert.order_report("a", row(**changes)).status is status


def test_the_reason_is_told_of_what_ended_only() -> None:
    refused = row(status="Inactive", order_ccp_status="Rejected", filledQuantity=0.0, text="no shares to borrow")
    assert convert.order_report("a", refused).reason == "no shares to borrow"
    assert convert.order_report("a", row(text="held")).reason is None


def test_a_trade() -> None:
    told = {
        "execution_id": "0000e0d5.69dd7411.01.01",
        "side": "S",
        "size": 5.0,
        "price": "192.26",
        "trade_time_r": 1702317649000,
        "commission": "1.01",
        "sec_type": "STK",
    }
    execution = convert.execution(told, "a", "AAPL", Decimal(1))
    assert (execution.side, execution.quantity, execution.price) == (Side.SELL, Decimal(5), Decimal("192.26"))
    assert execution.time == datetime(2023, 12, 11, 18, 0, 49, tzinfo=UTC)
    assert not execution.combination
    cost = convert.commission(told)
    assert cost is not None
    assert cost.commission == Decimal("1.01")
    assert convert.commission({"execution_id": "x", "commission": ""}) is None
    assert convert.execution({**told, "sec_type": "BAG"}, "", "AAPL", Decimal(1)).combination


def test_bars() -> None:
    told = {"t": 1702305000000, "o": 10, "h": 11.5, "l": 9.75, "c": 10.5, "v": 1234.5}
    stock = instruments.parse("AAPL")
    bar = convert.bar(stock, Timeframe.FIVE_MINUTES, told, Decimal(100), regular=True)
    assert bar is not None
    assert (bar.start, bar.end) == (
        datetime(2023, 12, 11, 14, 30, tzinfo=UTC),
        datetime(2023, 12, 11, 14, 35, tzinfo=UTC),
    )
    assert (bar.open, bar.high, bar.low, bar.close) == (Decimal(10), Decimal("11.5"), Decimal("9.75"), Decimal("10.5"))
    assert bar.volume == Decimal(123450)
    day = convert.bar(stock, Timeframe.DAY, told, Decimal(1), regular=True)
    assert day is not None
    assert day.end == datetime(2023, 12, 11, 21, 0, tzinfo=UTC)
    sunday = {**told, "t": 1702218600000}
    assert convert.bar(stock, Timeframe.DAY, sunday, Decimal(1), regular=True) is None


def terms(kind: OrderType = OrderType.LIMIT, **changes: Any) -> OrderTerms:
    values: dict[str, Any] = {
        "order_ref": "a",
        "symbol": "AAPL",
        "side": Side.BUY,
        "quantity": Decimal(10),
        "order_type": kind,
        "limit_price": Decimal("150.25") if kind is OrderType.LIMIT else None,
        **changes,
    }
    return OrderTerms(**values)


def form(order: OrderTerms, *, group: bool = False) -> order_form.Form:
    return order_form.form(order, 265598, {"A": 1, "B": 2}, "DU1", group=group)


def test_the_form_of_a_limit_order() -> None:
    assert form(terms(outside_regular_hours=True, all_or_none=True)) == {
        "acctId": "DU1",
        "conid": 265598,
        "cOID": "a",
        "orderType": "LMT",
        "side": "BUY",
        "quantity": 10,
        "price": 150.25,
        "tif": "DAY",
        "outsideRTH": True,
        "allOrNone": True,
    }


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (terms(OrderType.STOP, trigger_price=Decimal(140)), {"orderType": "STP", "price": 140}),
        (
            terms(OrderType.STOP_LIMIT, trigger_price=Decimal(140), limit_price=Decimal(139)),
            {"orderType": "STOP_LIMIT", "price": 139, "auxPrice": 140},
        ),
        (
            terms(OrderType.TRAILING_STOP, trailing_percent=Decimal("1.5"), trigger_price=Decimal(140)),
            {"orderType": "TRAIL", "trailingType": "%", "trailingAmt": 1.5, "price": 140},
        ),
        (
            terms(
                OrderType.TRAILING_STOP_LIMIT,
                side=Side.SELL,
                trailing_amount=Decimal(2),
                trigger_price=Decimal(140),
                limit_offset=Decimal("0.5"),
            ),
            {"orderType": "TRAILLMT", "trailingType": "amt", "trailingAmt": 2, "price": 139.5, "auxPrice": 140},
        ),
    ],
)
def test_the_prices_of_a_form(order: OrderTerms, expected: dict[str, Any]) -> None:
    made = form(order)
    assert {name: made.get(name) for name in expected} == expected
    assert set(made) - set(expected) == {"acctId", "conid", "cOID", "side", "quantity", "tif", "outsideRTH"}


def test_a_combination_has_signed_ratios_and_a_signed_price() -> None:
    legs = (ComboLeg(symbol="A", side=Side.BUY, ratio=1), ComboLeg(symbol="B", side=Side.SELL, ratio=2))
    credit = NetPrice(effect=PriceEffect.CREDIT, amount=Decimal("1.25"))
    made = form(terms(legs=legs, limit_price=None, net_price=credit))
    assert made["conidex"] == "28812380;;;1/1,2/-2"
    assert made["price"] == -1.25
    assert "conid" not in made


def test_the_children_of_a_bracket_carry_their_parents_id_and_none_of_their_own() -> None:
    orders = bracket(
        order_id="a",
        symbol="AAPL",
        side=Side.BUY,
        quantity=Decimal(1),
        limit_price=Decimal(10),
        stop_price=Decimal(9),
        target_price=Decimal(11),
        time_in_force=TimeInForce.DAY,
        expires_at=NOW,
    ).orders
    order_form.check(orders)
    parent, stop, target = (form(order) for order in orders)
    assert parent["cOID"] == "a"
    assert "parentId" not in parent
    for child in (stop, target):
        assert child["parentId"] == "a"
        assert "cOID" not in child
    assert (stop["orderType"], stop["price"], target["price"]) == ("STP", 9, 11)


@pytest.mark.parametrize(
    ("order", "named"),
    [
        (terms(OrderType.RELATIVE), "order_type = REL"),
        (terms(time_in_force=TimeInForce.GTD, good_till=NOW), "time_in_force = GTD"),
        (terms(time_in_force=TimeInForce.FOK), "time_in_force = FOK"),
        (terms(good_after=NOW), "good_after"),
        (terms(hidden=True), "hidden"),
        (terms(display_size=100), "display_size = 100"),
        (terms(algorithm=Algorithm(name="Adaptive")), "algorithm = Adaptive"),
        (terms(oca_group="g", oca_type=OcaType.REDUCE), "oca_type = reduce"),
        (
            terms(OrderType.TRAILING_STOP_LIMIT, trailing_amount=Decimal(1), limit_offset=Decimal(1)),
            "TRAIL LIMIT without trigger_price",
        ),
    ],
)
def test_what_has_no_documented_field_is_refused(order: OrderTerms, named: str) -> None:
    with pytest.raises(Unsupported, match=f"order a: {named}"):
        order_form.check([order])


def test_orders_go_together_as_a_bracket_or_as_a_group_only() -> None:
    order_form.check([terms(oca_group="g"), terms(order_ref="b", oca_group="g")])
    with pytest.raises(Unsupported, match="neither one bracket nor one OCA group"):
        order_form.check([terms(), terms(order_ref="b")])
    with pytest.raises(Unsupported, match="neither"):
        order_form.check([terms(), terms(order_ref="b", parent="a"), terms(order_ref="c", parent="b")])


def test_a_change_sends_the_whole_order_again_without_its_names() -> None:
    made = order_form.changed(form(terms()), ModifyOrder(order_ref="a", limit_price=Decimal(151), quantity=Decimal(7)))
    assert made == {
        "acctId": "DU1",
        "conid": 265598,
        "orderType": "LMT",
        "side": "BUY",
        "quantity": 7,
        "price": 151,
        "tif": "DAY",
        "outsideRTH": False,
    }


def test_a_change_moves_the_stop_where_the_type_has_it() -> None:
    stop = form(terms(OrderType.STOP, trigger_price=Decimal(140)))
    change = ModifyOrder(order_ref="a", trigger_price=Decimal(141), limit_price=Decimal(1))
    assert order_form.changed(stop, change)["price"] == 141
    both = form(terms(OrderType.STOP_LIMIT, trigger_price=Decimal(140), limit_price=Decimal(139)))
    made = order_form.changed(both, ModifyOrder(order_ref="a", trigger_price=Decimal(141)))
    assert (made["price"], made["auxPrice"]) == (139, 141)


def test_a_listed_order_can_be_changed_by_a_later_process() -> None:
    made = order_form.changed(order_form.of_row(row()), ModifyOrder(order_ref="a", limit_price=Decimal(151)))
    assert made == {
        "acctId": "DU1",
        "conid": 265598,
        "orderType": "LMT",
        "side": "BUY",
        "quantity": 10,
        "price": 151,
        "tif": "DAY",
        "outsideRTH": False,
    }
    stop = order_form.of_row(row(origOrderType="STOP", price="", auxPrice="140", timeInForce="GTC"))
    assert (stop["orderType"], stop["price"], stop["tif"]) == ("STP", 140, "GTC")
    spread = order_form.of_row(row(conidex="28812380;;;1/1,2/-1"))
    assert spread["conidex"] == "28812380;;;1/1,2/-1"
    assert "conid" not in spread


def test_children_whose_answer_was_lost_are_told_by_their_terms() -> None:
    forms = [form(terms()), {**form(terms(quantity=Decimal(10))), "parentId": "a"}]
    del forms[1]["cOID"]
    other = row(totalSize=11.0)
    assert order_form.children(["a", "b"], forms, {5: row(), 4: row(), 3: other}) == {4: "b"}
    assert order_form.children(["a", "b"], forms, {3: other}) == {}
    assert order_form.children(["a", "b", "c"], [*forms, forms[1]], {5: row(), 4: row()}) == {4: "b", 5: "c"}


def asked(*ids: str) -> questions.Question:
    question = questions.asked([{"id": "r1", "message": ["Really?\n", "Sure?"], "messageIds": list(ids)}])
    assert question is not None
    return question


def test_an_answer_without_a_question_asks_nothing() -> None:
    assert questions.asked([{"order_id": "1", "order_status": "Submitted"}]) is None
    assert questions.asked({"message": "x"}) is None
    assert asked("o163").text == "Really? Sure?"


def test_a_known_warning_is_confirmed_with_its_reason() -> None:
    reply = asked("o163", "o10331").reply
    assert reply.confirmed
    assert "risk bounds the price" in reply.why


@pytest.mark.parametrize(("ids", "why"), [(["o999"], "o999 is not known"), (["o163", "o383"], "limit"), ([], "no id")])
def test_any_other_question_is_declined(ids: list[str], why: str) -> None:
    reply = asked(*ids).reply
    assert not reply.confirmed
    assert why in reply.why


def stream(symbol: str = "AAPL", contract_id: int = 1) -> tuple[Quotes, Line]:
    quotes = Quotes(lambda: NOW, broker_time=True)
    line = Line(instruments.parse(symbol), contract_id, 0.0)
    quotes.open(line)
    return quotes, line


def test_a_quote_of_a_stock_keeps_what_was_told_before_and_counts_sizes_in_shares() -> None:
    quotes, _ = stream()
    quotes.heard({"conid": 1, "84": "10.00", "88": "3", "86": "10.02", "85": "1.5", "6509": "RpB"}, 5.0)
    assert not quotes.complete("AAPL")
    quotes.heard({"conid": 1, "31": "C10.01", "7762": "123,456", "87": "123K", "_updated": 1702317649000}, 6.0)
    assert quotes.complete("AAPL")
    (quote,) = quotes.take(7.5)
    assert (quote.bid, quote.ask, quote.last) == (Decimal(10), Decimal("10.02"), Decimal("10.01"))
    assert (quote.bid_size, quote.ask_size, quote.volume) == (Decimal(300), Decimal(150), Decimal(123456))
    assert (quote.quality, quote.age_seconds) == (QuoteQuality.LIVE, 1.5)
    assert quote.time == datetime(2023, 12, 11, 18, 0, 49, tzinfo=UTC)


def test_a_stale_quote_says_so_until_the_next_tick() -> None:
    quotes, line = stream()
    quotes.heard({"conid": 1, "84": "10.00", "6509": "R"}, 1.0)
    quotes.take(1.0)
    quotes.mark_stale("AAPL")
    assert [quote.quality for quote in quotes.take(2.0)] == [QuoteQuality.STALE]
    quotes.heard({"conid": 1, "6509": "R"}, 3.0)  # no tick
    assert line.stale
    quotes.heard({"conid": 1, "84": "10.01"}, 4.0)
    assert [quote.quality for quote in quotes.take(4.0)] == [QuoteQuality.LIVE]


def test_a_message_about_no_line_is_not_heard() -> None:
    quotes, _ = stream()
    assert quotes.heard({"conid": 2, "84": "10"}, 1.0) is None
    assert quotes.heard({"84": "10"}, 1.0) is None
    quotes.close("AAPL")
    assert quotes.heard({"conid": 1, "84": "10"}, 1.0) is None
    assert quotes.take(1.0) == []


def test_greeks_need_all_of_them_and_the_price_of_the_underlying() -> None:
    option = "AAPL  261218C00200000"
    quotes, _ = stream(option, 2)
    told = {"conid": 2, "84": "5.00", "88": "7", "7308": "0.5", "7309": "0.02", "7310": "-0.1", "7311": "0.3"}
    quotes.heard(told, 1.0)
    assert quotes.take(1.0)[0].greeks is None
    quotes.heard({"conid": 2, "7633": "25.5%"}, 1.0)
    quotes.open(Line(instruments.parse("AAPL"), 1, 0.0))
    quotes.heard({"conid": 1, "31": "201.5"}, 1.0)
    found = {quote.symbol: quote for quote in quotes.take(2.0)}[option]
    assert found.bid_size == Decimal(7)
    assert found.greeks is not None
    assert (found.greeks.implied_volatility, found.greeks.delta, found.greeks.theta) == (0.255, 0.5, -0.1)
    assert (found.greeks.underlying_price, found.greeks.source) == (Decimal("201.5"), GreeksSource.BROKER)


def test_the_names_of_what_ibkr_describes() -> None:
    assert name_of({"instrument_type": "STK", "symbol": "AAPL"}) == "AAPL"
    assert name_of({"instrument_type": "IND", "symbol": "SPX"}) == "^SPX"
    assert name_of({"instrument_type": "FUT", "symbol": "ES", "local_symbol": "ESZ6"}) == "/ESZ6"
    assert name_of({"instrument_type": "CASH", "symbol": "EUR", "currency": "USD"}) == "EUR.USD"
    assert name_of({"instrument_type": "OPT", "local_symbol": "AAPL  261218C00200000"}) == "AAPL  261218C00200000"


def test_each_endpoint_waits_for_its_own_turn() -> None:
    limits = EndpointLimits()
    assert limits.wait("live_orders", 99.0) == 0
    for name in ("live_orders", "positions"):
        limits.answered(name, 100.0)
    assert limits.wait("live_orders", 101.0) == 4.0
    assert limits.wait("live_orders", 105.0) == limits.wait("live_orders", 106.0) == 0
    assert limits.wait("trades", 101.0) == limits.wait("positions", 100.0) == 0


def test_a_preview() -> None:
    told = {
        "amount": {"commission": "1.01 USD"},
        "equity": {"after": "219,067"},
        "initial": {"change": "36", "after": "95,219"},
        "maintenance": {"change": "0", "after": "86,562"},
        "warn": None,
        "error": None,
    }
    found = convert.preview("a", told)
    assert (found.initial_margin, found.initial_margin_change) == (Decimal(95219), Decimal(36))
    assert (found.maintenance_margin_change, found.commission) == (Decimal(0), Decimal("1.01"))
    with pytest.raises(RequestRefused, match="has no initial_margin, initial_margin_change"):
        convert.preview("a", {**told, "initial": {}})
