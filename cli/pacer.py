"""Moving a simulated market as fast as the system keeps up: to the next job's time, wait until nothing is under way.

So a run depends on the prices and the settings alone, not on how fast the machine is or what was restarted meanwhile.

At rest means: every group has been handed every entry and has acknowledged it, and that is still so after a fresh
round trip to the broker, with nothing published in between. The gateway answers `GET /time` only after everything the
broker sent before is published, and services publish before they acknowledge, so nothing can hide between the two.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import httpx
from redis.exceptions import RedisError

from cli.errors import CommandError
from shared.bus import connect
from shared.streams import ALL_STREAMS

POLL_SECONDS = 0.005
PATIENCE_SECONDS = 60.0
# For each stream its newest entry's id, and in words which groups are behind it. One short answer: as replies of their
# own these are dozens, and reading them would take longer than what the services do at most stops.
ASK = """
local function field(record, name)
  for i = 1, #record, 2 do
    if record[i] == name then return record[i + 1] end
  end
end
local answers = {}
for _, stream in ipairs(KEYS) do
  local information = redis.pcall('XINFO', 'STREAM', stream)
  if information.err then
    table.insert(answers, {'', 'stream ' .. stream .. ' does not exist yet'})
  else
    local newest, behind = field(information, 'last-generated-id'), {}
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      local pending, read = field(group, 'pending'), field(group, 'last-delivered-id')
      if pending > 0 or read ~= newest then
        table.insert(behind, 'stream ' .. stream .. ', group ' .. field(group, 'name') .. ': ' .. pending
          .. ' not acknowledged, read to ' .. read .. ' of ' .. newest)
      end
    end
    table.insert(answers, {newest, table.concat(behind, '; ')})
  end
end
return answers
"""

Positions = dict[str, bytes]  # stream -> its newest entry's id


@dataclass(frozen=True)
class MarketClock:
    """The simulated market's time; `finished` once its last session has closed."""

    now: datetime
    finished: bool


def _clock(answer: dict[str, Any]) -> MarketClock:
    return MarketClock(datetime.fromisoformat(answer["now"]), bool(answer["finished"]))


async def _all_ready() -> dict[str, str]:
    return {}


class Pacer:
    """`unready` says which services can't work just now, and why: the market stands still for them."""

    def __init__(
        self,
        redis_url: str,
        gateway_url: str,
        simulator_url: str,
        *,
        unready: Callable[[], Awaitable[dict[str, str]]] = _all_ready,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._redis: Any = connect(redis_url)  # redis-py's annotations are incomplete
        self._ask_redis: Any = self._redis.register_script(ASK)
        self._http = httpx.AsyncClient(timeout=30)
        self._gateway_url = gateway_url
        self._simulator_url = simulator_url
        self._unready = unready
        self._patience_seconds = patience_seconds
        self._progress: tuple[Positions, datetime | None] = ({}, None)

    async def close(self) -> None:
        await self._http.aclose()
        await self._redis.aclose()

    async def clock(self) -> MarketClock:
        return _clock(await self._until_answered("GET", "/clock"))

    async def advance(self, to: datetime) -> MarketClock:
        """Move the market; a time that has passed already changes nothing, and it stops at the last close."""
        return _clock(await self._until_answered("POST", "/advance", {"to": to.isoformat()}))

    async def account(self) -> dict[str, Any]:
        """The broker's own account: cash, net_liquidation, commissions ... as decimal text."""
        return cast(dict[str, Any], await self._until_answered("GET", "/account"))

    async def received_orders(self) -> list[dict[str, Any]]:
        """What the simulator was sent, in order."""
        return cast(list[dict[str, Any]], await self._until_answered("GET", "/orders"))

    async def _until_answered(self, method: str, path: str, parameters: dict[str, str] | None = None) -> Any:
        """Ask the simulator until it answers; it may be in the middle of a restart.

        Raises:
            CommandError: it does not answer within the patience, or refuses.
        """
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                answer = await self._http.request(method, f"{self._simulator_url}{path}", params=parameters)
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            else:
                if answer.status_code == 200:
                    return answer.json()
                problem = answer.text.strip()
                if answer.status_code < 500:
                    raise CommandError(f"the simulator refuses {method} {path}: {problem}")
            if time.monotonic() > deadline:
                raise CommandError(f"the simulator at {self._simulator_url} does not answer: {problem}")
            await asyncio.sleep(10 * POLL_SECONDS)

    async def settle(self, target: datetime) -> None:
        """Wait until the system has done all there is to do at `target`.

        Raises:
            CommandError: nothing moved within the patience; the text says what is not at rest.
        """
        deadline = time.monotonic() + self._patience_seconds
        before: Positions | None = None
        while True:
            progress = self._progress
            before, problem = await self._check(before, target)
            if problem is None:
                return
            if self._progress != progress:
                deadline = time.monotonic() + self._patience_seconds
            if time.monotonic() > deadline:
                raise CommandError(f"no progress for {self._patience_seconds:.0f} s at {target.isoformat()}: {problem}")
            if before is None:
                await asyncio.sleep(POLL_SECONDS)

    async def _check(self, before: Positions | None, target: datetime) -> tuple[Positions | None, str | None]:
        """(the streams' ends if all is read, what is still under way or None). `before` is the last answer's."""
        if unready := await self._unready():
            return None, "; ".join(f"{name}: {reason}" for name, reason in unready.items())
        try:
            if before is None:
                before, problem = await self._drained()
                if before is None:
                    return None, problem
            now = await self._broker_time()
            after, problem = await self._drained()
        except (RedisError, httpx.TransportError) as error:
            return None, f"{type(error).__name__}: {error}"
        if now is None or after is None:
            return None, problem or "the gateway has no connection to the broker"
        self._progress = (after, now)
        if now < target:
            return None, f"the gateway's time is still {now.isoformat()}"
        return after, None if after == before else "messages are being published"

    async def _broker_time(self) -> datetime | None:
        answer = await self._http.get(f"{self._gateway_url}/time")
        if answer.status_code != 200:
            return None
        return datetime.fromisoformat(answer.json()["broker_time"])

    async def _drained(self) -> tuple[Positions | None, str | None]:
        """(newest id of each stream, None), or (None, who has not read or acknowledged what)."""
        names = [stream.name for stream in ALL_STREAMS if stream.groups]
        answers = cast(list[tuple[bytes, bytes]], await self._ask_redis(keys=names))
        positions = {name: newest for name, (newest, _) in zip(names, answers, strict=True)}
        self._progress = (positions, self._progress[1])
        busy = "; ".join(behind.decode() for _, behind in answers if behind)
        return (None, busy) if busy else (positions, None)
