"""Lets time pass by itself: tick by tick while anything trades, in leaps while nothing does."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from math import isfinite

from services.simulator.broker import Broker
from services.simulator.core.bars import Frame
from services.simulator.core.calendars import TradingDays
from services.simulator.core.engine import Engine

EVENING = timedelta(minutes=15)
CLOSED_SECONDS = 2.0
_INSTANT = timedelta(microseconds=1)


def next_tick(hours: Sequence[TradingDays], now: datetime) -> datetime | None:
    """Return the next tick of whatever trades at `now`, None if nothing does."""
    frames = [days.frames[days.unfinished(now)] for days in hours if days.unfinished(now) < len(days.frames)]
    return min((_tick_after(frame, now) for frame in frames if frame.start <= now), default=None)


def _tick_after(frame: Frame, now: datetime) -> datetime:
    return min(frame.start + ((now - frame.start) // frame.step + 1) * frame.step, frame.end)


def next_start(hours: Sequence[TradingDays], now: datetime) -> datetime | None:
    """Return when trading in anything begins next, None if it does not."""
    frames = [days.frames[days.begun(now)] for days in hours if days.begun(now) < len(days.frames)]
    return min((frame.start for frame in frames), default=None)


def _next_leap(hours: Sequence[TradingDays], engine: Engine) -> datetime:
    """Return the end of a leap over time in which nothing trades."""
    starts = next_start(hours, engine.now) or engine.market.last_close
    just_ended = next_tick(hours, engine.now - _INSTANT) is not None
    return min(starts, engine.now + EVENING) if just_ended else starts


async def pace(broker: Broker, drained: Callable[[], Awaitable[None]], speed: float) -> None:
    """Let time pass tick by tick at `speed` virtual seconds per second; 0 = not at all.

    Hours in which nothing trades are skipped in two leaps, to an evening hour for work after the close and to the
    next start of trading, each with real seconds for it; with an infinite speed there are none.

    The next tick waits until every client has been sent the last one, so time slows down for slow readers.
    """
    engine = broker.engine
    hours = engine.market.traded_hours()
    loop = asyncio.get_running_loop()
    due = loop.time()
    while speed > 0 and not engine.finished:
        following = next_tick(hours, engine.now)
        if following is None:
            following = _next_leap(hours, engine)
            due += CLOSED_SECONDS if isfinite(speed) else 0
        else:
            due += (following - engine.now).total_seconds() / speed
        await asyncio.sleep(max(0.0, due - loop.time()))
        broker.advance(following)
        await drained()
        due = max(due, loop.time() - 1)  # after a stall, catch up one second at most
