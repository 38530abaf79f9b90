"""The layout of placeOrder, the longest request: which fields it has depends on the order's type and the version."""

from services.simulator.wire.layout import INFINITE, Field, Layout, When, given, names, one_of
from services.simulator.wire.parts import (
    ALGORITHM,
    CONDITIONS,
    DELTA_NEUTRAL_CONTRACT,
    HEDGE,
    IS_COMBO,
    ORDER_LEGS,
    PEGGED_TO_BENCHMARK,
    REQUEST_CONTRACT,
    SCALE,
)

_OFFSETS = names("mid_offset_at_whole mid_offset_at_half")
_COMPETING: Layout = (
    *names("min_compete_size compete_against_best_offset"),
    When(one_of("compete_against_best_offset", INFINITE), _OFFSETS),
)

PLACE_ORDER: Layout = (
    Field("order_id"),
    *REQUEST_CONTRACT,
    *names(
        "sec_id_type sec_id action total_quantity order_type limit_price aux_price tif oca_group account open_close "
        "origin order_ref transmit=1 parent_id block_order sweep_to_fill display_size trigger_method outside_rth hidden"
    ),
    When(IS_COMBO, ORDER_LEGS),
    *names("shares_allocation discretionary_amount good_after_time good_till_date fa_group fa_method fa_percentage"),
    Field("fa_profile", until=177),
    *names(
        "model_code short_sale_slot designated_location exempt_code=-1 oca_type rule_80a settling_firm all_or_none "
        "min_quantity percent_offset electronic_trade_only firm_quote_only nbbo_price_cap auction_strategy "
        "starting_price stock_ref_price delta stock_range_lower stock_range_upper override_percentage_constraints "
        "volatility volatility_type delta_neutral_order_type delta_neutral_aux_price"
    ),
    When(
        # also for the text "None", which clients echo back when they modify an order they adopted
        given("delta_neutral_order_type"),
        names(
            "delta_neutral_con_id delta_neutral_settling_firm delta_neutral_clearing_account "
            "delta_neutral_clearing_intent delta_neutral_open_close delta_neutral_short_sale "
            "delta_neutral_short_sale_slot delta_neutral_designated_location"
        ),
    ),
    *names("continuous_update reference_price_type trail_stop_price trailing_percent"),
    *SCALE,
    *names("scale_table active_start_time active_stop_time"),
    *HEDGE,
    *names("opt_out_smart_routing clearing_account clearing_intent not_held"),
    *DELTA_NEUTRAL_CONTRACT,
    *ALGORITHM,
    *names("algo_id what_if misc_options solicited randomize_size randomize_price"),
    *PEGGED_TO_BENCHMARK,
    *CONDITIONS,
    *names(
        "adjusted_order_type trigger_price limit_price_offset adjusted_stop_price adjusted_stop_limit_price "
        "adjusted_trailing_amount adjustable_trailing_unit ext_operator soft_dollar_tier_name soft_dollar_tier_value "
        "cash_quantity mifid2_decision_maker mifid2_decision_algo mifid2_execution_trader mifid2_execution_algo "
        "no_auto_price_for_hedge oms_container discretionary_up_to_limit_price use_price_management_algo"
    ),
    Field("duration", since=158),
    Field("post_to_ats", since=160),
    Field("auto_cancel_parent", since=162),
    Field("advanced_error_override", since=166),
    Field("manual_order_time", since=169),
    When(one_of("exchange", "IBKRATS"), names("min_trade_quantity"), since=170),
    When(one_of("order_type", "PEG BEST"), _COMPETING, since=170),
    When(one_of("order_type", "PEG MID"), _OFFSETS, since=170),
    # these spellings are known only to ib_async, the one client that reaches version 177
    When(one_of("order_type", "PEGBEST"), _COMPETING, since=177),
    When(one_of("order_type", "PEGMID"), _OFFSETS, since=177),
)
