"""What the broker knows of instruments, and what is listed on them."""

from datetime import date, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from services.gateway.ports import RequestRefused
from services.simulator.core.increments import MARKET_RULES
from shared.types import SecurityType
from tests.broker_port.stage import Desk, Stage
from tests.conformance.market import CLOSE, OPEN

KINDS = {
    "AAPL": SecurityType.STOCK,
    "SPY": SecurityType.STOCK,
    "option": SecurityType.OPTION,
    "^SPX": SecurityType.INDEX,
    "/ESM4": SecurityType.FUTURE,
    "EUR.USD": SecurityType.CURRENCY,
}


def named(stage: Stage, symbol: str) -> str:
    return stage.option() if symbol == "option" else symbol


@pytest.mark.parametrize("symbol", KINDS)
async def test_contract(stage: Stage, symbol: str) -> None:
    name = named(stage, symbol)
    facts, listed = await stage.broker.requests.contract(name), stage.listed(name)
    assert (facts.symbol, facts.contract_id, facts.security_type) == (name, listed.contract_id, KINDS[symbol])
    assert (facts.currency, facts.multiplier) == ("USD", listed.multiplier)
    assert facts.long_name == listed.long_name
    assert facts.exchange == listed.exchange


@pytest.mark.parametrize("symbol", KINDS)
async def test_price_increments(stage: Stage, symbol: str) -> None:
    name = named(stage, symbol)
    facts, listed = await stage.broker.requests.contract(name), stage.listed(name)
    rule = [(step.low_edge, step.increment) for step in MARKET_RULES[listed.market_rule]]
    assert [(one.from_price, one.increment) for one in facts.increments] == rule


async def test_option_names_its_underlying(stage: Stage) -> None:
    assert (await stage.broker.requests.contract(stage.option())).underlying == "AAPL"
    assert (await stage.broker.requests.contract("AAPL")).underlying is None


async def test_stock_has_a_primary_exchange(desk: Desk) -> None:
    facts = await desk.broker.requests.contract("AAPL")
    assert (facts.primary_exchange, facts.exchange) == ("NASDAQ", "SMART")
    assert facts.increments[0].increment == Decimal("0.01")


async def test_hours_are_of_the_coming_days(stage: Stage) -> None:
    facts = await stage.broker.requests.contract("AAPL")
    assert (OPEN, CLOSE) in facts.liquid_hours
    assert (OPEN + timedelta(days=1), CLOSE + timedelta(days=1)) in facts.liquid_hours
    assert all(start < end for start, end in facts.trading_hours)
    assert ZoneInfo(facts.time_zone).key in ("America/New_York", "US/Eastern")


async def test_hours_are_asked_for_anew_on_each_date_of_new_york(stage: Stage) -> None:
    for hours, listed in ((12, True), (16, False)):  # 21:30 and 01:30: one date in UTC
        stage.advance(OPEN + timedelta(hours=hours))
        await stage.settle()
        facts = await stage.broker.requests.contract("AAPL")
        assert ((OPEN, CLOSE) in facts.liquid_hours) is listed


async def test_order_types_and_sizes(stage: Stage) -> None:
    facts = await stage.broker.requests.contract("AAPL")
    assert {"LMT", "MKT", "STP"} <= set(facts.order_types)
    assert (facts.minimum_size, facts.size_increment) == (1, 1)


@pytest.mark.parametrize("symbol", ["NOSUCH", "^NOSUCH", "/NOZ9", "XXX.USD", "AAPL  240621C00000500"])
async def test_name_that_fits_nothing(desk: Desk, symbol: str) -> None:
    with pytest.raises(RequestRefused):
        await desk.broker.requests.contract(symbol)


async def test_option_that_has_expired(stage: Stage) -> None:
    with pytest.raises(RequestRefused):
        await stage.broker.requests.contract(stage.option(expiry="240531"))


async def test_asked_twice_it_says_the_same(desk: Desk) -> None:
    assert await desk.broker.requests.contract("AAPL") == await desk.broker.requests.contract("AAPL")


async def test_option_chain(stage: Stage) -> None:
    chain = await stage.broker.requests.option_chain("AAPL")
    smart = next(
        one
        for one in stage.simulator.engine.market.catalogue.chain(stage.listed("AAPL").contract_id, stage.now)
        if one.exchange == "SMART"
    )
    assert (chain.symbol, chain.exchange, chain.trading_class, chain.multiplier) == ("AAPL", "SMART", "AAPL", 100)
    assert chain.expiries == tuple(sorted(smart.expiries))
    assert chain.strikes == tuple(sorted(smart.strikes))


async def test_what_is_in_a_chain_can_be_found(stage: Stage) -> None:
    chain = await stage.broker.requests.option_chain("AAPL")
    name = stage.option("P", expiry=f"{chain.expiries[2]:%y%m%d}")
    assert (await stage.broker.requests.contract(name)).contract_id == stage.listed(name).contract_id


async def test_chain_of_a_real_stock(desk: Desk) -> None:
    chain = await desk.broker.requests.option_chain("AAPL")
    today = (await desk.broker.current_time()).date()
    assert chain.expiries[0] >= today - timedelta(days=1)
    assert list(chain.expiries) == sorted(set(chain.expiries))
    assert list(chain.strikes) == sorted(set(chain.strikes))
    assert isinstance(chain.expiries[0], date)


@pytest.mark.parametrize("symbol", ["NOSUCH", "EUR.USD"])
async def test_chain_of_what_has_none(desk: Desk, symbol: str) -> None:
    with pytest.raises(RequestRefused):
        await desk.broker.requests.option_chain(symbol)
