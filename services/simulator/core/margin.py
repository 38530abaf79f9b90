"""Margin of a set of positions: Regulation T and the strategy-based option rules, as IBKR applies them, in USD.

A requirement is compared with EquityWithLoanValue, which leaves options out: a long option is paid for in cash and has
no loan value, so it needs no margin; what was received for a short one is in cash, so its whole value is required.

- Stock, long: initial 50 % (Regulation T, 12 CFR 220.12), maintenance 25 % (FINRA rule 4210(c)).
- Stock, short: initial 50 % beside the proceeds; maintenance 30 %, at least 5 USD per share, and below a price of
  5 USD 100 %, at least 2.50 USD per share (4210(c)); initial is never less than maintenance.
- Short option: its value plus the greater of 20 % of the underlying (15 % for an index) less what the option is out of
  the money, and 10 % of the underlying (call) or of the strike (put) (4210(f)(2)(E); IBKR, "US options margin").
- Short option against a long one of the same underlying and right that expires no sooner: the most that the pair can
  lose at expiry, if that is less than the above (4210(f)(2)(H)).
- Short call against 100 long shares, or short put against 100 short ones: what it is in the money, beside the shares'
  margin; the shares are worth no more than the strike (4210(f)(2)(F)).
- Short put and short call, both uncovered, of one underlying: the greater of the two plus the other's value
  (4210(f)(2)(G)). Put and call spreads of one expiry whose short strikes do not overlap: the greater side, since only
  one of them can lose (4210(f)(2)(H), iron condor).
- Future: 10 % of the contract's value, maintenance 9 %. A simplification: exchanges set an amount per contract by
  SPAN; 10 % is somewhat more than they have asked for in stock index futures in quiet years.
- Currency pair: 2 % of the value for the ten major currencies, else 5 % (NFA Financial Requirements, section 12).

Pairs are made greedily, the same way every time, and are not always the best possible, which IBKR does not promise
either: shares cover first, then each short option, the one nearest to the money's far side first (calls by lowest
strike, puts by highest), takes the long one that leaves least to lose, and of equal ones the least valuable. Where
spreads of calls, of puts or of both need more than none would (a strangle may), there are none.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from services.simulator.core.account import ZERO, to_cents
from services.simulator.core.instruments import Instrument, SecurityType

Lookup: TypeAlias = Callable[[int], Instrument]
PriceOf: TypeAlias = Callable[[int], Decimal | None]
"""The mark price by contract id; None if there has been none, which counts as 0."""

REG_T_INITIAL = Decimal("0.5")
_LONG_MAINTENANCE = Decimal("0.25")
_SHORT_MAINTENANCE = Decimal("0.3")
_SHORT_PER_SHARE = Decimal(5)
_CHEAP_SHORT_PER_SHARE = Decimal("2.5")
_CHEAP = Decimal(5)
_OPTION_FRACTION = Decimal("0.2")
_INDEX_OPTION_FRACTION = Decimal("0.15")
_OPTION_MINIMUM = Decimal("0.1")
_SPREAD_RIGHTS = ("CP", "C", "P", "")
_FUTURE_INITIAL = Decimal("0.1")
_FUTURE_MAINTENANCE = Decimal("0.09")
_MAJORS = frozenset({"AUD", "GBP", "CAD", "DKK", "EUR", "JPY", "NZD", "NOK", "SEK", "CHF"})
_MAJOR_FRACTION = Decimal("0.02")
_MINOR_FRACTION = Decimal("0.05")


class Requirement(NamedTuple):
    """Margin in USD, to the cent."""

    initial: Decimal
    maintenance: Decimal


@dataclass(slots=True)
class _Lot:
    """Option contracts that are not paired yet; `count` is positive, long or short."""

    instrument: Instrument
    count: Decimal


@dataclass(slots=True)
class _Underlying:
    """All positions in options of one underlying, and its shares."""

    price: Decimal
    fraction: Decimal
    shares: Decimal
    longs: list[_Lot]
    shorts: list[_Lot]


def requirement(positions: Mapping[int, Decimal], instrument: Lookup, price: PriceOf) -> Requirement:
    """Return the margin of signed quantities by contract id."""
    initial = maintenance = ZERO
    options: dict[int, list[_Lot]] = defaultdict(list)
    for contract_id, quantity in positions.items():
        if not quantity:
            continue
        held = instrument(contract_id)
        if held.security_type is SecurityType.OPTION:
            options[held.underlying_id].append(_Lot(held, quantity))
            continue
        first, then = _of_linear(held, quantity, price(contract_id) or ZERO)
        initial += first
        maintenance += then
    for underlying_id, lots in options.items():
        if any(lot.count < 0 for lot in lots):
            shares = positions.get(underlying_id, ZERO)
            underlying = instrument(underlying_id)
            needed = min(
                _of_options(_underlying(underlying, lots, shares, price), price, spread_rights=spread_rights)
                for spread_rights in _SPREAD_RIGHTS
            )
            initial += needed
            maintenance += needed
    return Requirement(to_cents(initial), to_cents(maintenance))


def _of_linear(held: Instrument, quantity: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
    """Return initial and maintenance margin of anything but an option."""
    size = abs(quantity)
    amount = size * price * held.multiplier
    match held.security_type:
        case SecurityType.FUTURE:
            return amount * _FUTURE_INITIAL, amount * _FUTURE_MAINTENANCE
        case SecurityType.CURRENCY:
            needed = amount * (_MAJOR_FRACTION if held.symbol in _MAJORS else _MINOR_FRACTION)
            return needed, needed
        case _:
            if quantity > 0:
                return amount * REG_T_INITIAL, amount * _LONG_MAINTENANCE
            cheap = price < _CHEAP
            fraction, floor = (Decimal(1), _CHEAP_SHORT_PER_SHARE) if cheap else (_SHORT_MAINTENANCE, _SHORT_PER_SHARE)
            maintenance = max(amount * fraction, size * floor)
            return max(amount * REG_T_INITIAL, maintenance), maintenance


def _underlying(held: Instrument, lots: list[_Lot], shares: Decimal, price: PriceOf) -> _Underlying:
    is_index = held.security_type is SecurityType.INDEX
    ordered = sorted(lots, key=lambda lot: _far_side(lot.instrument))
    return _Underlying(
        price=price(held.contract_id) or ZERO,
        fraction=_INDEX_OPTION_FRACTION if is_index else _OPTION_FRACTION,
        shares=shares,
        longs=[_Lot(lot.instrument, lot.count) for lot in ordered if lot.count > 0],
        shorts=[_Lot(lot.instrument, -lot.count) for lot in ordered if lot.count < 0],
    )


def _far_side(option: Instrument) -> tuple[str, Decimal, int]:
    """Sort key: calls by lowest strike, puts by highest."""
    return option.right, option.strike if option.right == "C" else -option.strike, option.contract_id


def _of_options(group: _Underlying, price: PriceOf, *, spread_rights: str) -> Decimal:
    covered = sum((_cover_with_shares(group, short) for short in group.shorts), ZERO)
    naked: dict[str, list[tuple[_Lot, Decimal]]] = {"C": [], "P": []}
    spreads: dict[object, dict[str, tuple[Decimal, Decimal]]] = defaultdict(dict)
    for short in group.shorts:
        alone = _naked(short.instrument, group, price(short.instrument.contract_id) or ZERO)
        if short.instrument.right in spread_rights:
            _pair(short, group.longs, alone, spreads)
        if short.count:
            naked[short.instrument.right].append((short, alone))
    return covered + _of_spreads(spreads) + _of_naked(naked["C"], naked["P"], price)


def _cover_with_shares(group: _Underlying, short: _Lot) -> Decimal:
    """Take the short options that shares cover out of the lot and return their margin."""
    option = short.instrument
    direction = 1 if option.right == "C" else -1
    free = group.shares * direction
    if free < option.multiplier:
        return ZERO
    covered = min(short.count, free // option.multiplier)
    short.count -= covered
    group.shares -= covered * option.multiplier * direction
    in_the_money = max(ZERO, (group.price - option.strike) * direction)
    return covered * option.multiplier * in_the_money


def _naked(option: Instrument, group: _Underlying, price: Decimal) -> Decimal:
    """Return the margin of one short contract that nothing covers."""
    call = option.right == "C"
    out_of_the_money = max(ZERO, option.strike - group.price if call else group.price - option.strike)
    least = _OPTION_MINIMUM * (group.price if call else option.strike)
    return (price + max(group.fraction * group.price - out_of_the_money, least)) * option.multiplier


def _pair(
    short: _Lot, longs: list[_Lot], alone: Decimal, spreads: dict[object, dict[str, tuple[Decimal, Decimal]]]
) -> None:
    """Pair as much of a short lot with long ones as makes it cheaper, and note what the pairs can lose by expiry."""
    option = short.instrument
    direction = 1 if option.right == "C" else -1

    def loss(long: _Lot) -> Decimal:
        return max(ZERO, (long.instrument.strike - option.strike) * direction) * option.multiplier

    usable = [long for long in longs if long.instrument.right == option.right and _lasts(long.instrument, option)]
    for long in sorted(usable, key=lambda lot: (loss(lot), -lot.instrument.strike * direction)):
        if not short.count or loss(long) >= alone:
            return
        count = min(short.count, long.count)
        short.count -= count
        long.count -= count
        before, nearest = spreads[option.expiry].get(option.right, (ZERO, option.strike))
        nearest = min(nearest, option.strike) if option.right == "C" else max(nearest, option.strike)
        spreads[option.expiry][option.right] = before + count * loss(long), nearest


def _lasts(long: Instrument, short: Instrument) -> bool:
    """Return whether a long option is good for a short one until that one expires."""
    same = long.multiplier == short.multiplier
    return same and long.expiry is not None and short.expiry is not None and long.expiry >= short.expiry


def _of_spreads(spreads: Mapping[object, Mapping[str, tuple[Decimal, Decimal]]]) -> Decimal:
    total = ZERO
    for sides in spreads.values():
        calls, puts = sides.get("C"), sides.get("P")
        if calls and puts and puts[1] <= calls[1]:
            total += max(calls[0], puts[0])
        else:
            total += sum((side[0] for side in sides.values()), ZERO)
    return total


def _of_naked(calls: list[tuple[_Lot, Decimal]], puts: list[tuple[_Lot, Decimal]], price: PriceOf) -> Decimal:
    """Pair uncovered calls with uncovered puts: the greater margin and the other's value."""
    total = ZERO
    calls, puts = list(calls), list(puts)
    while calls or puts:
        if not (calls and puts):
            lot, alone = (calls or puts).pop(0)
            total += lot.count * alone
            continue
        (call, of_call), (put, of_put) = calls[0], puts[0]
        lesser = put if of_call >= of_put else call
        count = min(call.count, put.count)
        value = (price(lesser.instrument.contract_id) or ZERO) * lesser.instrument.multiplier
        total += count * (max(of_call, of_put) + value)
        for lots, lot in ((calls, call), (puts, put)):
            lot.count -= count
            if not lot.count:
                lots.pop(0)
    return total
