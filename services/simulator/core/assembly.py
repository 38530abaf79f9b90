"""Puts a market together from what is listed and its prices."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from services.simulator.core.bars import DailyBar, DailySeries, Series
from services.simulator.core.catalogue import Catalogue, stock
from services.simulator.core.chains import Chains, PriceRange
from services.simulator.core.corporate import CorporateAction
from services.simulator.core.futures import Futures
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.market import Market
from services.simulator.core.quotes import MarketTerms
from services.simulator.core.tape import Session


def make_market(
    sessions: Sequence[Session],
    listed: Mapping[Instrument, Series],
    start: date,
    end: date,
    terms: MarketTerms,
    future_roots: Sequence[str] = (),
    options: bool = True,
    actions: Mapping[int, Sequence[CorporateAction]] | None = None,
) -> Market:
    """Return the market of stocks, indices and pairs `listed` with their prices, and of what is derived from them.

    Raises ValueError naming the setting if dates, contract ids or option chains do not work out.
    """
    first = sessions[0].day
    indices = {found.symbol: found.contract_id for found in listed if found.security_type is SecurityType.INDEX}
    stocks = [found for found in listed if found.security_type is SecurityType.STOCK] if options else []
    series = {instrument.contract_id: prices for instrument, prices in listed.items()}
    units = {instrument.contract_id: instrument.unit for instrument in listed}
    catalogue = Catalogue(
        listed, Futures(future_roots, indices, first, end), Chains(stocks, first, end, price_range(series, units))
    )
    return Market(sessions, catalogue, series, start, end, terms, actions)


def stock_market(
    sessions: Sequence[Session],
    bars: Mapping[str, Sequence[DailyBar]],
    start: date,
    end: date,
    terms: MarketTerms | None = None,
) -> Market:
    """Return a market of stocks alone, with daily bars in cents by symbol, and options on them."""
    days = {session.day for session in sessions}
    listed = {
        stock(symbol): DailySeries(symbol, [bar for bar in of_symbol if bar.day in days])
        for symbol, of_symbol in bars.items()
    }
    return make_market(sessions, listed, start, end, terms or MarketTerms())


def price_range(series: Mapping[int, Series], units: Mapping[int, Decimal]) -> PriceRange:
    """Return what tells option chains how far a stock has moved. Before its first day has ended its open counts."""

    def between(contract_id: int, first: date, beyond: date) -> tuple[Decimal, Decimal] | None:
        of_contract, unit = series[contract_id], units[contract_id]
        days = of_contract.days
        found = [of_contract.bar(day) for day in days[bisect_left(days, first) : bisect_left(days, beyond)]]
        bars = [bar for bar in found if bar is not None]
        if bars:
            return min(bar.low for bar in bars) * unit, max(bar.high for bar in bars) * unit
        opening = of_contract.bar(beyond)
        return None if opening is None else (opening.open * unit, opening.open * unit)

    return between
