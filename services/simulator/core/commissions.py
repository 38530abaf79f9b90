"""What IBKR charges for trades: the published schedule of IBKR Pro for the USA, in USD.

Source: Interactive Brokers, "Commissions" (interactivebrokers.com, pricing pages, as of 2024), lowest volume tier:
- Stocks, fixed: 0.005 per share, at least 1.00 per order, at most 1 % of the trade value. Exchange and clearing fees
  are included. Tiered: 0.0035 per share, at least 0.35 per order, at most 1 %; the exchange, clearing and pass-through
  fees that come on top there are not simulated.
- Options: per contract 0.65, for a premium below 0.10 only 0.50, below 0.05 only 0.25; at least 1.00 per order.
- Futures: 0.85 per contract, plus 1.40 per contract as exchange and regulatory fees (those of the CME E-mini S&P 500,
  taken for all).
- Currencies: 0.2 basis points of the trade value, at least 2.00 per order.
Regulatory fees on sales, off by default, are those of 2024: SEC section 31, 27.80 per million USD of stocks and
options; FINRA trading activity fee, 0.000166 per share (at most 8.30 per order) and 0.00279 per option contract.

Assumptions: an order's total is rounded to the cent, which IBKR does not do; the tier of an option is that of the
order's average premium so far. Minimum and maximum apply once per order, so a further partial fill costs the
increment, as at IBKR; each leg of a combination counts as an order of its own.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from services.simulator.core.account import ZERO, to_cents
from services.simulator.core.instruments import Instrument, SecurityType

_TIERED_PER_SHARE = Decimal("0.0035")
_TIERED_MINIMUM = Decimal("0.35")
_OPTION_TIERS = ((Decimal("0.05"), Decimal("0.25")), (Decimal("0.10"), Decimal("0.50")))
_OPTION_RATE = Decimal("0.65")
_OPTION_MINIMUM = Decimal("1.00")
_FUTURE_RATE = Decimal("0.85") + Decimal("1.40")
_CURRENCY_FRACTION = Decimal("0.00002")
_CURRENCY_MINIMUM = Decimal("2.00")
_SEC_FRACTION = Decimal("0.0000278")
_ACTIVITY_PER_SHARE = Decimal("0.000166")
_ACTIVITY_MAXIMUM = Decimal("8.30")
_ACTIVITY_PER_CONTRACT = Decimal("0.00279")


@dataclass(frozen=True, slots=True)
class Commissions:
    """The schedule. The three numbers are of stocks on the fixed plan: USD per share, USD per order, of the value."""

    per_share: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal("1.00")
    maximum_fraction: Decimal = Decimal("0.01")
    plan: Literal["fixed", "tiered"] = "fixed"
    regulatory_fees: bool = False

    def of_fills(self, instrument: Instrument, action: str, quantity: Decimal, value: Decimal) -> Decimal:
        """Return the commission of an order's fills so far, all of one instrument.

        `quantity` is positive; `value` is the sum of quantity times price, without the multiplier.
        """
        if not quantity:
            return ZERO
        amount = value * instrument.multiplier
        charge = self._charge(instrument, quantity, value)
        if self.regulatory_fees and action == "SELL":
            charge += _fees_of_sale(instrument, quantity, amount)
        return to_cents(charge)

    def increment(
        self, instrument: Instrument, action: str, quantity: Decimal, value: Decimal, charged: Decimal
    ) -> Decimal:
        """Return what the last of an order's fills costs, after `charged` for those before: never negative."""
        return max(ZERO, self.of_fills(instrument, action, quantity, value) - charged)

    def _charge(self, instrument: Instrument, quantity: Decimal, value: Decimal) -> Decimal:
        match instrument.security_type:
            case SecurityType.OPTION:
                return max(quantity * _option_rate(value / quantity), _OPTION_MINIMUM)
            case SecurityType.FUTURE:
                return quantity * _FUTURE_RATE
            case SecurityType.CURRENCY:
                return max(value * _CURRENCY_FRACTION, _CURRENCY_MINIMUM)
            case _:
                tiered = self.plan == "tiered"
                per_share, minimum = (_TIERED_PER_SHARE, _TIERED_MINIMUM) if tiered else (self.per_share, self.minimum)
                return min(max(per_share * quantity, minimum), self.maximum_fraction * value)


def _option_rate(premium: Decimal) -> Decimal:
    return next((rate for below, rate in _OPTION_TIERS if premium < below), _OPTION_RATE)


def _fees_of_sale(instrument: Instrument, quantity: Decimal, amount: Decimal) -> Decimal:
    if instrument.security_type is SecurityType.STOCK:
        return amount * _SEC_FRACTION + min(quantity * _ACTIVITY_PER_SHARE, _ACTIVITY_MAXIMUM)
    if instrument.security_type is SecurityType.OPTION:
        return amount * _SEC_FRACTION + quantity * _ACTIVITY_PER_CONTRACT
    return ZERO
