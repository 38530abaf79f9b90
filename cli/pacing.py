"""Pacing a market to its end, whatever day it stands at."""

import asyncio
import os
from collections.abc import Callable, Mapping

from cli.pacer import Pacer
from services.scheduler.config import Settings as SchedulerSettings
from services.scheduler.core.schedule import next_due
from shared.calendar import NEW_YORK, session_hours
from shared.config import load


async def pace_market(
    pacer: Pacer,
    say: Callable[[str], None],
    *,
    session_seconds: float = 0,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Go from one job's time to the next until the market is finished; `say` hears of every new session.

    A session takes `session_seconds` of real time, or longer if the system does.

    Raises:
        CommandError: nothing moves any more.
    """
    jobs = load(SchedulerSettings, environment).jobs
    try:
        clock = await pacer.clock()
        await pacer.settle(clock.now)
        while not clock.finished:
            due = next_due(clock.now, jobs, session_hours)
            if due is None:
                return
            today = clock.now.astimezone(NEW_YORK).date()
            clock = await pacer.advance(due.at)
            if clock.now.astimezone(NEW_YORK).date() != today:
                say(f"{due.at.astimezone(NEW_YORK).date()}")
            await pacer.settle(clock.now)
            await asyncio.sleep(session_seconds / len(jobs))
        say(f"the market is finished at {clock.now.isoformat()}")
    finally:
        await pacer.close()
