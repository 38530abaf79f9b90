"""Subscribe and Unsubscribe -> the registry of streams."""

from collections.abc import Sequence
from typing import Any

from services.gateway.lines import LineKeeper
from shared.messages.base import Envelope
from shared.messages.market_requests import Subscribe, Unsubscribe


class LineHandlers:
    """Neither waits for the broker: wishes are remembered, and carried out as soon as it can be reached."""

    def __init__(self, keeper: LineKeeper) -> None:
        self._keeper = keeper

    async def on_subscribe(self, command: Envelope[Subscribe]) -> Sequence[Envelope[Any]]:
        wish = command.data
        self._keeper.want(command.source, wish.symbols, wish.feed, wish.priority)
        return ()

    async def on_unsubscribe(self, command: Envelope[Unsubscribe]) -> Sequence[Envelope[Any]]:
        self._keeper.leave(command.source, command.data.symbols, command.data.feed)
        return ()
