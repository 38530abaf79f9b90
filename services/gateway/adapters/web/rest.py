"""The REST half: one request at a time per thread, each with its turn, its part of the budget and its meaning."""

import asyncio
import logging
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, cast

import urllib3

from services.gateway.adapters.web.limits import SECONDS_BETWEEN, EndpointLimits
from services.gateway.config import Settings
from services.gateway.ports import BrokerLost, Budget, LoginAwaited, NoAnswer, Paced, RequestRefused, Urgency

UNAUTHORIZED, TOO_MANY = 401, 429
SERVER_ERROR = 500  # and above: what became of the request is not known
BASE_ROUTE = "/v1/api/"
_URGENT_THREADS, _OTHER_THREADS = 3, 6  # a cancel never waits for a thread that history holds


LONGEST_PAGE = 200
"""Characters of an answer that is no JSON, as they are shown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`time` is the HTTP Date header: the broker's clock, in whole seconds.

    `error` is IBKR's text where its answer is one, with the HTTP `status`, which is 0 for an error in a good answer.
    """

    data: Any
    time: datetime | None
    status: int
    error: str


def _error(data: Any) -> str:
    """IBKR's text where its JSON is an error; some come with a good status."""
    return str(data.get("error") or "") if isinstance(data, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def _answered(response: Any, result: Any) -> Any:
    """Stands in for ibind's own reading of a response, which hides the headers and the text of an error."""
    data, page = None, ""
    try:
        data = response.json()
    except ValueError:
        page = response.text  # of the portal, or nothing: no answer to a question, and no empty one
    date = response.headers.get("Date")
    time = parsedate_to_datetime(date).astimezone(UTC) if date else None
    error = _error(data) or page[:LONGEST_PAGE] or ("" if response.ok else response.reason)
    result.data = Answer(data, time, 0 if response.ok else response.status_code, error)
    return result


def _client(settings: Settings) -> Any:
    """An `ibind.IbkrClient`; it carries few types."""
    from ibind import IbkrClient

    # It writes several lines for every request that fails; the session says once why it is not connected.
    for name in ("ibind", "ibind_fh", "websocket"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if settings.web_cacert is None:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    client: Any = IbkrClient(
        account_id=cast("str", None),  # every request names its own
        url=settings.web_url.rstrip("/") + BASE_ROUTE,
        cacert=str(settings.web_cacert) if settings.web_cacert else False,
        timeout=settings.answer_timeout_seconds,
        max_retries=0,
        use_session=True,
        auto_register_shutdown=False,
        log_responses=False,
        use_oauth=False,
    )
    client._process_response = _answered
    return client


class Rest:
    """The requests of one connection.

    Each is sent exactly once: ibind's own repetition is off, for a repeated order or reply is not harmless.
    """

    def __init__(self, settings: Settings, budget: Budget, limits: EndpointLimits) -> None:
        self._client = _client(settings)
        self._budget = budget
        self._limits = limits if settings.requests_per_second else None
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._urgent = ThreadPoolExecutor(_URGENT_THREADS, "web-orders")
        self._others = ThreadPoolExecutor(_OTHER_THREADS, "web-requests")
        self.broken = ""
        """Why nothing can be asked any more; empty while all is well."""

    async def ask(
        self,
        urgency: Urgency,
        request: str,
        *arguments: Any,
        sent: "asyncio.Future[None] | None" = None,
        **options: Any,
    ) -> Answer:
        """Send one of ibind's requests when its turn has come, and return its answer.

        Args:
            request: the name of a method of `IbkrClient`, called with `arguments` and `options`.
            sent: set when the request is handed to a thread to be written.

        Raises:
            RequestRefused: IBKR answered with an error; `code` is the HTTP status, 0 for an error in a good answer.
            Paced: asked too often.
            LoginAwaited: nobody is logged in.
            BrokerLost: there was no answer (NoAnswer), or there is no connection.
        """
        if self._limits is None or request not in SECONDS_BETWEEN:
            return await self._send(urgency, request, arguments, options, sent)
        async with self._turns[request]:
            await asyncio.sleep(self._limits.wait(request, time.monotonic()))
            try:
                return await self._send(urgency, request, arguments, options, sent)
            finally:
                self._limits.answered(request, time.monotonic())

    async def _send(
        self,
        urgency: Urgency,
        request: str,
        arguments: tuple[Any, ...],
        options: dict[str, Any],
        sent: "asyncio.Future[None] | None",
    ) -> Answer:
        await self._budget.spend(urgency)
        if self.broken:
            raise BrokerLost(self.broken)
        pool = self._urgent if urgency <= Urgency.ORDER else self._others
        under_way = asyncio.get_running_loop().run_in_executor(
            pool, partial(getattr(self._client, request), *arguments, **options)
        )
        if sent is not None and not sent.done():
            sent.set_result(None)
        try:
            answer: Answer = (await under_way).data
        except TimeoutError:
            raise NoAnswer(f"no answer to {request}") from None
        except Exception as error:
            self.broken = self.broken or f"{request}: {error}"
            raise BrokerLost(self.broken) from error
        if answer.error:
            raise _refusal(answer)
        return answer

    def close(self) -> None:
        """No more requests. A thread that waits for an answer ends with it, or after the answer's time-out."""
        self.broken = self.broken or "disconnected"
        self._urgent.shutdown(wait=False)
        self._others.shutdown(wait=False)
        self._client.close_session()


def _refusal(answer: Answer) -> BrokerLost | RequestRefused:
    """What an error of IBKR's means."""
    if answer.status == UNAUTHORIZED:
        return LoginAwaited(
            f"nobody is logged in to the Client Portal Gateway (status {answer.status}: {answer.error})"
        )
    if answer.status == TOO_MANY:
        return Paced(f"{answer.status} {answer.error}", answer.status)
    return RequestRefused(f"{answer.status} {answer.error}" if answer.status else answer.error, answer.status)
