"""Market commands -> the broker, and its answers.

A question can wait long: for the session, for the broker, for its limits. So its handler never waits: it sets a task
to it and postpones the command, which comes back when the answer is there. Until then the command is unacknowledged,
and a gateway that dies meanwhile finds it again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from services.gateway.config import Settings
from services.gateway.handlers.lines import LineHandlers
from services.gateway.history import History
from services.gateway.ports import RequestRefused
from services.gateway.publisher import SOURCE, subject
from services.gateway.session import Session
from shared.clock import Clock
from shared.messages.base import Envelope, Message, follow
from shared.messages.market_requests import (
    ContractFetched,
    FetchContract,
    FetchHistory,
    FetchNews,
    FetchOptionChain,
    MarketScanned,
    NewsFetched,
    OptionChainFetched,
    ScanMarket,
    Subscribe,
    Unsubscribe,
)
from shared.reader import Postponed

T = TypeVar("T")


class MarketHandlers:
    def __init__(self, session: Session, settings: Settings, clock: Clock, lines: LineHandlers) -> None:
        self._session = session
        self._clock = clock
        self._lines = lines
        self._history = History(session, settings)
        self._asked: dict[UUID, asyncio.Task[Message]] = {}

    @staticmethod
    def lane(command: Envelope[Any]) -> str:
        """What a service wants streamed, and its questions for a symbol's history, in their order; all else alone."""
        match command.data:
            case Subscribe() | Unsubscribe():
                return command.source
            case FetchHistory(symbol=symbol, timeframe=timeframe):
                return f"{command.source} {symbol} {timeframe}"
            case _:
                return str(command.id)

    def close(self) -> None:
        """Stop asking; what has no answer comes back to the next process."""
        self._history.close()
        for task in self._asked.values():
            task.cancel()

    async def on_market_command(self, command: Envelope[Any]) -> Sequence[Envelope[Any]]:
        match command.data:
            case Subscribe():
                return await self._lines.on_subscribe(command)
            case Unsubscribe():
                return await self._lines.on_unsubscribe(command)
            case _:
                answer = self._answer(command)
                return [follow(command, answer, source=SOURCE, time=self._clock.now(), subject=subject(answer))]

    def _answer(self, command: Envelope[Any]) -> Message:
        """The answer to a question; raises Postponed until it is there."""
        task = self._asked.get(command.id)
        if task is None:
            task = self._asked[command.id] = asyncio.ensure_future(self._find(command.data))
        if not task.done():
            answered = asyncio.Event()
            task.add_done_callback(lambda _: answered.set())
            raise Postponed(answered)
        del self._asked[command.id]
        return task.result()

    async def _find(self, question: Message) -> Message:
        requests = self._session.broker.requests
        match question:
            case FetchHistory():
                return await self._history.fetch(question)
            case FetchContract(symbol=symbol):
                facts, error = await self._told(symbol, lambda: requests.contract(symbol))
                return ContractFetched(symbol=symbol, facts=facts, error=error)
            case FetchOptionChain(symbol=symbol):
                chain, error = await self._told(symbol, lambda: requests.option_chain(symbol))
                return OptionChainFetched(symbol=symbol, chain=chain, error=error)
            case ScanMarket(scan_code=code):
                symbols, error = await self._told(code, lambda: requests.scan(question))
                return MarketScanned(scan_code=code, symbols=tuple(symbols or ()), error=error)
            case FetchNews(symbol=symbol, count=count):
                headlines, error = await self._told(symbol, lambda: requests.news(symbol, count))
                return NewsFetched(symbol=symbol, headlines=tuple(headlines or ()), error=error)
            case _:
                raise TypeError(f"market.commands carries no {type(question).__name__}")

    async def _told(self, about: str, ask: Callable[[], Awaitable[T]]) -> tuple[T | None, str | None]:
        """The broker's answer, or why there is none; a question whose connection ends is asked again on the next."""
        try:
            return await self._session.connected(ask), None
        except RequestRefused as refusal:
            return None, f"{about}: {refusal}"
