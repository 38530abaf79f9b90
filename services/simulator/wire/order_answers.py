"""Answers about orders and executions. Defaults are what a real gateway shows in a plain order."""

from services.simulator.wire.layout import UNSET_DOUBLE, UNSET_INTEGER, UNSET_LONG, Field, Layout, When, given, names
from services.simulator.wire.message import message
from services.simulator.wire.parts import (
    ALGORITHM,
    CONDITIONS,
    CONTRACT,
    DELTA_NEUTRAL_CONTRACT,
    HEDGE,
    ORDER_LEGS,
    PEGGED_TO_BENCHMARK,
    SCALE,
)

_PEGGED_TAIL: Layout = (
    Field("min_trade_quantity", since=170, default=UNSET_INTEGER),
    Field("min_compete_size", since=170, default=UNSET_INTEGER),
    Field("compete_against_best_offset", since=170, default=UNSET_DOUBLE),
    Field("mid_offset_at_whole", since=170, default=UNSET_DOUBLE),
    Field("mid_offset_at_half", since=170, default=UNSET_DOUBLE),
)
_MARGINS = (
    "initial_margin_before maintenance_margin_before equity_before initial_margin_change maintenance_margin_change "
    "equity_change initial_margin_after maintenance_margin_after equity_after commission minimum_commission "
    "maximum_commission"
)

OPEN_ORDER = message(
    5,
    "openOrder",
    "order_id",
    CONTRACT,
    "action total_quantity order_type limit_price aux_price tif oca_group account open_close origin=0 order_ref "
    "client_id perm_id outside_rth=0 hidden=0 discretionary_amount=0 good_after_time allocation fa_group "
    "fa_method fa_percentage",
    Field("fa_profile", until=177),
    "model_code good_till_date rule_80a percent_offset settling_firm short_sale_slot=0 designated_location "
    "exempt_code=-1 auction_strategy=0 starting_price stock_ref_price delta stock_range_lower stock_range_upper "
    f"display_size={UNSET_INTEGER} block_order=0 sweep_to_fill=0 all_or_none=0 min_quantity oca_type=3 "
    "electronic_trade_only=0 firm_quote_only=0 nbbo_price_cap parent_id=0 trigger_method=0 volatility "
    "volatility_type=0 delta_neutral_order_type=None delta_neutral_aux_price",
    When(
        given("delta_neutral_order_type"),
        names(
            "delta_neutral_con_id=0 delta_neutral_settling_firm delta_neutral_clearing_account "
            "delta_neutral_clearing_intent delta_neutral_open_close=? delta_neutral_short_sale=0 "
            "delta_neutral_short_sale_slot=0 delta_neutral_designated_location"
        ),
    ),
    "continuous_update=0 reference_price_type=0 trail_stop_price trailing_percent basis_points basis_points_type "
    "combo_legs_description",
    ORDER_LEGS,
    SCALE,
    HEDGE,
    "opt_out_smart_routing=0 clearing_account clearing_intent=IB not_held=0",
    DELTA_NEUTRAL_CONTRACT,
    ALGORITHM,
    "solicited=0 what_if=0 status",
    tuple(Field(name, default=UNSET_DOUBLE) for name in _MARGINS.split()),
    "commission_currency warning_text randomize_size=0 randomize_price=0",
    PEGGED_TO_BENCHMARK,
    CONDITIONS,
    f"adjusted_order_type=None trigger_price={UNSET_DOUBLE} adjusted_trail_stop_price={UNSET_DOUBLE} "
    f"limit_price_offset={UNSET_DOUBLE} adjusted_stop_price={UNSET_DOUBLE} "
    f"adjusted_stop_limit_price={UNSET_DOUBLE} adjusted_trailing_amount={UNSET_DOUBLE} "
    "adjustable_trailing_unit=0 soft_dollar_tier_name soft_dollar_tier_value soft_dollar_tier_display_name "
    "cash_quantity=0 no_auto_price_for_hedge=1 oms_container=0 discretionary_up_to_limit_price=0 "
    "use_price_management_algo=0",
    # official since 158, but a client that negotiates exactly 158 reads it from 159 on; 158 is never negotiated
    Field("duration", since=158, default=UNSET_INTEGER),
    Field("post_to_ats", since=160, default=UNSET_INTEGER),
    Field("auto_cancel_parent", since=162, default="0"),
    _PEGGED_TAIL,
)

COMPLETED_ORDER = message(
    101,
    "completedOrder",
    CONTRACT,
    "action total_quantity order_type limit_price aux_price tif oca_group account open_close origin=0 order_ref "
    "perm_id outside_rth=0 hidden=0 discretionary_amount=0 good_after_time fa_group fa_method fa_percentage",
    Field("fa_profile", until=177),
    "model_code good_till_date rule_80a percent_offset settling_firm short_sale_slot=0 designated_location "
    "exempt_code=-1 starting_price stock_ref_price delta stock_range_lower stock_range_upper "
    f"display_size={UNSET_INTEGER} sweep_to_fill=0 all_or_none=0 min_quantity oca_type=3 trigger_method=0 "
    "volatility volatility_type=0 delta_neutral_order_type=None delta_neutral_aux_price",
    When(
        given("delta_neutral_order_type"),
        names(
            "delta_neutral_con_id=0 delta_neutral_short_sale=0 delta_neutral_short_sale_slot=0 "
            "delta_neutral_designated_location"
        ),
    ),
    "continuous_update=0 reference_price_type=0 trail_stop_price trailing_percent combo_legs_description",
    ORDER_LEGS,
    SCALE,
    HEDGE,
    "clearing_account clearing_intent=IB not_held=0",
    DELTA_NEUTRAL_CONTRACT,
    ALGORITHM,
    "solicited=0 status randomize_size=0 randomize_price=0",
    PEGGED_TO_BENCHMARK,
    CONDITIONS,
    f"adjusted_trail_stop_price={UNSET_DOUBLE} limit_price_offset={UNSET_DOUBLE} cash_quantity=0 "
    "no_auto_price_for_hedge=1 oms_container=0 auto_cancel_date filled_quantity reference_futures_con_id=0 "
    "auto_cancel_parent=0 shareholder imbalance_only=0 route_marketable_to_bbo=0 "
    f"parent_perm_id={UNSET_LONG} completed_time completed_status",
    _PEGGED_TAIL,
)

EXECUTION = message(
    11,
    "execDetails",
    "request_id order_id",
    CONTRACT,
    "execution_id time account venue side shares price perm_id client_id liquidation=0 cumulative_quantity "
    "average_price order_ref ev_rule ev_multiplier model_code last_liquidity=2",
    Field("pending_price_revision", since=178, default="0"),
)
ORDER_STATUS = message(
    3,
    "orderStatus",
    "order_id status filled remaining average_fill_price perm_id parent_id=0 last_fill_price client_id why_held "
    "market_cap_price=0",
)
COMMISSION = message(
    59,
    "commissionReport",
    "_version=1 execution_id commission currency realized_pnl yield yield_redemption_date=0",
)
OPEN_ORDER_END = message(53, "openOrderEnd", "_version=1")
EXECUTIONS_END = message(55, "execDetailsEnd", "_version=1 request_id")
COMPLETED_ORDERS_END = message(102, "completedOrdersEnd")
ORDER_BOUND = message(100, "orderBound", "perm_id client_id order_id")
DELTA_NEUTRAL_VALIDATION = message(56, "deltaNeutralValidation", "_version=1 request_id con_id delta=0 price=0")
