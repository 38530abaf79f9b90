"""Sends market data lines what has changed: prices, sizes, further ticks and options' Greeks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeAlias

from services.simulator.core.generic_ticks import Place, generic_ticks
from services.simulator.core.instruments import SecurityType
from services.simulator.core.market import Market
from services.simulator.core.quotes import Quote
from services.simulator.core.tape import Tape
from services.simulator.data_subscriptions import QuoteLine
from services.simulator.present import quotes as present
from services.simulator.session import ClientSession
from services.simulator.wire import answers

DELAY = timedelta(minutes=15)
"""How old delayed data are (IBKR, "Delayed market data")."""
LIVE, FROZEN, DELAYED, DELAYED_FROZEN = 1, 2, 3, 4
"""Types of market data (IBKR, "Market data types")."""
_VOLATILITY_HALT, _NOT_HALTED = "2", "0"
_SIZES = present.SIZE_OF
_Moment: TypeAlias = tuple[Tape, int, Quote, Sequence[tuple[int, Decimal, int]]]


class QuoteSender:
    """One moment of the market after the other, each read once for all lines."""

    def __init__(self, market: Market, now: datetime) -> None:
        self._market = market
        self._now = now
        self._known: dict[tuple[int, bool], _Moment | None] = {}
        self._before: dict[tuple[int, bool], _Moment | None] = {}

    def at(self, now: datetime) -> "QuoteSender":
        """Return this, at a later moment."""
        if now != self._now:
            self._now, self._before, self._known = now, self._known, {}
        return self

    def send(self, session: ClientSession, request_id: int, line: QuoteLine) -> None:
        """Send the ticks that differ from what the client has; nothing if there was no tick since."""
        if line.keeps_last:
            self.send_type(session, request_id, line)
        if line.legs:
            self._send_combo(session, request_id, line)
            return
        moment = self._moment(line.instrument.contract_id, line.delayed)
        if moment is None or line.place == moment[2].time:
            return
        tape, index, quote, ticks = moment
        line.place = quote.time
        kind = line.instrument.security_type
        self._send_prices(session, request_id, line, ticks)
        for tick_type, value in present.volume_and_time(quote, kind):
            self._send_value(session, request_id, line, tick_type, value)
        halted = _VOLATILITY_HALT if quote.halted else _NOT_HALTED
        self._send_number(session, request_id, line, present.HALTED, halted)
        if kind is SecurityType.OPTION:
            self._send_greeks(session, request_id, line, tape, index, quote)
        if line.generic:
            self._send_generic(session, request_id, line, Place(self._market, line.instrument, tape, index))

    def send_type(self, session: ClientSession, request_id: int, line: QuoteLine) -> None:
        """Say what the values are, live or delayed, or frozen while the market is closed, if that has changed."""
        frozen = line.keeps_last and not any(
            self._is_open(contract_id)
            for contract_id in [leg.contract_id for leg in line.legs] or [line.instrument.contract_id]
        )
        data_type = (DELAYED_FROZEN if frozen else DELAYED) if line.delayed else FROZEN if frozen else LIVE
        if data_type != line.data_type:
            line.data_type = data_type
            session.send(answers.MARKET_DATA_TYPE, {"request_id": request_id, "market_data_type": data_type})

    def _is_open(self, contract_id: int) -> bool:
        """Whether it trades; its last trade is still live."""
        moment = self._moment(contract_id, delayed=False)
        return moment is not None and moment[0].start <= self._now <= moment[0].end

    def _moment(self, contract_id: int, delayed: bool) -> _Moment | None:
        key = contract_id, delayed
        if key not in self._known:
            self._known[key] = self._read(
                contract_id, self._before.get(key), self._now - DELAY if delayed else self._now
            )
        return self._known[key]

    def _read(self, contract_id: int, before: _Moment | None, when: datetime) -> _Moment | None:
        """Look only as far as needed: most often a moment is in the same day as the one `before`."""
        if before is not None and before[0].start <= when < before[0].end:
            place = before[0], before[0].index(when)
            if place[1] == before[1]:
                return before
        else:
            place = self._market.latest(contract_id, when)
        if place is None:
            return None
        quote = self._market.quote_at(*place)
        kind = self._market.instrument(contract_id).security_type
        return *place, quote, list(present.price_ticks(quote, kind))

    # -- kinds of ticks ---------------------------------------------------------------------------------------------

    def _send_prices(
        self, session: ClientSession, request_id: int, line: QuoteLine, ticks: Sequence[tuple[int, Decimal, int]]
    ) -> None:
        """A price that moved carries its size; of one that stands, a new size comes by itself."""
        sent, put, delayed = line.sent, session.put, line.delayed
        for tick_type, price, size in ticks:
            size_type = _SIZES.get(tick_type)
            if sent.get(tick_type) != price:
                sent[tick_type] = price
                if size_type is not None:
                    sent[size_type] = size
                shown = present.DELAYED.get(tick_type, tick_type) if delayed else tick_type
                put(answers.tick_price(request_id, shown, price, size))
            elif size_type is not None and sent.get(size_type) != size:
                self._send_value(session, request_id, line, size_type, size)

    def _send_value(
        self, session: ClientSession, request_id: int, line: QuoteLine, tick_type: int, value: int | str
    ) -> None:
        """Send a size as a number, anything else as text."""
        if line.sent.get(tick_type) != value:
            line.sent[tick_type] = value
            shown = present.DELAYED.get(tick_type, tick_type) if line.delayed else tick_type
            session.put(answers.tick_value(request_id, shown, value))

    def _send_number(
        self, session: ClientSession, request_id: int, line: QuoteLine, tick_type: int, value: str | Decimal | int
    ) -> None:
        if line.sent.get(tick_type) != value:
            line.sent[tick_type] = value
            shown = present.DELAYED.get(tick_type, tick_type) if line.delayed else tick_type
            session.send(answers.TICK_GENERIC, {"request_id": request_id, "tick_type": shown, "value": value})

    def _send_generic(self, session: ClientSession, request_id: int, line: QuoteLine, place: Place) -> None:
        for kind, tick_type, value in generic_ticks(place, line.generic):
            if kind == "number":
                self._send_number(session, request_id, line, tick_type, value)
            elif kind == "price":
                assert isinstance(value, Decimal)  # noqa: S101 - a price is one
                self._send_prices(session, request_id, line, [(tick_type, value, 0)])
            else:
                assert not isinstance(value, Decimal)  # noqa: S101 - a size or a text
                self._send_value(session, request_id, line, tick_type, value)

    def _send_greeks(
        self, session: ClientSession, request_id: int, line: QuoteLine, tape: Tape, index: int, quote: Quote
    ) -> None:
        """Send the computations for bid, ask, last and the model's own price."""
        prices = [(kind, price) for kind, price in ((10, quote.bid), (11, quote.ask), (12, quote.last)) if price > 0]
        model, *implied = self._market.options.greeks(
            line.instrument, tape, index, tuple(float(price) for _, price in prices)
        )
        for (tick_type, price), found in zip((*prices, (13, None)), (*implied, model), strict=True):
            shown = present.DELAYED[tick_type] if line.delayed else tick_type
            values = present.greeks(request_id, shown, found, price)
            if line.sent.get(tick_type) != values:
                line.sent[tick_type] = values
                session.send(answers.TICK_OPTION, values)

    # -- combinations -----------------------------------------------------------------------------------------------

    def _send_combo(self, session: ClientSession, request_id: int, line: QuoteLine) -> None:
        """Send a combination's net bid and ask; none while a leg has no quote on the side that is needed."""
        bid, ask, sizes, time = Decimal(0), Decimal(0), list[int](), None
        for leg in line.legs:
            moment = self._moment(leg.contract_id, line.delayed)
            if moment is None:
                return
            quote, sign = moment[2], 1 if leg.action == "BUY" else -1
            near, far = (quote.bid, quote.ask) if sign > 0 else (quote.ask, quote.bid)
            bid, ask = bid + near * leg.ratio * sign, ask + far * leg.ratio * sign
            sizes.append(min(quote.bid_size, quote.ask_size) // leg.ratio)
            time = quote.time if time is None else max(time, quote.time)
        if line.place == time:
            return
        line.place, size = time, min(sizes)
        prices = [(present.BID, bid, size), (present.ASK, ask, size)] if size else []
        self._send_prices(session, request_id, line, prices)
