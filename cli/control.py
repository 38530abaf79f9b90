"""What a person orders: halt, flatten and resume."""

import asyncio
import getpass
import time
from datetime import datetime
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy import Engine

from cli.deployment import Deployment
from cli.errors import CommandError
from cli.report import Record, rows
from shared.bus import Bus
from shared.clock import clock_for
from shared.db import tables
from shared.db.engine import engine
from shared.messages.base import originate
from shared.messages.control import Flatten, Halt, Resume
from shared.types import Mode, TradingState

SOURCE = "cli"
ANSWER_SECONDS = 10
CHECK_SECONDS = 0.05
RECENT = 200  # entries of broker.events, of which one is surely young


def actor() -> str:
    """Who gives the order, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"  # a container's user has no name


def open_bus(deployment: Deployment) -> Bus:
    return Bus(deployment.redis_url, service=SOURCE, consumer=SOURCE, clock=clock_for(deployment.mode))


async def market_time(bus: Bus) -> datetime | None:
    """The newest time on any broker event: in simulated mode, what time it is. None before the first."""
    times = [message.time for message in await bus.tail("broker.events", RECENT)]
    return max(times, default=None)


async def command_time(deployment: Deployment, bus: Bus) -> datetime:
    """The time that a command bears.

    Raises:
        CommandError: there is no market time yet.
    """
    now = await market_time(bus) if deployment.mode is Mode.SIMULATED else bus.clock.now()
    if now is None:
        raise CommandError("the broker has not told the time yet; try again when 'millrace status' shows it")
    return now


def trading_state(database: Engine) -> Record | None:
    """The row of `trading_state`; None before risk has started for the first time."""
    found = rows(database, sa.select(tables.trading_state))
    return found[0] if found else None


async def order_state(deployment: Deployment, command: Halt | Flatten | Resume) -> Record:
    """Publish the command and wait for risk to carry it out; returns the trading state it led to.

    Raises:
        CommandError: there is no market time yet, or risk did not do it in time.
    """
    wanted = TradingState.ACTIVE if isinstance(command, Resume) else TradingState.HALTED
    state: Record | None = None
    bus = open_bus(deployment)
    database = engine(deployment.database_url)
    try:
        await bus.open()
        now = await command_time(deployment, bus)
        key = f"{type(command).__name__}:{uuid4()}"
        await bus.publish([originate(command, source=SOURCE, time=now, subject="account", key=key)])
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            state = trading_state(database)
            if state is not None and state["state"] == wanted:
                return state
            await asyncio.sleep(CHECK_SECONDS)
    finally:
        database.dispose()
        await bus.close()
    shown = state["state"] if state else "unknown"
    raise CommandError(
        f"the command is on control.commands, but after {ANSWER_SECONDS} s the trading state is {shown}, not {wanted};"
        " 'millrace status' shows whether risk runs"
    )
