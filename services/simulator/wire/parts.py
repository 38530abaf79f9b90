"""Pieces of layouts that several messages share."""

from collections.abc import Mapping

from services.simulator.wire.layout import (
    UNSET_DOUBLE,
    Choice,
    Field,
    Layout,
    Repeat,
    When,
    given,
    names,
    one_of,
)

ANSWER_ROWS = 1_000_000
"""Most rows in an answer: years of minute bars."""

REQUEST_CONTRACT = names(
    "con_id symbol sec_type expiry strike right multiplier exchange primary_exchange currency local_symbol "
    "trading_class"
)
CONTRACT = names("con_id symbol sec_type expiry strike right multiplier exchange currency local_symbol trading_class")
IS_COMBO = one_of("sec_type", "BAG")
DATA_LEGS = When(IS_COMBO, (Repeat("combo_legs", names("con_id ratio action exchange")),))
TAG_VALUES = names("tag value")
ORDER_LEGS: Layout = (
    Repeat(
        "combo_legs",
        names(
            "con_id=0 ratio=0 action exchange open_close=0 short_sale_slot=0 designated_location exempt_code=-1",
        ),
    ),
    Repeat("order_combo_legs", names("price")),
    Repeat("smart_combo_routing_params", TAG_VALUES),
)


def _has_contract(row: Mapping[str, object]) -> bool:
    return row.get("delta_neutral_contract") not in ("", "0", "False", None)


DELTA_NEUTRAL_CONTRACT: Layout = (
    Field("delta_neutral_contract", default="0"),
    When(
        _has_contract,
        names("delta_neutral_contract_con_id=0 delta_neutral_contract_delta delta_neutral_contract_price"),
    ),
)
_LARGEST_DOUBLE = float(UNSET_DOUBLE)


def _increment_set(row: Mapping[str, object]) -> bool:
    """True if the scale order fields follow: the increment is a positive number and not TWS's "unset"."""
    try:
        return 0 < float(str(row.get("scale_price_increment") or 0)) < _LARGEST_DOUBLE
    except ValueError:
        return False


SCALE: Layout = (
    *names("scale_init_level_size scale_subs_level_size scale_price_increment"),
    When(
        _increment_set,
        names(
            "scale_price_adjust_value scale_price_adjust_interval scale_profit_offset scale_auto_reset=0 "
            "scale_init_position scale_init_fill_quantity scale_random_percent=0"
        ),
    ),
)
HEDGE: Layout = (Field("hedge_type"), When(given("hedge_type"), names("hedge_param")))
ALGORITHM: Layout = (
    Field("algo_strategy"),
    When(given("algo_strategy"), (Repeat("algo_params", TAG_VALUES),)),
)
_BENCHMARK = names(
    "reference_con_id=0 pegged_change_amount_decrease=0 pegged_change_amount reference_change_amount reference_exchange"
)
PEGGED_TO_BENCHMARK: Layout = (
    When(one_of("order_type", "PEG BENCH"), _BENCHMARK),
    # this spelling is known only to ib_async, the one client that reaches version 177
    When(one_of("order_type", "PEGBENCH"), _BENCHMARK, since=177),
)
CONDITIONS: Layout = (
    Repeat(
        "conditions",
        (
            *names("type conjunction"),
            Choice(
                "type",
                {
                    "1": names("is_more price con_id exchange trigger_method"),
                    "3": names("is_more time"),
                    "4": names("is_more percent"),
                    "5": names("sec_type exchange symbol"),
                    "6": names("is_more volume con_id exchange"),
                    "7": names("is_more change_percent con_id exchange"),
                },
            ),
        ),
    ),
    When(given("conditions"), names("conditions_ignore_rth=0 conditions_cancel_order=0")),
)
