"""Chains as the market quotes them: no arbitrage at bid and ask, prices on the grid, Greeks, volume."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from math import exp

import numpy as np
import pytest

from services.simulator.adapters.prices import load_market
from services.simulator.config import Settings
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.increments import MARKET_RULES, on_grid
from services.simulator.core.instruments import Instrument
from services.simulator.core.market import Market
from services.simulator.core.tape import Tape

DAY = date(2011, 5, 2)


@cache
def market(rate: float) -> Market:
    settings = Settings(
        market="synthetic",
        start=DAY,
        end=DAY + timedelta(days=120),
        warmup_days=400,
        interest_rate=rate,
        volatility=0.4,
    )
    return load_market(settings, ["AAA", "BBB", "CCC", "SPY"])


def open_day(rate: float, offset: int) -> datetime:
    sessions = market(rate).sessions
    session = sessions[offset % len(sessions)]
    return session.open + timedelta(minutes=17 * offset % 391)


def chain(made: Market, symbol: str, now: datetime) -> dict[date, dict[str, list[tuple[Instrument, Tape]]]]:
    """The tapes of every third strike, by expiry and right, in the order of strikes."""
    found: dict[date, dict[str, list[tuple[Instrument, Tape]]]] = {}
    listed = made.catalogue.find(ContractQuery(symbol=symbol, security_type="OPT"), now)
    for option in (one for pair in range(0, len(listed), 6) for one in listed[pair : pair + 2]):
        tape = made.tape(option.contract_id, now.date())
        assert tape is not None
        assert option.expiry is not None
        found.setdefault(option.expiry, {}).setdefault(option.right, []).append((option, tape))
    return found


CHAINS = [
    (symbol, 11 * number, rate) for number, symbol in enumerate(("AAA", "BBB", "CCC", "SPY")) for rate in (0.01, 0.08)
]


@pytest.mark.parametrize(("symbol", "offset", "rate"), CHAINS)
def test_chain_offers_no_arbitrage(symbol: str, offset: int, rate: float) -> None:
    """Against the quotes as they can be traded: sold at the bid, bought at the ask, at one tick."""
    made, now = market(rate), open_day(rate, offset)
    (underlying,) = made.catalogue.find(ContractQuery(symbol=symbol, security_type="STK"))
    quote = made.quote(underlying.contract_id, now)
    assert quote is not None
    spot = float(quote.last)
    found = chain(made, symbol, now)
    assert len(found) >= 8
    for expiry, rights in found.items():
        for right, listed in rights.items():
            bid, ask, strikes = quotes(listed, now)
            assert ((bid >= 0) & (bid < ask)).all()
            if right == "P":
                bid, ask, strikes = bid[::-1], ask[::-1], -strikes[::-1]
            assert (bid[1:] <= ask[:-1]).all(), f"{expiry} {right}: not monotone"
            assert (bid[:-1] - ask[1:] <= np.diff(strikes) + 1e-9).all(), f"{expiry} {right}: a spread beyond its width"
            weight = (strikes[2:] - strikes[1:-1]) / (strikes[2:] - strikes[:-2])
            assert (weight * ask[:-2] + (1 - weight) * ask[2:] >= bid[1:-1] - 1e-9).all(), (
                f"{expiry} {right}: not convex"
            )
        years = made.options.years(rights["C"][0][0], now)
        (call_bid, call_ask, strikes), (put_bid, put_ask, _) = quotes(rights["C"], now), quotes(rights["P"], now)
        assert (call_bid - put_ask <= spot - strikes * exp(-rate * years) + 1e-9).all(), f"{expiry}: parity"
        assert (call_ask - put_bid >= spot - strikes - 1e-9).all(), f"{expiry}: parity"


def quotes(listed: list[tuple[Instrument, Tape]], now: datetime) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bids, asks and strikes in USD."""
    index = listed[0][1].index(now)
    bid = np.asarray([tape.bid[index] for _, tape in listed]) / 100
    ask = np.asarray([tape.ask[index] for _, tape in listed]) / 100
    return bid, ask, np.asarray([float(option.strike) for option, _ in listed])


@pytest.mark.parametrize(("symbol", "offset", "rate"), CHAINS)
def test_longer_options_cost_no_less(symbol: str, offset: int, rate: float) -> None:
    made, now = market(rate), open_day(rate, offset)
    by_strike: dict[tuple[Decimal, str], list[Tape]] = {}
    for rights in chain(made, symbol, now).values():
        for option, tape in (*rights["C"], *rights["P"]):
            by_strike.setdefault((option.strike, option.right), []).append(tape)
    compared = 0
    for tapes in by_strike.values():
        index = tapes[0].index(now)
        for shorter, longer in pairwise(tapes):
            assert longer.ask[index] >= shorter.bid[index]
            assert longer.ask[index] + longer.bid[index] >= shorter.ask[index] + shorter.bid[index] - 10, (
                "in the middle"
            )
            compared += 1
    assert compared > 50


@pytest.mark.parametrize(("symbol", "offset", "rate"), CHAINS[:2])
def test_quotes_are_on_the_grid_of_the_market_rule(symbol: str, offset: int, rate: float) -> None:
    made, now = market(rate), open_day(rate, offset)
    steps = set()
    for rights in chain(made, symbol, now).values():
        for option, tape in (*rights["C"], *rights["P"]):
            for units in (tape.bid, tape.ask, tape.last):
                assert all(on_grid(option.market_rule, tape.price(int(price))) for price in units[::40])
                steps.add(made.increment(option.contract_id, tape.price(int(units[0]))))
            assert (tape.last >= tape.bid).all()
            assert (tape.last <= tape.ask).all()
            assert (tape.last > 0).all()
            assert ((tape.bid_size > 0) == (tape.bid > 0)).all()
    assert steps == {step.increment for step in MARKET_RULES[110]}


def test_spread_widens_with_premium_and_distance() -> None:
    made, now = market(0.01), open_day(0.01, 0)
    rights = chain(made, "AAA", now)[min(expiry for expiry in chain(made, "AAA", now) if expiry > DAY)]
    bid, ask, strikes = quotes(rights["C"], now)
    widths = ask - bid
    assert widths[0] > widths[len(strikes) // 2] > widths[-1]


def test_option_on_its_last_day_ends_at_intrinsic_value() -> None:
    made = market(0.01)
    expiry = date(2011, 6, 17)
    session = made.session_of(expiry)
    assert session is not None
    query = ContractQuery(symbol="AAA", security_type="OPT", expiry="20110617")
    (underlying,) = made.catalogue.find(ContractQuery(symbol="AAA", security_type="STK"))
    last = made.quote(underlying.contract_id, session.close)
    assert last is not None
    for option in made.catalogue.find(query, session.open)[::5]:
        greeks = made.greeks(option.contract_id, session.close)
        intrinsic = max(Decimal(0), (last.last - option.strike) * (1 if option.right == "C" else -1))
        assert greeks is not None
        assert greeks.price == pytest.approx(float(intrinsic), abs=0.02)
        assert made.next_tape(option.contract_id, session.close) is None
        assert made.tape(option.contract_id, expiry + timedelta(days=3)) is None


def test_greeks_are_those_of_the_quoted_moment() -> None:
    made, now = market(0.01), open_day(0.01, 0)
    (_, rights), *_ = chain(made, "AAA", now).items()
    underlying = made.quote(rights["P"][0][0].underlying_id, now)
    assert underlying is not None
    option = [option for option, _ in rights["P"] if option.strike < underlying.last][-1]
    model = made.greeks(option.contract_id, now)
    assert model is not None
    quote = made.quote(option.contract_id, now)
    assert quote is not None
    assert float(quote.bid) < model.price < float(quote.ask)
    at_bid, at_ask = (made.greeks(option.contract_id, now, price) for price in (quote.bid, quote.ask))
    assert at_bid is not None
    assert at_ask is not None
    assert at_bid.volatility < model.volatility < at_ask.volatility
    assert at_ask.price == pytest.approx(float(quote.ask), abs=1e-4)


def test_volume_and_open_interest_gather_at_the_money() -> None:
    made, now = market(0.01), open_day(0.01, 0)
    rights = list(chain(made, "AAA", now).values())[2]
    volumes = [int(tape.volume[-1]) for _, tape in rights["C"]]
    interest = [made.open_interest(option.contract_id, now.date()) for option, _ in rights["C"]]
    middle = len(volumes) // 2
    assert max(volumes[middle - 3 : middle + 4]) > 4 * max(volumes[0], volumes[-1])
    assert sum(interest) > 2 * sum(volumes)
