"""The fields of placeOrder that nothing here interprets: checked, brought into one form, and kept for openOrder.

A real gateway repeats what an order was sent with, and clients read what it repeats by type, one of them without
mercy: a text where it expects a whole number ends its reader. So every kept field has a kind.
"""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from services.simulator.wire.layout import UNSET_INTEGER, Row

LARGEST_DOUBLE = Decimal("1.79e308")
"""Clients write their largest double, in one spelling or another, for "not set"."""
_LARGEST_INTEGER = 1 << 63


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FLAGS = _words(
    "block_order sweep_to_fill hidden all_or_none electronic_trade_only firm_quote_only opt_out_smart_routing "
    "not_held solicited randomize_size randomize_price delta_neutral_short_sale scale_auto_reset "
    "scale_random_percent conditions_ignore_rth conditions_cancel_order is_more pegged_change_amount_decrease "
    "no_auto_price_for_hedge oms_container use_price_management_algo auto_cancel_parent "
    "discretionary_up_to_limit_price delta_neutral_contract"
)
_INTEGERS = _words(
    "origin trigger_method display_size short_sale_slot exempt_code auction_strategy min_quantity volatility_type "
    "reference_price_type continuous_update delta_neutral_con_id delta_neutral_short_sale_slot scale_init_level_size "
    "scale_subs_level_size scale_price_adjust_interval scale_init_position scale_init_fill_quantity duration "
    "post_to_ats min_trade_quantity min_compete_size con_id ratio reference_con_id adjustable_trailing_unit "
    "delta_neutral_contract_con_id combo_legs.open_close volume conditions.type"
)
_NUMBERS = _words(
    "discretionary_amount percent_offset nbbo_price_cap starting_price stock_ref_price delta stock_range_lower "
    "stock_range_upper volatility delta_neutral_aux_price trailing_percent scale_price_increment "
    "scale_price_adjust_value scale_profit_offset pegged_change_amount reference_change_amount trigger_price "
    "limit_price_offset adjusted_stop_price adjusted_stop_limit_price adjusted_trailing_amount cash_quantity "
    "compete_against_best_offset mid_offset_at_whole mid_offset_at_half price percent change_percent "
    "delta_neutral_contract_delta delta_neutral_contract_price"
)
_TEXTS = _words(
    "open_close good_after_time good_till_date fa_group fa_method fa_percentage fa_profile model_code rule_80a "
    "settling_firm designated_location delta_neutral_order_type delta_neutral_settling_firm "
    "delta_neutral_clearing_account delta_neutral_clearing_intent delta_neutral_open_close "
    "delta_neutral_designated_location hedge_type hedge_param clearing_account clearing_intent algo_strategy "
    "adjusted_order_type soft_dollar_tier_name soft_dollar_tier_value reference_exchange"
)
_ROWS = _words("combo_legs order_combo_legs smart_combo_routing_params algo_params conditions")
_KEPT = _FLAGS | _INTEGERS | _NUMBERS | _TEXTS | _ROWS
_NEVER_KEPT = _words("con_id price volume ratio is_more percent change_percent")
"""Kinds of fields in rows; at the top of the message these names are others' or nobody's."""


def kept_fields(row: Row) -> tuple[tuple[str, str], ...]:
    """Return the fields of placeOrder to repeat in openOrder, by name; rows as JSON. Unset ones are left out.

    Raises ValueError naming a field whose text is not of its kind.
    """
    kept: list[tuple[str, str]] = []
    for name, value in row.items():
        if name not in _KEPT or name in _NEVER_KEPT:
            continue
        if isinstance(value, list):
            rows = [_kept_row(name, item) for item in value]
            text = json.dumps(rows, separators=(",", ":")) if rows else ""
        else:
            text = _in_one_form(name, name, value)
        if text:
            kept.append((name, text))
    return tuple(kept)


def repeated(kept: tuple[tuple[str, str], ...]) -> dict[str, str | list[dict[str, str]]]:
    """Return kept fields as values of a message."""
    return {name: json.loads(text) if name in _ROWS else text for name, text in kept}


def _kept_row(rows: str, item: Mapping[str, object]) -> dict[str, str]:
    return {name: _in_one_form(name, f"{rows}.{name}", str(value)) for name, value in item.items()}


def _in_one_form(name: str, path: str, value: str) -> str:
    if not value:
        return ""
    if name in _INTEGERS or path in _INTEGERS:
        return _integer(path, value)
    if name in _FLAGS:
        return flag(path, value)
    if name in _NUMBERS:
        return _number(path, value)
    return value


def flag(name: str, value: str) -> str:
    """Return 1 or 0; numpy's bools arrive as words."""
    found = {"1": "1", "True": "1", "0": "0", "False": "0"}.get(value)
    if found is None:
        raise ValueError(f"{name}: {value[:40]!r} is neither 0 nor 1")
    return found


def _integer(name: str, value: str) -> str:
    try:
        found = int(value)
    except ValueError:
        raise ValueError(f"{name}: {value[:40]!r} is not a whole number") from None
    if abs(found) > _LARGEST_INTEGER:
        raise ValueError(f"{name}: {value[:40]!r} is too large")
    return "" if value == UNSET_INTEGER else str(found)


def _number(name: str, value: str) -> str:
    if name == "compete_against_best_offset" and value.startswith("Infinit"):
        return "Infinity"
    found = decimal(name, value)
    return "" if found is None else value


def decimal(name: str, value: str) -> Decimal | None:
    """Return a number, None for empty text and TWS's "unset". Raises ValueError for anything else."""
    if not value:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{name}: {value[:40]!r} is not a number")
    return None if number >= LARGEST_DOUBLE else number
