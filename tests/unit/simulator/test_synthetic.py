"""The seeded market: what decides it, its volatility and regimes, gaps, halts, dividends and splits."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from services.simulator.adapters.prices import load_market
from services.simulator.config import Settings
from services.simulator.core.bars import DailySeries
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.corporate import ActionKind, CorporateAction
from services.simulator.core.synthetic import SyntheticTerms, synthetic_actions, synthetic_pair, synthetic_stock

DATES = [date(2000, 1, 1) + timedelta(days=number) for number in range(3000)]
PLAIN = SyntheticTerms(7, drift=0.0)


def closes(bars: DailySeries) -> np.ndarray:
    return np.array([bar.close for bar in bars.bars], dtype=float)


def test_synthetic_market_is_decided_by_seed_and_symbol() -> None:
    terms = SyntheticTerms(7, regimes=True, gaps=4, halts=2)
    made = synthetic_stock("XYZ", DATES[:300], terms)
    assert made.bars == synthetic_stock("XYZ", DATES[:300], terms).bars
    assert made.bars[:100] == synthetic_stock("XYZ", DATES[:100], terms).bars
    assert made.digest() != synthetic_stock("XYZ", DATES[:300], SyntheticTerms(8, regimes=True, gaps=4)).digest()
    assert made.bars != synthetic_stock("XYW", DATES[:300], terms).bars


def test_synthetic_market_has_the_volatility_asked_for() -> None:
    made = synthetic_stock("XYZ", DATES, PLAIN)
    prices = closes(made)
    yearly = float(np.diff(np.log(prices[prices > 500])).std()) * 252**0.5
    assert 0.27 < yearly < 0.33
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in made.bars)


def test_regimes_change_the_volatility_of_the_whole_market_together() -> None:
    terms = SyntheticTerms(7, drift=0.0, regimes=True)
    moves = [np.abs(np.diff(np.log(closes(synthetic_stock(name, DATES, terms))))) for name in ("XYZ", "ABC")]
    months = [of_stock[: 2980 // 20 * 20].reshape(-1, 20).mean(axis=1) for of_stock in moves]
    assert np.corrcoef(*months)[0, 1] > 0.7
    assert np.quantile(months[0], 0.95) > 3 * np.quantile(months[0], 0.2)
    still = np.abs(np.diff(np.log(closes(synthetic_stock("XYZ", DATES, PLAIN)))))[:2980].reshape(-1, 20).mean(axis=1)
    assert np.quantile(still, 0.95) < 2 * np.quantile(still, 0.2)


def test_gaps_come_as_often_as_asked_for() -> None:
    terms = SyntheticTerms(7, drift=0.0, volatility=0.05, gaps=12)
    bars = synthetic_stock("XYZ", DATES, terms).bars
    gaps = [abs(now.open / before.close - 1) for before, now in pairwise(bars) if before.close > 500]
    wide_gaps = sum(gap > 0.0045 for gap in gaps)  # 3 % of a volatility of 30 % are 0.5 % of one of 5 %
    assert 0.5 * 12 / 252 < wide_gaps / len(gaps) < 2 * 12 / 252


def test_halts_stop_the_tape() -> None:
    series = synthetic_stock("XYZ", DATES[:252], SyntheticTerms(7, halts=50))
    assert 30 <= len(series.halts) <= 70
    settings = Settings(
        market="synthetic", start=date(2012, 3, 1), end=date(2012, 6, 29), warmup_days=9, halts_per_year=50
    )
    made = load_market(settings, ["XYZ"])
    (listed,) = made.catalogue.listed
    tapes = [made.tape(listed.contract_id, session.day) for session in made.sessions]
    halted = [tape for tape in tapes if tape is not None and tape.halts]
    assert len(halted) > 5
    for tape in halted:
        (begins, beyond), *_ = tape.halts
        assert beyond - begins == 5
        assert tape.halted(begins)
        assert not tape.halted(beyond)
        quote = made.quote_at(tape, begins)
        assert quote.halted
        assert quote.last_size == 0
    option = made.catalogue.find(ContractQuery(symbol="XYZ", security_type="OPT"), halted[0].start)[0]
    its_tape = made.tape(option.contract_id, halted[0].day)
    assert its_tape is not None
    assert its_tape.halts == halted[0].halts


def test_actions_show_in_the_prices() -> None:
    actions = [
        CorporateAction(DATES[10], ActionKind.SPLIT, Decimal(2)),
        CorporateAction(DATES[20], ActionKind.DIVIDEND, Decimal(5)),
    ]
    quiet = SyntheticTerms(7, drift=0.0, volatility=0.001)
    prices = closes(synthetic_stock("XYZ", DATES[:30], quiet, actions)) / 100
    assert prices[10] == pytest.approx(prices[9] / 2, rel=0.001)
    assert prices[20] == pytest.approx(prices[19] - 5, rel=0.001)
    splits = [
        action
        for name in "ABCDEFGH"
        for action in synthetic_actions(name, DATES, PLAIN)
        if action.kind is ActionKind.SPLIT
    ]
    dividends = [action.day for action in synthetic_actions("A", DATES, PLAIN) if action.kind is ActionKind.DIVIDEND]
    assert 5 < len(splits) < 60
    assert len(dividends) in (0, 47, 48)


def test_pair_is_as_calm_as_pairs_are() -> None:
    prices = closes(synthetic_pair("EUR.USD", DATES, PLAIN)) * 0.00005
    assert prices[0] == pytest.approx(1.43, abs=0.05)
    assert 0.07 < float(np.diff(np.log(prices)).std()) * 252**0.5 < 0.11
