"""Server to client: the layout of every answer, by name, and `encode`, which turns values into a frame.

The constant `=n` after a `_version` is the message's own, obsolete version number, which clients skip.
"""

from decimal import Decimal

from services.simulator.wire.framing import frame
from services.simulator.wire.layout import (
    UNSET_DOUBLE,
    UNSET_INTEGER,
    Field,
    Layout,
    Repeat,
    Values,
    When,
    names,
    text,
    write,
)
from services.simulator.wire.requests import (
    ALGORITHM,
    CONDITIONS,
    DELTA_NEUTRAL_CONTRACT,
    HEDGE,
    PEGGED_TO_BENCHMARK,
    SCALE,
    TAG_VALUES,
)

CONTRACT = names("con_id symbol sec_type expiry strike right multiplier exchange currency local_symbol trading_class")
_NO_DELTA_NEUTRAL_CONTRACT: Layout = (Field("delta_neutral_contract", default="0"), *DELTA_NEUTRAL_CONTRACT[1:])
_LEGS: Layout = (
    Field("combo_legs_description"),
    Repeat(
        "combo_legs",
        names("con_id ratio action exchange open_close short_sale_slot designated_location exempt_code"),
    ),
    Repeat("order_combo_legs", names("price")),
    Repeat("smart_combo_routing_params", TAG_VALUES),
)
_PEGGED_TAIL: Layout = (
    Field("min_trade_quantity", since=170, default=UNSET_INTEGER),
    Field("min_compete_size", since=170, default=UNSET_INTEGER),
    Field("compete_against_best_offset", since=170, default=UNSET_DOUBLE),
    Field("mid_offset_at_whole", since=170, default=UNSET_DOUBLE),
    Field("mid_offset_at_half", since=170, default=UNSET_DOUBLE),
)
_UNSET_MARGINS: Layout = tuple(
    Field(item.name, default=UNSET_DOUBLE)
    for item in names(
        "initial_margin_before maintenance_margin_before equity_before initial_margin_change "
        "maintenance_margin_change equity_change initial_margin_after maintenance_margin_after equity_after "
        "commission minimum_commission maximum_commission"
    )
    if isinstance(item, Field)
)

OPEN_ORDER: Layout = (
    *names("_id=5 order_id"),
    *CONTRACT,
    *names(
        "action total_quantity order_type limit_price aux_price tif oca_group account open_close origin=0 order_ref "
        "client_id perm_id outside_rth=0 hidden=0 discretionary_amount=0 good_after_time allocation fa_group "
        "fa_method fa_percentage"
    ),
    Field("fa_profile", until=177),
    *names(
        "model_code good_till_date rule_80a percent_offset settling_firm short_sale_slot=0 designated_location "
        "exempt_code=-1 auction_strategy=0 starting_price stock_ref_price delta stock_range_lower stock_range_upper "
        f"display_size={UNSET_INTEGER} block_order=0 sweep_to_fill=0 all_or_none=0 min_quantity oca_type=3 "
        "electronic_trade_only=0 firm_quote_only=0 nbbo_price_cap parent_id=0 trigger_method=0 volatility "
        "volatility_type=0 delta_neutral_order_type=None delta_neutral_aux_price"
    ),
    When(
        lambda row: row.get("delta_neutral_order_type", "None") != "",
        names(
            "delta_neutral_con_id=0 delta_neutral_settling_firm delta_neutral_clearing_account "
            "delta_neutral_clearing_intent delta_neutral_open_close=? delta_neutral_short_sale=0 "
            "delta_neutral_short_sale_slot=0 delta_neutral_designated_location"
        ),
    ),
    *names(
        "continuous_update=0 reference_price_type=0 trail_stop_price trailing_percent basis_points basis_points_type"
    ),
    *_LEGS,
    *SCALE,
    *HEDGE,
    *names("opt_out_smart_routing=0 clearing_account clearing_intent=IB not_held=0"),
    *_NO_DELTA_NEUTRAL_CONTRACT,
    *ALGORITHM,
    *names("solicited=0 what_if=0 status"),
    *_UNSET_MARGINS,
    *names("commission_currency warning_text randomize_size=0 randomize_price=0"),
    PEGGED_TO_BENCHMARK,
    *CONDITIONS,
    *names(
        f"adjusted_order_type=None trigger_price={UNSET_DOUBLE} adjusted_trail_stop_price={UNSET_DOUBLE} "
        f"limit_price_offset={UNSET_DOUBLE} adjusted_stop_price={UNSET_DOUBLE} "
        f"adjusted_stop_limit_price={UNSET_DOUBLE} adjusted_trailing_amount={UNSET_DOUBLE} "
        "adjustable_trailing_unit=0 soft_dollar_tier_name soft_dollar_tier_value soft_dollar_tier_display_name "
        "cash_quantity=0 no_auto_price_for_hedge=1 oms_container=0 discretionary_up_to_limit_price=0 "
        "use_price_management_algo=0"
    ),
    # official since 158, but a client that negotiates exactly 158 reads it from 159 on; 158 is never negotiated
    Field("duration", since=158, default=UNSET_INTEGER),
    Field("post_to_ats", since=160, default=UNSET_INTEGER),
    Field("auto_cancel_parent", since=162, default="0"),
    *_PEGGED_TAIL,
)

COMPLETED_ORDER: Layout = (
    *names("_id=101"),
    *CONTRACT,
    *names(
        "action total_quantity order_type limit_price aux_price tif oca_group account open_close origin=0 order_ref "
        "perm_id outside_rth=0 hidden=0 discretionary_amount=0 good_after_time fa_group fa_method fa_percentage"
    ),
    Field("fa_profile", until=177),
    *names(
        "model_code good_till_date rule_80a percent_offset settling_firm short_sale_slot=0 designated_location "
        "exempt_code=-1 starting_price stock_ref_price delta stock_range_lower stock_range_upper "
        f"display_size={UNSET_INTEGER} sweep_to_fill=0 all_or_none=0 min_quantity oca_type=3 trigger_method=0 "
        "volatility volatility_type=0 delta_neutral_order_type=None delta_neutral_aux_price"
    ),
    When(
        lambda row: row.get("delta_neutral_order_type", "None") != "",
        names(
            "delta_neutral_con_id=0 delta_neutral_short_sale=0 delta_neutral_short_sale_slot=0 "
            "delta_neutral_designated_location"
        ),
    ),
    *names("continuous_update=0 reference_price_type=0 trail_stop_price trailing_percent"),
    *_LEGS,
    *SCALE,
    *HEDGE,
    *names("clearing_account clearing_intent=IB not_held=0"),
    *_NO_DELTA_NEUTRAL_CONTRACT,
    *ALGORITHM,
    *names("solicited=0 status randomize_size=0 randomize_price=0"),
    PEGGED_TO_BENCHMARK,
    *CONDITIONS,
    *names(
        f"adjusted_trail_stop_price={UNSET_DOUBLE} limit_price_offset={UNSET_DOUBLE} cash_quantity=0 "
        "no_auto_price_for_hedge=1 oms_container=0 auto_cancel_date filled_quantity reference_futures_con_id=0 "
        "auto_cancel_parent=0 shareholder imbalance_only=0 route_marketable_to_bbo=0 "
        "parent_perm_id=9223372036854775807 completed_time completed_status"
    ),
    *_PEGGED_TAIL,
)

EXECUTION: Layout = (
    *names("_id=11 request_id order_id"),
    *CONTRACT,
    *names(
        "execution_id time account venue side shares price perm_id client_id liquidation=0 cumulative_quantity "
        "average_price order_ref ev_rule ev_multiplier model_code last_liquidity=2"
    ),
    Field("pending_price_revision", since=178, default="0"),
)

CONTRACT_DETAILS: Layout = (
    *names("_id=10"),
    Field("_version", until=164, default="8"),
    *names(
        "request_id symbol sec_type last_trade_date strike=0 right exchange currency local_symbol market_name "
        "trading_class con_id min_tick"
    ),
    Field("market_data_size_multiplier", until=164, default="100"),
    *names(
        "multiplier order_types valid_exchanges price_magnifier=1 under_con_id=0 long_name primary_exchange "
        "contract_month industry category subcategory time_zone trading_hours liquid_hours ev_rule ev_multiplier"
    ),
    Repeat("security_ids", TAG_VALUES),
    *names("aggregated_group=1 under_symbol under_sec_type market_rule_ids real_expiration_date stock_type=COMMON"),
    Field("min_size", since=164, default="1"),
    Field("size_increment", since=164, default="1"),
    Field("suggested_size_increment", since=164, default="100"),
)

TICK_PRICE = names("_id=1 _version=6 request_id tick_type price size attributes=0")
TICK_SIZE = names("_id=2 _version=6 request_id tick_type size")
TICK_STRING = names("_id=46 _version=6 request_id tick_type value")
ORDER_STATUS = names(
    "_id=3 order_id status filled remaining average_fill_price perm_id parent_id=0 last_fill_price client_id why_held "
    "market_cap_price=0"
)
ERROR: Layout = (*names("_id=4 _version=2 id code text"), Field("advanced_order_reject", since=166))
ACCOUNT_VALUE = names("_id=6 _version=2 key value currency account")
PORTFOLIO = names(
    "_id=7 _version=8 con_id symbol sec_type expiry strike right multiplier primary_exchange currency local_symbol "
    "trading_class position market_price market_value average_cost unrealized_pnl realized_pnl account"
)
ACCOUNT_TIME = names("_id=8 _version=1 time")
NEXT_VALID_ID = names("_id=9 _version=1 order_id")
MANAGED_ACCOUNTS = names("_id=15 _version=1 accounts")
HISTORICAL_DATA: Layout = (
    *names("_id=17 request_id start end"),
    Repeat("bars", names("date open high low close volume average count")),
)
CURRENT_TIME = names("_id=49 _version=1 time")
REAL_TIME_BAR = names("_id=50 _version=3 request_id time open high low close volume average count")
CONTRACT_DETAILS_END = names("_id=52 _version=1 request_id")
OPEN_ORDER_END = names("_id=53 _version=1")
ACCOUNT_DOWNLOAD_END = names("_id=54 _version=1 account")
EXECUTIONS_END = names("_id=55 _version=1 request_id")
SNAPSHOT_END = names("_id=57 _version=1 request_id")
MARKET_DATA_TYPE = names("_id=58 _version=1 request_id market_data_type")
COMMISSION = names("_id=59 _version=1 execution_id commission currency realized_pnl yield yield_redemption_date=0")
POSITION: Layout = (*names("_id=61 _version=3 account"), *CONTRACT, *names("position average_cost"))
POSITION_END = names("_id=62 _version=1")
ACCOUNT_SUMMARY = names("_id=63 _version=1 request_id account tag value currency")
ACCOUNT_SUMMARY_END = names("_id=64 _version=1 request_id")
ACCOUNT_UPDATE_MULTI = names("_id=73 _version=1 request_id account model_code key value currency")
ACCOUNT_UPDATE_MULTI_END = names("_id=74 _version=1 request_id")
TICK_REQUEST_PARAMETERS = names("_id=81 request_id min_tick bbo_exchange snapshot_permissions=3")
HEAD_TIMESTAMP = names("_id=88 request_id timestamp")
MARKET_RULE: Layout = (*names("_id=93 market_rule_id"), Repeat("increments", names("low_edge increment")))
PNL = names("_id=94 request_id daily unrealized realized")
COMPLETED_ORDERS_END = names("_id=102")


def encode(layout: Layout, values: Values, version: int) -> bytes:
    """Return the frame of one message. Raises LayoutError when a value has no field or no form on the wire."""
    return frame(write(layout, values, version))


def tick_price(request_id: int, tick_type: int, price: Decimal, size: int) -> bytes:
    """Return `encode(TICK_PRICE, ...)`, five times as fast: most of what a gateway sends is this."""
    return frame(("1", "6", str(request_id), str(tick_type), text(price), str(size), "0"))


def tick_value(request_id: int, tick_type: int, value: int | str) -> bytes:
    """Return `encode(TICK_SIZE, ...)` for a number, `encode(TICK_STRING, ...)` for a text, fast."""
    message_id = "2" if isinstance(value, int) else "46"
    return frame((message_id, "6", str(request_id), str(tick_type), str(value)))


def error(request_id: int, code: int, message: str, version: int) -> bytes:
    """Return an error or notice; `request_id` is an order id, a request id, or -1 for the session."""
    return encode(ERROR, {"id": request_id, "code": code, "text": message}, version)
