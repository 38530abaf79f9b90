"""Our names of instruments as ib_async's contracts, and back."""

from collections.abc import Sequence

from ib_async.contract import Contract, ContractDetails

from services.gateway.ports import RequestRefused
from shared.instruments import Instrument, parse
from shared.types import SecurityType

SMART = "SMART"
COMBINATION = "BAG"
_ROUTED = frozenset({SecurityType.STOCK, SecurityType.OPTION})
_US_LISTINGS = frozenset({"NASDAQ", "ISLAND", "NYSE", "ARCA", "AMEX", "BATS", "IEX", "CBOE", "PINK", "ARCAEDGE"})
# It repeats the contracts of other exchanges (assumed: CME's futures are listed there a second time).
_DOUBLES = frozenset({"QBALGO"})


def wanted(symbol: str) -> Contract:
    """The contract to ask the broker for, with what its name says.

    Options and futures are asked for by IBKR's local symbol, which alone is unique: several trading classes share an
    underlying (SPX and SPXW).

    Raises:
        RequestRefused: the name has none of the forms of `shared.instruments`.
    """
    try:
        instrument = parse(symbol)
    except ValueError as error:
        raise RequestRefused(str(error)) from None
    return Contract(
        symbol="" if instrument.local_symbol else instrument.symbol,
        localSymbol=instrument.local_symbol,
        secType=instrument.security_type.value,
        currency=instrument.currency,
        exchange=_exchange(instrument),
    )


def _exchange(instrument: Instrument) -> str:
    match instrument.security_type:
        case SecurityType.STOCK | SecurityType.OPTION:
            return SMART
        case SecurityType.CURRENCY:
            return "IDEALPRO"
        case SecurityType.INDEX | SecurityType.FUTURE:
            return ""  # the broker knows where each is listed


def only(symbol: str, found: Sequence[ContractDetails]) -> ContractDetails:
    """The one contract among the broker's answers that a name means; of stocks, one that is listed in the US.

    Raises:
        RequestRefused: there is none, or there are several.
    """
    by_id: dict[int, ContractDetails] = {}
    for details in found:
        if details.contract is None:
            continue
        known = by_id.get(details.contract.conId)
        if known is None or (known.contract is not None and known.contract.exchange in _DOUBLES):
            by_id[details.contract.conId] = details
    if len(by_id) > 1 and parse(symbol).security_type is SecurityType.STOCK:
        listed = {number: one for number, one in by_id.items() if _listing(one) in _US_LISTINGS}
        by_id = listed or by_id
    if not by_id:
        raise RequestRefused("the broker knows no contract of this name; check how it is written", 200)
    if len(by_id) > 1:
        names = "; ".join(f"{number} {one.longName} at {_listing(one)}" for number, one in sorted(by_id.items()))
        raise RequestRefused(f"{len(by_id)} contracts have this name, exactly one is needed: {names}", 200)
    return next(iter(by_id.values()))


def _listing(details: ContractDetails) -> str:
    contract = details.contract
    return "" if contract is None else contract.primaryExchange.partition(".")[0] or contract.exchange


def routed(contract: Contract) -> Contract:
    """The same contract at the exchange where its orders and questions go: SMART where IBKR routes."""
    if contract.secType in _ROUTED:
        contract.exchange = SMART
    return contract


def name_of(contract: Contract) -> str:
    """Our name of a contract of the broker; a combination bears its underlying's.

    What can't be named by `shared.instruments`, such as a bond in the account, gets a name that no ticker has:
    `BOND:XS0123456789 in EUR`.
    """
    kind = contract.secType
    local = contract.localSymbol or contract.symbol
    if kind == COMBINATION:
        return contract.symbol
    if kind == SecurityType.CURRENCY:
        return f"{contract.symbol}.{contract.currency}"
    if contract.currency in ("USD", ""):
        match kind:
            case SecurityType.STOCK:
                return contract.symbol
            case SecurityType.OPTION if len(local) == 21:
                return local
            case SecurityType.INDEX:
                return f"^{contract.symbol}"
            case SecurityType.FUTURE:
                return f"/{local}"
            case _:
                pass
    return f"{kind}:{local} in {contract.currency}"
