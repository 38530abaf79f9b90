"""Futures, indices and currency pairs: when they trade, and at which prices."""

from datetime import UTC, date, datetime
from math import exp

import numpy as np
import pytest

from services.simulator.adapters.prices import load_market
from services.simulator.config import Settings
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.instruments import Instrument
from services.simulator.core.market import Market


@pytest.fixture(scope="module")
def wide() -> Market:
    settings = Settings(
        market="synthetic", start=date(2012, 3, 1), end=date(2012, 6, 29), warmup_days=60,
        indices=("VIX",), futures=("ES",), currencies=("EUR.USD",), interest_rate=0.05,
    )  # fmt: skip
    return load_market(settings, ["AAA"])


def found(made: Market, **query: str) -> Instrument:
    (one,) = made.catalogue.find(ContractQuery(**query))  # type: ignore[arg-type]
    return one


def test_future_trades_from_evening_to_evening_at_its_carry(wide: Market) -> None:
    future = found(wide, local_symbol="ESM2", security_type="FUT")
    day = date(2012, 3, 7)
    tape, index = wide.tape(future.contract_id, day), wide.tape(future.underlying_id, day)
    assert tape is not None
    assert index is not None
    assert (tape.start, tape.end) == (datetime(2012, 3, 6, 23, tzinfo=UTC), datetime(2012, 3, 7, 22, tzinfo=UTC))
    assert tape.regular == (0, len(tape) - 1)
    assert not tape.auctions
    spot, years = int(index.last[0]) / 100, 100 / 365
    price = int(tape.last[tape.index(index.start)]) * 0.25
    assert price == pytest.approx(spot * exp(0.05 * years), abs=0.13)
    before = wide.previous_close(future.underlying_id, day)
    assert before is not None
    assert int(tape.last[0]) * 0.25 == pytest.approx(float(before) * exp(0.05 * years), abs=0.2)
    assert ((tape.ask - tape.bid) == 2).all()
    assert (np.diff(tape.volume) >= 0).all()
    assert wide.tape_at(future.contract_id, datetime(2012, 3, 7, 3, tzinfo=UTC)) is tape
    assert wide.tape_at(future.contract_id, datetime(2012, 3, 7, 22, 30, tzinfo=UTC)) is None


def test_future_expires_at_the_open_of_its_third_friday(wide: Market) -> None:
    future = found(wide, local_symbol="ESH2", security_type="FUT")
    last = wide.tape(future.contract_id, date(2012, 3, 16))
    index = wide.tape(future.underlying_id, date(2012, 3, 16))
    assert last is not None
    assert index is not None
    assert last.end == index.start == datetime(2012, 3, 16, 13, 30, tzinfo=UTC)
    assert int(last.last[-1]) * 0.25 == pytest.approx(int(index.last[0]) / 100, abs=0.13), "without any carry"
    assert wide.next_tape(future.contract_id, last.end) is None
    assert wide.latest(future.contract_id, datetime(2012, 5, 1, tzinfo=UTC)) == (last, len(last) - 1)


def test_index_has_prices_but_no_book(wide: Market) -> None:
    index = found(wide, symbol="SPX", security_type="IND")
    tape = wide.tape(index.contract_id, date(2012, 3, 7))
    assert tape is not None
    assert (tape.bid == tape.last).all()
    assert wide.ladder(tape, 5) == ([], [])


def test_pair_trades_around_the_clock(wide: Market) -> None:
    euro = found(wide, symbol="EUR", security_type="CASH")
    tape = wide.tape(euro.contract_id, date(2012, 3, 7))
    assert tape is not None
    assert (tape.start, tape.end) == (datetime(2012, 3, 6, 22, tzinfo=UTC), datetime(2012, 3, 7, 22, tzinfo=UTC))
    assert (tape.ask - tape.bid == 2).all()
    assert (tape.bid_size % 100_000 == 0).all()
    assert wide.tape(euro.contract_id, date(2012, 4, 6)) is not None, "Good Friday is no holiday there"
    assert wide.tape_at(euro.contract_id, datetime(2012, 3, 10, 12, tzinfo=UTC)) is None, "but Saturday is"
    sunday = wide.next_tape(euro.contract_id, datetime(2012, 3, 10, 12, tzinfo=UTC))
    assert sunday is not None
    assert (sunday.day, sunday.start) == (date(2012, 3, 12), datetime(2012, 3, 11, 21, tzinfo=UTC)), "daylight saving"
    assert len(wide.traded_hours()) == 3
