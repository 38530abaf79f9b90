"""One name for each instrument, as messages, tables and people use it.

| instrument | name | example |
|---|---|---|
| US stock or ETF | ticker | `AAPL` |
| US option | OCC symbol: ticker in six places, yymmdd, C or P, strike x 1000 in eight | `AAPL  261218C00200000` |
| index | `^` and the symbol | `^SPX` |
| future | `/` and IBKR's local symbol | `/ESZ6` |
| currency pair | base, a point, quote currency | `EUR.USD` |

The OCC symbol is also IBKR's local symbol of an option (https://www.theocc.com, "Options Symbology Initiative").
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from shared.types import Right, SecurityType

_OPTION = re.compile(r"(?P<root>[A-Z0-9. ]{6})(?P<expiry>\d{6})(?P<right>[CP])(?P<strike>\d{8})")
_CURRENCY = re.compile(r"[A-Z]{3}\.[A-Z]{3}")
_STRIKE_UNIT = Decimal(1000)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a name says. `symbol` is IBKR's: the underlying's of an option, the base currency of a pair.

    `expiry`, `strike` (USD per share) and `right` are an option's; a future is named by `local_symbol` alone.
    """

    security_type: SecurityType
    symbol: str
    expiry: date | None = None
    strike: Decimal | None = None
    right: Right | None = None
    local_symbol: str = ""
    currency: str = "USD"

    @property
    def name(self) -> str:
        match self.security_type:
            case SecurityType.OPTION:
                return self.local_symbol
            case SecurityType.INDEX:
                return f"^{self.symbol}"
            case SecurityType.FUTURE:
                return f"/{self.local_symbol}"
            case SecurityType.CURRENCY:
                return f"{self.symbol}.{self.currency}"
            case SecurityType.STOCK:
                return self.symbol


def option(underlying: str, expiry: date, right: Right, strike: Decimal) -> Instrument:
    """An option by its terms.

    Raises:
        ValueError: the strike has more than three decimals or is not in (0, 100,000), or the ticker is too long.
    """
    thousandths = strike * _STRIKE_UNIT
    if thousandths != int(thousandths) or not 0 < thousandths < 10**8:
        raise ValueError(f"strike = {strike} is not allowed: above 0, below 100000, at most three decimals")
    if not 0 < len(underlying) <= 6:
        raise ValueError(f"underlying = {underlying!r} is not allowed: one to six characters")
    name = f"{underlying:<6}{expiry:%y%m%d}{right.value}{int(thousandths):08d}"
    return Instrument(SecurityType.OPTION, underlying, expiry, strike, right, name)


def parse(name: str) -> Instrument:
    """The instrument of a name.

    Raises:
        ValueError: the name is none of the five forms above; the text says what is wrong.
    """
    if name.startswith("^") and len(name) > 1:
        return Instrument(SecurityType.INDEX, name[1:])
    if name.startswith("/") and len(name) > 1:
        return Instrument(SecurityType.FUTURE, "", local_symbol=name[1:])
    if (found := _OPTION.fullmatch(name)) is not None:
        try:
            expiry = datetime.strptime(found["expiry"], "%y%m%d").date()  # noqa: DTZ007 - a date has no zone
        except ValueError:
            raise ValueError(f"symbol {name!r}: {found['expiry']} is no date; write yymmdd") from None
        return option(found["root"].rstrip(), expiry, Right(found["right"]), Decimal(found["strike"]) / _STRIKE_UNIT)
    if _CURRENCY.fullmatch(name):
        return Instrument(SecurityType.CURRENCY, name[:3], currency=name[4:])
    if not re.fullmatch(r"[A-Z][A-Z0-9. ]{0,11}", name):
        raise ValueError(f"symbol {name!r} is no ticker, OCC option symbol, ^INDEX, /FUTURE or BASE.QUOTE pair")
    return Instrument(SecurityType.STOCK, name)
