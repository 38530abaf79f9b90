"""Tick-by-tick data as TWS API messages."""

from collections.abc import Mapping

from services.simulator.core.tick_data import BidAsk, Midpoint, Tick, Ticks, Trade, midpoints, quotes, trades
from services.simulator.present.bars import EXCHANGE_OF_TRADES
from services.simulator.wire.layout import Values

STREAMS: Mapping[str, tuple[int, Ticks]] = {
    "Last": (1, trades),
    "AllLast": (2, trades),
    "BidAsk": (3, quotes),
    "MidPoint": (4, midpoints),
}
"""By the name a client asks for: number on the wire, and where the ticks come from."""


def tick_by_tick(request_id: int, kind: int, tick: Tick) -> Values:
    values = {"request_id": request_id, "tick_type": kind, "time": int(tick.time.timestamp())}
    match tick:
        case Trade():
            return {**values, "price": tick.price, "size": tick.size, "exchange": EXCHANGE_OF_TRADES}
        case BidAsk():
            return {
                **values,
                "bid_price": tick.bid,
                "ask_price": tick.ask,
                "bid_size": tick.bid_size,
                "ask_size": tick.ask_size,
            }
        case Midpoint():
            return {**values, "mid_point": tick.price}
