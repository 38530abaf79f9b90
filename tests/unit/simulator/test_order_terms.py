"""Orders on the wire: what placeOrder means to the engine, and what openOrder repeats of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.simulator.broker import Broker
from services.simulator.core.orders import ConditionKind, Execution, Order, OrderRequest, Status
from services.simulator.handlers.order_terms import InvalidTimeError, order_terms
from services.simulator.present import orders as present
from services.simulator.present.order_fields import kept_fields
from services.simulator.wire import requests
from services.simulator.wire.answers import COMPLETED_ORDER, OPEN_ORDER, encode, read_answer
from services.simulator.wire.framing import LENGTH, split_fields
from services.simulator.wire.layout import UNSET_DOUBLE, Row, known_names
from services.simulator.wire.message import Message
from tests.unit.simulator.desk import AAPL, OPEN, STOCK, join, open_broker

VERSIONS = (157, 159, 176, 177, 178)
SENT = {
    "open_close": "O", "origin": 0, "block_order": True, "sweep_to_fill": True, "display_size": 50, "trigger_method": 2,
    "hidden": True, "discretionary_amount": 0.05, "good_after_time": "20100106 10:00:00 US/Eastern",
    "good_till_date": "20100107 10:00:00 UTC", "fa_group": "g", "fa_method": "m", "fa_percentage": "10",
    "model_code": "model", "short_sale_slot": 1, "designated_location": "here", "exempt_code": 0, "rule_80a": "I",
    "settling_firm": "firm", "all_or_none": True, "min_quantity": 7, "percent_offset": 0.5,
    "electronic_trade_only": True, "firm_quote_only": True, "nbbo_price_cap": 1.5, "auction_strategy": 1,
    "starting_price": 2.5, "stock_ref_price": 3.5, "delta": 0.5, "stock_range_lower": 1.25, "stock_range_upper": 9.75,
    "volatility": 0.3, "volatility_type": 2, "delta_neutral_order_type": "MKT", "delta_neutral_aux_price": 1.0,
    "delta_neutral_con_id": 12, "delta_neutral_open_close": "O", "continuous_update": 1, "reference_price_type": 1,
    "scale_init_level_size": 10, "scale_subs_level_size": 5, "scale_price_increment": 0.1, "scale_auto_reset": True,
    "scale_init_position": 3, "hedge_type": "D", "hedge_param": "1.5", "opt_out_smart_routing": True,
    "clearing_account": "clear", "clearing_intent": "Away", "not_held": True, "delta_neutral_contract": True,
    "delta_neutral_contract_con_id": 5, "delta_neutral_contract_delta": 0.25, "delta_neutral_contract_price": 4,
    "algo_strategy": "Adaptive", "solicited": True, "randomize_size": True, "randomize_price": True,
    "adjusted_order_type": "STP", "trigger_price": 95.5, "limit_price_offset": 0.25, "adjusted_stop_price": 94.5,
    "adjusted_stop_limit_price": 94.25, "adjusted_trailing_amount": 1.5, "adjustable_trailing_unit": 1,
    "soft_dollar_tier_name": "tier", "soft_dollar_tier_value": "value", "cash_quantity": 1000,
    "no_auto_price_for_hedge": True, "oms_container": True, "discretionary_up_to_limit_price": True,
    "use_price_management_algo": True,
}  # fmt: skip
SINCE = {"duration": (159, 60), "post_to_ats": (160, 100), "auto_cancel_parent": (162, True)}
CONDITIONS = [
    {"type": 1, "conjunction": "a", "is_more": True, "price": 101.5, "con_id": 7, "exchange": "SMART",
     "trigger_method": 0},
    {"type": 3, "conjunction": "o", "is_more": False, "time": "20100106 15:00:00 US/Eastern"},
    {"type": 4, "conjunction": "a", "is_more": True, "percent": 30},
    {"type": 5, "conjunction": "a", "sec_type": "STK", "exchange": "SMART", "symbol": "BBB"},
    {"type": 6, "conjunction": "a", "is_more": True, "volume": 1000, "con_id": 7, "exchange": "SMART"},
    {"type": 7, "conjunction": "a", "is_more": True, "change_percent": 1.5, "con_id": 7, "exchange": "SMART"},
]  # fmt: skip


@pytest.fixture(scope="module")
def broker() -> Broker:
    return open_broker()


def terms_of(values: dict[str, object], version: int = 178) -> OrderRequest:
    fields = requests.write_request(requests.PLACE, values, version)  # type: ignore[arg-type]
    return order_terms(requests.Request.parse(requests.PLACE, fields, version), 1, AAPL, "DU1000001", ())


def order_of(terms: OrderRequest, **changes: object) -> Order:
    values: dict[str, object] = {
        "permanent_id": 77, "status": Status.SUBMITTED, "oca_group": terms.oca_group, "root": terms.key, "sequence": 0
    }  # fmt: skip
    return Order(request=terms, **{**values, **changes})  # type: ignore[arg-type]


def through_the_wire(message: Message, values: object, version: int) -> Row:
    frame = encode(message, values, version)  # type: ignore[arg-type]
    return read_answer(split_fields(frame[LENGTH.size :]), version)[1]


def limit_order(**values: object) -> dict[str, object]:
    order: dict[str, object] = {
        **STOCK, "order_id": 3, "action": "BUY", "order_type": "LMT", "limit_price": 95.5, "total_quantity": 100,
        "tif": "GTC", "oca_group": "group", "oca_type": 1, "order_ref": "ref", "transmit": True, "parent_id": 0,
    }  # fmt: skip
    return {**order, **values}


def text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("message", [OPEN_ORDER, COMPLETED_ORDER], ids=lambda message: message.name)
def test_what_was_sent_is_repeated(version: int, message: Message, broker: Broker) -> None:
    sent = SENT | {name: value for name, (since, value) in SINCE.items() if since <= version}
    values = limit_order(**sent, algo_params=[{"tag": "adaptivePriority", "value": "Normal"}], conditions=CONDITIONS)
    order = order_of(terms_of({**values, "conditions_ignore_rth": True}, version), completed_at=OPEN)
    lookup = broker.engine.market.instrument
    shown = present.open_order(order, lookup) if message is OPEN_ORDER else present.completed_order(order, lookup, None)
    row = through_the_wire(message, shown, version)
    wanted = {name: text(value) for name, value in sent.items() if name in message.known}
    assert {name: row[name] for name in wanted} == wanted
    assert row["algo_params"] == [{"tag": "adaptivePriority", "value": "Normal"}]
    conditions = [{name: text(value) for name, value in condition.items()} for condition in CONDITIONS]
    assert row["conditions"] == conditions
    assert (row["limit_price"], row["tif"], row["oca_group"], row["order_ref"]) == ("95.5", "GTC", "group", "ref")


def test_what_was_not_sent_looks_as_at_a_real_gateway(broker: Broker) -> None:
    order = order_of(terms_of(limit_order()))
    row = through_the_wire(OPEN_ORDER, present.open_order(order, broker.engine.market.instrument), 178)
    shown = {
        "right": "?", "display_size": "2147483647", "delta_neutral_order_type": "None", "adjusted_order_type": "None",
        "clearing_intent": "IB", "no_auto_price_for_hedge": "1", "allocation": "77.0/DU1000001/100",
        "trail_stop_price": "96.5", "initial_margin_change": UNSET_DOUBLE, "aux_price": "0.0", "what_if": "0",
    }  # fmt: skip
    assert {name: row[name] for name in shown} == shown


@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_client_read_it_may_send_back(version: int, broker: Broker) -> None:
    """A client that changes an order which it adopted sends every value that openOrder had, `None` and `?` too."""
    first = terms_of(limit_order(), version)
    row = through_the_wire(OPEN_ORDER, present.open_order(order_of(first), broker.engine.market.instrument), version)
    layout = known_names(requests.LAYOUTS[requests.PLACE])
    back = {name: value for name, value in row.items() if name in layout and name not in ("right", "conditions")}
    again = terms_of({**back, "right": "?", "transmit": "1"}, version)
    assert replace(again, echo=()) == replace(first, echo=())


@pytest.mark.parametrize("unset", ["", "1.7976931348623157e+308", "1.7976931348623157E308"])
def test_unset_numbers_are_not_numbers(unset: str) -> None:
    terms = terms_of(limit_order(aux_price=unset, trigger_price=unset, cash_quantity=unset, percent_offset=unset))
    assert not {"trigger_price", "cash_quantity", "percent_offset"} & dict(terms.echo).keys()
    assert terms.aux_price is None


def test_numpy_bools_and_infinite_offsets() -> None:
    values = limit_order(
        order_type="PEG BEST", hidden="True", outside_rth="True", compete_against_best_offset="Infinite"
    )
    terms = terms_of(values)
    assert terms.outside_regular_hours
    kept = dict(terms.echo)
    assert (kept["hidden"], kept["compete_against_best_offset"]) == ("1", "Infinity")
    assert terms.aux_price == 0


def test_the_offset_of_peg_best_has_a_field_of_its_own() -> None:
    assert terms_of(limit_order(order_type="PEG BEST", compete_against_best_offset="0.05")).aux_price == Decimal("0.05")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("display_size", "many"), ("min_quantity", "1.5"), ("trigger_price", "nan"), ("hidden", "yes"),
        ("volatility", "x"), ("limit_price", "inf"), ("total_quantity", "1e"), ("exempt_code", "9" * 30),
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_kind_is_named(field: str, value: str) -> None:
    with pytest.raises(ValueError, match=field):
        terms_of(limit_order(**{field: value}))


def test_a_time_that_cannot_be_understood_refuses_the_order_only(broker: Broker) -> None:
    with pytest.raises(InvalidTimeError):
        terms_of(limit_order(good_till_date="tomorrow"))
    client = join(broker, 1)
    client.place(1, "BUY", "LMT", limit_price=100, tif="GTD", good_till_date="2010-01-05")
    assert client.names() == ["error 321"]


@pytest.mark.parametrize(
    ("order_type", "prices", "wanted"),
    [
        ("MKT", {"limit_price": 0.0, "aux_price": 0.0}, {}),
        ("LMT", {"limit_price": 213.01000000000002, "aux_price": 5}, {"limit_price": "213.01"}),
        ("STP", {"limit_price": 0.0, "aux_price": 9.5}, {"aux_price": "9.5"}),
        ("STP LMT", {"limit_price": 9, "aux_price": 9.5}, {"aux_price": "9.5", "limit_price": "9"}),
        ("TRAIL", {"aux_price": 0.5, "trail_stop_price": 8}, {"aux_price": "0.5", "trail_stop_price": "8"}),
        ("TRAIL", {"aux_price": 0, "trailing_percent": 2}, {"trailing_percent": "2"}),
        (
            "TRAIL LIMIT",
            {"aux_price": 0.5, "trail_stop_price": 8, "limit_price_offset": 0.1, "limit_price": 0},
            {"aux_price": "0.5", "trail_stop_price": "8", "limit_price_offset": "0.1"},
        ),
        ("REL", {"limit_price": 0, "aux_price": 0.02}, {"aux_price": "0.02"}),
        ("PEG MID", {"limit_price": 9, "aux_price": ""}, {"aux_price": "0", "price_cap": "9"}),
        ("LOC", {"limit_price": 9, "aux_price": 1}, {"limit_price": "9"}),
    ],
)
def test_prices_by_order_type(order_type: str, prices: dict[str, object], wanted: dict[str, str]) -> None:
    terms = terms_of(limit_order(**{"limit_price": "", "order_type": order_type, **prices}))
    names = ("limit_price", "aux_price", "trail_stop_price", "trailing_percent", "limit_price_offset", "price_cap")
    found = {name: str(getattr(terms, name)) for name in names if getattr(terms, name) is not None}
    assert found == wanted


def test_conditions_are_understood() -> None:
    terms = terms_of(limit_order(conditions=CONDITIONS, conditions_cancel_order=True))
    price, moment, margin, execution, volume, change = terms.conditions
    assert (price.kind, price.value, price.contract_id, price.is_more) == (
        ConditionKind.PRICE,
        Decimal("101.5"),
        7,
        True,
    )
    assert moment.time == datetime(2010, 1, 6, 20, tzinfo=UTC)
    assert (moment.is_more, moment.conjunction) == (False, "o")
    assert (margin.value, volume.value, change.value) == (30, 1000, Decimal("1.5"))
    assert (execution.symbol, execution.security_type) == ("BBB", "STK")
    assert terms.conditions_cancel


def test_partial_fills_repeat_the_pair() -> None:
    order = order_of(terms_of(limit_order()), filled=Decimal(30), filled_value=Decimal(2850))
    status = present.order_status(order)
    assert (status["filled"], status["remaining"], status["average_fill_price"]) == (30, 70, 95)


def test_liquidity_and_realized_profit_of_an_execution(broker: Broker) -> None:
    order = order_of(terms_of(limit_order()), filled=Decimal(100), filled_value=Decimal(9550))
    fill = Execution(
        "id.01", order, "DU1000001", AAPL, OPEN, "BOT", Decimal(100), Decimal("95.5"), "NASDAQ", Decimal(1), None,
        added_liquidity=True,
    )  # fmt: skip
    values = present.execution(fill, -1, broker.engine.market.instrument)
    assert (values["last_liquidity"], values["average_price"], values["right"]) == (1, Decimal("95.5"), "")
    assert present.commission(fill)["realized_pnl"] == UNSET_DOUBLE


def test_kept_rows_are_json() -> None:
    kept = dict(kept_fields({"combo_legs": [{"con_id": "1", "open_close": "0"}], "smart_combo_routing_params": []}))
    assert json.loads(kept["combo_legs"]) == [{"con_id": "1", "open_close": "0"}]
    assert "smart_combo_routing_params" not in kept
