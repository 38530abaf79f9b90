"""Client to server: the layout of every request the simulator answers, by message id.

The first field of a message is its id; a field called `_version` is the message's own, obsolete version number.
"""

from collections.abc import Mapping

from services.simulator.wire.layout import UNSET_INTEGER, Field, Layout, Repeat, Row, When, names, read

CONTRACT = names(
    "con_id symbol sec_type expiry strike right multiplier exchange primary_exchange currency local_symbol "
    "trading_class"
)
COMBO_LEGS = When(
    lambda row: row.get("sec_type") == "BAG", (Repeat("combo_legs", names("con_id ratio action exchange")),)
)
DELTA_NEUTRAL_CONTRACT: Layout = (
    Field("delta_neutral_contract"),
    When(
        lambda row: row.get("delta_neutral_contract") not in ("", "0", None),
        names("delta_neutral_contract_con_id delta_neutral_contract_delta delta_neutral_contract_price"),
    ),
)
TAG_VALUES = names("tag value")


def scale_increment_set(row: Mapping[str, object]) -> bool:
    """True if the scale order fields follow: the increment is a positive number and not TWS's "unset"."""
    try:
        return 0 < float(str(row.get("scale_price_increment") or 0)) < 1e300
    except ValueError:
        return False


SCALE: Layout = (
    *names("scale_init_level_size scale_subs_level_size scale_price_increment"),
    When(
        scale_increment_set,
        names(
            "scale_price_adjust_value scale_price_adjust_interval scale_profit_offset scale_auto_reset "
            "scale_init_position scale_init_fill_quantity scale_random_percent"
        ),
    ),
)
HEDGE: Layout = (Field("hedge_type"), When(lambda row: bool(row.get("hedge_type")), names("hedge_param")))
ALGORITHM: Layout = (
    Field("algo_strategy"),
    When(lambda row: bool(row.get("algo_strategy")), (Repeat("algo_params", TAG_VALUES),)),
)
PEGGED_TO_BENCHMARK = When(
    lambda row: row.get("order_type") in ("PEG BENCH", "PEGBENCH"),
    names(
        "reference_con_id pegged_change_amount_decrease pegged_change_amount reference_change_amount reference_exchange"
    ),
)
_CONDITION_FIELDS = {
    "1": "is_more price con_id exchange trigger_method",
    "3": "is_more time",
    "4": "is_more percent",
    "5": "sec_type exchange symbol",
    "6": "is_more volume con_id exchange",
    "7": "is_more change_percent con_id exchange",
}


def _condition_is(kind: str) -> When:
    return When(lambda row: row.get("type") == kind, names(_CONDITION_FIELDS[kind]))


CONDITIONS: Layout = (
    Repeat("conditions", (*names("type conjunction"), *(_condition_is(kind) for kind in _CONDITION_FIELDS))),
    When(lambda row: bool(row.get("conditions")), names("conditions_ignore_rth conditions_cancel_order")),
)
_ORDER_LEG = names("con_id ratio action exchange open_close short_sale_slot designated_location exempt_code")
_IS_PEG_BEST = ("PEG BEST", "PEGBEST")
_IS_PEG_MID = ("PEG MID", "PEGMID")

PLACE_ORDER: Layout = (
    *names("_id order_id"),
    *CONTRACT,
    *names(
        "sec_id_type sec_id action total_quantity order_type limit_price aux_price tif oca_group account open_close "
        "origin order_ref transmit parent_id block_order sweep_to_fill display_size trigger_method outside_rth hidden"
    ),
    When(
        lambda row: row.get("sec_type") == "BAG",
        (
            Repeat("combo_legs", _ORDER_LEG),
            Repeat("order_combo_legs", names("price")),
            Repeat("smart_combo_routing_params", TAG_VALUES),
        ),
    ),
    *names("shares_allocation discretionary_amount good_after_time good_till_date fa_group fa_method fa_percentage"),
    Field("fa_profile", until=177),
    *names(
        "model_code short_sale_slot designated_location exempt_code oca_type rule_80a settling_firm all_or_none "
        "min_quantity percent_offset electronic_trade_only firm_quote_only nbbo_price_cap auction_strategy "
        "starting_price stock_ref_price delta stock_range_lower stock_range_upper override_percentage_constraints "
        "volatility volatility_type delta_neutral_order_type delta_neutral_aux_price"
    ),
    When(
        # also for the text "None", which clients echo back when they modify an order they adopted
        lambda row: bool(row.get("delta_neutral_order_type")),
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
    PEGGED_TO_BENCHMARK,
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
    When(lambda row: row.get("exchange") == "IBKRATS", names("min_trade_quantity"), since=170),
    When(
        lambda row: row.get("order_type") in _IS_PEG_BEST,
        (
            *names("min_compete_size compete_against_best_offset"),
            When(
                lambda row: row.get("compete_against_best_offset") == "Infinite",
                names("mid_offset_at_whole mid_offset_at_half"),
            ),
        ),
        since=170,
    ),
    When(lambda row: row.get("order_type") in _IS_PEG_MID, names("mid_offset_at_whole mid_offset_at_half"), since=170),
)

REQUEST_MARKET_DATA = 1
CANCEL_MARKET_DATA = 2
PLACE = 3
CANCEL_ORDER = 4
REQUEST_OPEN_ORDERS = 5
REQUEST_ACCOUNT_UPDATES = 6
REQUEST_EXECUTIONS = 7
REQUEST_IDS = 8
REQUEST_CONTRACT_DETAILS = 9
SET_SERVER_LOG_LEVEL = 14
REQUEST_AUTO_OPEN_ORDERS = 15
REQUEST_ALL_OPEN_ORDERS = 16
REQUEST_MANAGED_ACCOUNTS = 17
REQUEST_HISTORICAL_DATA = 20
CANCEL_HISTORICAL_DATA = 25
REQUEST_CURRENT_TIME = 49
REQUEST_REAL_TIME_BARS = 50
CANCEL_REAL_TIME_BARS = 51
GLOBAL_CANCEL = 58
REQUEST_MARKET_DATA_TYPE = 59
REQUEST_POSITIONS = 61
REQUEST_ACCOUNT_SUMMARY = 62
CANCEL_ACCOUNT_SUMMARY = 63
CANCEL_POSITIONS = 64
START_API = 71
REQUEST_ACCOUNT_UPDATES_MULTI = 76
CANCEL_ACCOUNT_UPDATES_MULTI = 77
REQUEST_HEAD_TIMESTAMP = 87
CANCEL_HEAD_TIMESTAMP = 90
REQUEST_MARKET_RULE = 91
REQUEST_PNL = 92
CANCEL_PNL = 93
REQUEST_COMPLETED_ORDERS = 99

LAYOUTS: dict[int, Layout] = {
    REQUEST_MARKET_DATA: (
        *names("_id _version request_id"),
        *CONTRACT,
        COMBO_LEGS,
        *DELTA_NEUTRAL_CONTRACT,
        *names("generic_ticks snapshot regulatory_snapshot options"),
    ),
    CANCEL_MARKET_DATA: names("_id _version request_id"),
    PLACE: PLACE_ORDER,
    CANCEL_ORDER: (*names("_id _version order_id"), Field("manual_cancel_order_time", since=169)),
    REQUEST_OPEN_ORDERS: names("_id _version"),
    REQUEST_ACCOUNT_UPDATES: names("_id _version subscribe account"),
    REQUEST_EXECUTIONS: names("_id _version request_id client_id account time symbol sec_type exchange side"),
    REQUEST_IDS: names("_id _version count"),
    REQUEST_CONTRACT_DETAILS: (
        *names("_id _version request_id"),
        *CONTRACT,
        *names("include_expired sec_id_type sec_id"),
        Field("issuer_id", since=176),
    ),
    SET_SERVER_LOG_LEVEL: names("_id _version level"),
    REQUEST_AUTO_OPEN_ORDERS: names("_id _version auto_bind"),
    REQUEST_ALL_OPEN_ORDERS: names("_id _version"),
    REQUEST_MANAGED_ACCOUNTS: names("_id _version"),
    REQUEST_HISTORICAL_DATA: (
        *names("_id request_id"),
        *CONTRACT,
        *names("include_expired end bar_size duration use_rth what_to_show format_date"),
        COMBO_LEGS,
        *names("keep_up_to_date chart_options"),
    ),
    CANCEL_HISTORICAL_DATA: names("_id _version request_id"),
    REQUEST_CURRENT_TIME: names("_id _version"),
    REQUEST_REAL_TIME_BARS: (
        *names("_id _version request_id"),
        *CONTRACT,
        *names("bar_size what_to_show use_rth options"),
    ),
    CANCEL_REAL_TIME_BARS: names("_id _version request_id"),
    GLOBAL_CANCEL: names("_id _version"),
    REQUEST_MARKET_DATA_TYPE: names("_id _version market_data_type"),
    REQUEST_POSITIONS: names("_id _version"),
    REQUEST_ACCOUNT_SUMMARY: names("_id _version request_id group tags"),
    CANCEL_ACCOUNT_SUMMARY: names("_id _version request_id"),
    CANCEL_POSITIONS: names("_id _version"),
    START_API: names("_id _version client_id optional_capabilities"),
    REQUEST_ACCOUNT_UPDATES_MULTI: names("_id _version request_id account model_code ledger_and_nlv"),
    CANCEL_ACCOUNT_UPDATES_MULTI: names("_id _version request_id"),
    REQUEST_HEAD_TIMESTAMP: (
        *names("_id request_id"),
        *CONTRACT,
        *names("include_expired use_rth what_to_show format_date"),
    ),
    CANCEL_HEAD_TIMESTAMP: names("_id request_id"),
    REQUEST_MARKET_RULE: names("_id market_rule_id"),
    REQUEST_PNL: names("_id request_id account model_code"),
    CANCEL_PNL: names("_id request_id"),
    REQUEST_COMPLETED_ORDERS: names("_id api_only"),
}


class Request:
    """One request: its message id and typed access to its fields.

    The accessors raise ValueError naming the field when its text is not of the type asked for.
    """

    def __init__(self, message_id: int, row: Row) -> None:
        self.message_id = message_id
        self.row = row

    @classmethod
    def parse(cls, message_id: int, fields: list[str], version: int) -> "Request":
        """Raises LayoutError when the fields do not fit; KeyError when the message id is not known."""
        return cls(message_id, read(LAYOUTS[message_id], fields, version))

    def text(self, name: str) -> str:
        value = self.row.get(name, "")
        if not isinstance(value, str):
            raise ValueError(f"{name}: expected one value, got rows")
        return value

    def integer(self, name: str, default: int = 0) -> int:
        value = self.text(name)
        if value in ("", UNSET_INTEGER):
            return default
        try:
            return int(value)
        except ValueError:
            raise ValueError(f"{name}: {value[:40]!r} is not a whole number") from None

    def flag(self, name: str) -> bool:
        """True for `1` and for `True`, which is how numpy's bools arrive."""
        value = self.text(name)
        if value not in ("", "0", "1", "False", "True"):
            raise ValueError(f"{name}: {value[:40]!r} is neither 0 nor 1")
        return value in ("1", "True")
