"""What each adapter can't do, so that nothing is skipped silently."""

import pytest

from services.gateway.ports import Ability, Unsupported
from shared.messages.market_requests import Feed
from shared.types import OrderType
from tests.broker_port.stage import ADAPTERS, Stage, terms

LACKS = {
    "tws": frozenset[Ability](),
    "web": frozenset(
        {
            Ability.TICK_BY_TICK,
            Ability.DEPTH,
            Ability.FIVE_SECOND_BARS,
            Ability.NEWS,
            Ability.CONDITIONS,
            Ability.ALGORITHMS,
            Ability.ORDER_TYPES_BEYOND_STOPS,
            Ability.ORDER_ATTRIBUTES,
            Ability.HISTORY_KINDS,
        }
    ),
}
"""An adapter that comes to lack more than this makes this file fail; one that lacks less should be noted here."""
MOST_SKIPPED = 0.3
"""Part of the cases of this suite that may need what an adapter lacks."""
FEEDS = {
    Feed.TRADES: Ability.TICK_BY_TICK,
    Feed.BIDS_AND_ASKS: Ability.TICK_BY_TICK,
    Feed.DEPTH: Ability.DEPTH,
    Feed.FIVE_SECOND_BARS: Ability.FIVE_SECOND_BARS,
    Feed.NEWS: Ability.NEWS,
}
"""What an adapter needs to stream a feed."""


async def test_lacks_no_more_than_is_known(stage: Stage, adapter: str) -> None:
    assert stage.broker.lacks == LACKS[adapter]


@pytest.mark.parametrize("name", ADAPTERS)
def test_most_cases_run(request: pytest.FixtureRequest, name: str) -> None:
    def lacking(item: pytest.Item) -> bool:
        return any(mark.args[0] in LACKS[name] for mark in item.iter_markers("needs"))

    here = [item for item in request.session.items if "tests/broker_port/" in item.nodeid]
    cases = [item for item in here if f"[{name}" in item.nodeid or f"-{name}]" in item.nodeid]
    skipped = [item.nodeid for item in cases if lacking(item)]
    assert len(skipped) <= MOST_SKIPPED * max(len(cases), 100), skipped


@pytest.mark.parametrize("feed", list(FEEDS))
async def test_feed_that_is_lacking_is_refused(stage: Stage, feed: Feed) -> None:
    if FEEDS[feed] in stage.broker.lacks:
        with pytest.raises(Unsupported):
            await stage.broker.lines.open("AAPL", feed)
    else:
        await stage.broker.lines.open("AAPL", feed)
    assert (("AAPL", feed) in stage.broker.lines.opened()) == (FEEDS[feed] not in stage.broker.lacks)


async def test_order_type_that_is_lacking_is_refused_and_not_sent(stage: Stage) -> None:
    order = terms(stage.ref("order"), OrderType.MARKET_ON_CLOSE)
    if Ability.ORDER_TYPES_BEYOND_STOPS in stage.broker.lacks:
        with pytest.raises(Unsupported):
            await stage.submit(order)
    else:
        await stage.submit(order)
    assert len(stage.received()) == (Ability.ORDER_TYPES_BEYOND_STOPS not in stage.broker.lacks)
