"""News about the listed stocks, written from what their prices do; nothing is kept, so an article's id tells all.

A story comes with the tick that it is about: a gap of 1.5 % or more at the open, the first move of 3 % from the last
close, a halt, what a dividend or a split means, and the close.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from services.simulator.core.calendars import NEW_YORK
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.core.market import Market
from services.simulator.core.tape import Tape

PROVIDERS = {
    "BRFG": "Briefing.com General Market Columns",
    "BRFUPDN": "Briefing.com Analyst Actions",
    "DJNL": "Dow Jones Newsletters",
}
"""Those that IBKR sends to every API client."""
_GAP, _MOVE = Decimal("0.015"), Decimal("0.03")


@dataclass(frozen=True, slots=True)
class Story:
    article_id: str
    provider: str
    time: datetime
    contract_id: int
    headline: str
    text: str


@dataclass(frozen=True, slots=True)
class Bulletin:
    """A notice of the exchange to everybody."""

    number: int
    time: datetime
    text: str
    exchange: str


class NewsDesk:
    """All stories of a market, for any time."""

    def __init__(self, market: Market) -> None:
        self._market = market

    def between(self, contract_id: int, after: datetime, until: datetime) -> Iterator[Story]:
        """Yield the stories later than `after` and not later than `until`, in order."""
        if self._market.instrument(contract_id).security_type is not SecurityType.STOCK:
            return
        for tape in self._tapes(contract_id, after, until):
            yield from (story for story in self._of_tape(tape) if after < story.time <= until)

    def article(self, provider: str, article_id: str, now: datetime) -> Story | None:
        """Return a story by its id, None if there is none, or not yet."""
        code, _, place = article_id.partition("$")
        try:
            contract_text, day_text, _ = place.split("-")
            contract_id, day = int(contract_text, 16), date.fromordinal(int(day_text, 16))
            tape = self._market.tape(contract_id, day) if code == provider else None
        except (ValueError, OverflowError, KeyError):
            return None
        stories = self._of_tape(tape) if tape is not None else ()
        return next((one for one in stories if one.article_id == article_id and one.time <= now), None)

    def bulletins(self, after: datetime, until: datetime) -> list[Bulletin]:
        """Return the halts and resumptions of trading later than `after` and not later than `until`, in order."""
        stocks = [one for one in self._market.catalogue.listed if one.security_type is SecurityType.STOCK]
        found = [bulletin for stock in stocks for bulletin in self._halts(stock, after, until)]
        return sorted(found, key=lambda one: (one.time, one.text))

    def _halts(self, stock: Instrument, after: datetime, until: datetime) -> Iterator[Bulletin]:
        for tape in self._tapes(stock.contract_id, after, until):
            for first, beyond in tape.halts:
                for index, event in ((first, "halted: volatility pause"), (beyond, "resumed")):
                    time = tape.time(index)
                    if after < time <= until:
                        number = int(time.timestamp()) % 100_000_000
                        yield Bulletin(number, time, f"Trading in {stock.symbol} is {event}.", stock.primary_exchange)

    def _tapes(self, contract_id: int, after: datetime, until: datetime) -> Iterator[Tape]:
        tape = self._market.next_tape(contract_id, after)
        while tape is not None and tape.start <= until:
            yield tape
            tape = self._market.next_tape(contract_id, tape.end)

    def _of_tape(self, tape: Tape) -> list[Story]:
        symbol = self._market.instrument(tape.contract_id).symbol
        opening, closing = tape.regular
        before = self._market.previous_close(tape.contract_id, tape.day)
        events: list[tuple[int, str, str]] = []
        for action in self._market.actions(tape.contract_id):
            if action.day == tape.day:
                what = "pays a dividend of" if action.kind == "dividend" else "splits its shares by"
                events.append((opening, "DJNL", f"{symbol} {what} {action.value.normalize():f}"))
        if before:
            events += _moves(tape, symbol, before)
            events.append((closing, "BRFG", _told(symbol, "closes", tape, closing, before)))
        events += [(first, "BRFG", f"Trading in {symbol} is halted") for first, _ in tape.halts]
        return [self._story(tape, number, *event) for number, event in enumerate(sorted(events))]

    def _story(self, tape: Tape, number: int, index: int, provider: str, headline: str) -> Story:
        time = tape.time(index)
        place = f"{tape.contract_id:x}-{tape.day.toordinal():x}-{number}"
        local = time.astimezone(NEW_YORK)
        text = f"{headline}. Seen at {local:%H:%M:%S} New York time on {local:%Y-%m-%d}."
        return Story(f"{provider}${place}", provider, time, tape.contract_id, headline, text)


def _moves(tape: Tape, symbol: str, before: Decimal) -> Iterator[tuple[int, str, str]]:
    opening, closing = tape.regular
    gap = (tape.price(tape.last[opening]) - before) / before
    if abs(gap) >= _GAP:
        yield opening, "BRFUPDN", _told(symbol, "opens", tape, opening, before)
    prices, close = tape.last[opening : closing + 1], int(before / tape.unit)
    beyond = np.flatnonzero(np.abs(prices - close) >= int(close * _MOVE))
    if abs(gap) < _MOVE and len(beyond):
        index = opening + int(beyond[0])
        yield index, "BRFUPDN", _told(symbol, "moves", tape, index, before)


def _told(symbol: str, verb: str, tape: Tape, index: int, before: Decimal) -> str:
    price = tape.price(tape.last[index])
    percent = (price - before) / before * 100
    direction = "higher" if percent >= 0 else "lower"
    return f"{symbol} {verb} {abs(percent):.1f} % {direction} at {price}"
