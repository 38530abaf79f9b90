"""Sends the book of an instrument as TWS does: rows are inserted, changed and removed by position."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import zip_longest
from typing import TypeAlias

from services.simulator.core.market import Market
from services.simulator.core.tape import Level
from services.simulator.data_subscriptions import DepthLine
from services.simulator.session import ClientSession
from services.simulator.wire import answers
from services.simulator.wire.layout import Values

_INSERT, _UPDATE, _DELETE = 0, 1, 2
_ASKS, _BIDS = 0, 1
_MAKERS = ("NSDQ", "ARCA", "BATS", "NYSE", "IEX")
"""Where the rows of a smart book are from, in turn."""
_Row: TypeAlias = tuple[Decimal, int, str]


def send_depth(session: ClientSession, request_id: int, line: DepthLine, market: Market, now: datetime) -> None:
    """Bring a client's rows up to date."""
    place = market.latest(line.instrument.contract_id, now)
    bids, asks = market.ladder(*place) if place is not None else ((), ())
    for side, levels in ((_BIDS, bids), (_ASKS, asks)):
        rows = _rows(levels[: line.rows])
        for position, (old, new) in enumerate(zip_longest(line.shown[side], rows)):
            if new is not None and new != old:
                operation = _INSERT if old is None else _UPDATE
                _send(session, request_id, line, position, operation, side, new)
        for position in range(len(line.shown[side]) - 1, len(rows) - 1, -1):
            _send(session, request_id, line, position, _DELETE, side, line.shown[side][position])
        line.shown[side] = rows


def _rows(levels: Sequence[Level]) -> list[_Row]:
    return [(level.price, level.size, _MAKERS[number % len(_MAKERS)]) for number, level in enumerate(levels)]


def _send(
    session: ClientSession, request_id: int, line: DepthLine, position: int, operation: int, side: int, row: _Row
) -> None:
    price, size, maker = row
    values: Values = {
        "request_id": request_id,
        "position": position,
        "operation": operation,
        "side": side,
        "price": price if operation != _DELETE else 0,
        "size": size if operation != _DELETE else 0,
    }
    if line.smart:
        session.send(answers.MARKET_DEPTH_L2, {**values, "market_maker": maker, "smart_depth": True})
    else:
        session.send(answers.MARKET_DEPTH, values)
