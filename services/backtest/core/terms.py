"""What fills = bars assumes: checked before a run, and told with its result."""

from services.backtest.config import RunConfig
from services.backtest.core.model import PRICE_UNIT
from shared.config import ConfigError


def check_terms(config: RunConfig) -> None:
    """Raise ConfigError naming the setting that fills = bars can't honour, its value and the remedy."""
    costs, risk = config.costs, config.risk
    for name, amount in (
        ("risk.tick_size", risk.tick_size),
        ("costs.commission_per_share", costs.commission_per_share),
        ("costs.commission_minimum", costs.commission_minimum),
        ("cash", config.cash),
    ):
        if amount % PRICE_UNIT:
            raise ConfigError(f"{name} = {amount} is no multiple of {PRICE_UNIT} USD, as fills = bars needs; round it")
    if costs.slippage > risk.exit_slippage:
        raise ConfigError(
            f"costs.slippage = {costs.slippage} is more than risk.exit_slippage = {risk.exit_slippage}, so an exit's"
            " limit would not fill; lower the one or raise the other"
        )


def assumptions(config: RunConfig) -> tuple[str, ...]:
    """Every rule by which a run with fills = bars trades, one sentence each."""
    costs, risk = config.costs, config.risk
    return (
        "A signal at a bar's close is carried out at the open of that symbol's next bar; an exit outweighs an entry.",
        f"Quotes at the open are the open plus and minus half a spread of {costs.spread:%}, rounded away from it to"
        f" ticks of {risk.tick_size} USD.",
        f"An entry buys at the ask at once, at most {costs.participation:%} of the bar's volume, which includes what"
        " trades after the open; the rest is cancelled.",
        f"An exit by signal or after {risk.max_holding_days} days sells whole at the bid less {costs.slippage:%}.",
        f"A stop that the low reaches sells at the stop, or at the open where that is lower, less {costs.slippage:%}.",
        "A target that the high reaches sells at the target, or at the open where that is higher.",
        "Where one bar reaches both, the stop fills; a bar's prices before its open are unknown, so a position opened"
        " at an open can be stopped or reach its target within that bar.",
        "What is sold within a bar frees its slot from the next bar on.",
        f"An order costs {costs.commission_per_share} USD a share, at least {costs.commission_minimum} USD.",
        "Risk sizes all day with the account's value at the closes before the New York date's first bar.",
        "Orders move no price, pay no interest, and need no margin beyond risk's limits; cash may become negative.",
        "Dividends and splits count only as far as the prices are adjusted for them.",
        "What is open at the end is valued at the last close, without the cost of selling it.",
        f"Prices are rounded to {PRICE_UNIT} USD.",
    )
