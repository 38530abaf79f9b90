"""Refusals that come from what somebody has set in TWS or IB Gateway, not from the market or the account.

Sources: as in `order_codes`. Assumed: the program holds its settings against a preview as against an order.
"""

PRESET_CODES = frozenset({109, 163, 164, 382, 383, 451, 10311, 10329, 10335})
"""Limits on price, size and value; orders that name an exchange; presets that can't be applied."""


def advice(code: int) -> str:
    """What to do about a preview that was refused with this code; 0 = there was no error, and no use in the answer."""
    if code in PRESET_CODES:
        return (
            "TWS or IB Gateway refuses orders like it by its own settings: change them in Global Configuration, under"
            " API, Precautions, and under Presets"
        )
    return (
        "orders may fare the same: look whether TWS or IB Gateway shows a window that waits for an answer, and set"
        " preset_probe_quantity to a size that you trade (0 = no preview)"
    )
