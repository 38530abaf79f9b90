"""One connection after another to one Client Portal Gateway."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import orjson

from services.gateway.adapters.web.limits import EndpointLimits
from services.gateway.adapters.web.rest import BASE_ROUTE, Answer, Rest
from services.gateway.adapters.web.session import Session
from services.gateway.config import Settings
from services.gateway.ports import BrokerLost, Budget, Listener, LoginAwaited, NoAnswer, RequestRefused, Urgency
from shared.clock import Clock


class Connection:
    """`account` is the one that IBKR has selected for requests that name none."""

    def __init__(self, settings: Settings, clock: Clock, budget: Budget) -> None:
        self._settings = settings
        self._clock = clock
        self._budget = budget
        self._limits = EndpointLimits()  # they hold beyond a connection
        self._session: Session | None = None
        self.account = ""
        self.closed = asyncio.Event()
        self.closed.set()

    @property
    def session(self) -> Session:
        """The present connection. Raises BrokerLost when there is none."""
        if self._session is None or self._session.closed.is_set():
            raise BrokerLost("not connected")
        return self._session

    async def connect(self, listener: Listener, prepare: Callable[[Session], None]) -> Sequence[str]:
        """Log in, open the stream and subscribe to orders and trades; returns the accounts of the login.

        Args:
            prepare: gives the new session its listeners before anything is heard.
        """
        session = Session(Rest(self._settings, self._budget, self._limits), listener)
        prepare(session)
        try:
            async with asyncio.timeout(self._settings.connect_timeout_seconds):
                accounts = await self._open(session)
        except TimeoutError:
            session.close("no answer to the attempt to connect")
            raise BrokerLost("no answer to the attempt to connect") from None
        except RequestRefused as error:
            session.close(str(error))
            raise BrokerLost(str(error)) from None
        except BaseException as error:
            session.close(str(error))
            raise
        self._session, self.closed = session, session.closed
        return accounts

    async def _open(self, session: Session) -> Sequence[str]:
        ask = session.rest.ask
        token = await self._log_in(session)
        told = (await ask(Urgency.ACCOUNT, "receive_brokerage_accounts")).data  # before any /iserver request
        await ask(Urgency.ACCOUNT, "portfolio_accounts")  # before any /portfolio request
        address = self._settings.web_url.rstrip("/").replace("http", "ws", 1) + BASE_ROUTE + "ws"
        cacert = str(self._settings.web_cacert) if self._settings.web_cacert else None
        await session.stream.open(address, f"api={orjson.dumps({'session': token}).decode()}", cacert)
        session.stream.send("sor+{}")
        session.stream.send('str+{"realtimeUpdatesOnly":true}')
        self.account = str(told.get("selectedAccount") or "")
        return [str(account) for account in told.get("accounts", ())]

    async def _log_in(self, session: Session) -> str:
        """The token of the gateway program's session, once it may trade. Another login is never pushed out."""
        told = (await session.rest.ask(Urgency.ACCOUNT, "tickle")).data
        status = await self._authenticated(session, _status(told))
        if status.get("authenticated"):
            session.status(status)
            return str(told.get("session") or "")
        if status.get("competing"):
            raise LoginAwaited("another login of this user has the session: end it, or log in again here")
        raise LoginAwaited(
            f"the Client Portal Gateway has no login, or can't reach IBKR: open {self._settings.web_url} in a browser"
        )

    async def _authenticated(self, session: Session, status: dict[str, Any]) -> dict[str, Any]:
        """Ask the gateway program to use its login for trading, where it does not; another login is left alone."""
        if status.get("authenticated") or status.get("competing"):
            return status
        try:
            return (await session.rest.ask(Urgency.ACCOUNT, "initialize_brokerage_session", compete=False)).data
        except RequestRefused:
            return status  # IBKR can't be reached

    async def _check(self, session: Session, told: dict[str, Any]) -> None:
        """What /tickle says of the login; a new login has neither our streams nor our accounts, so all begins anew."""
        session.status(told)
        status = await self._authenticated(session, told)
        if status.get("authenticated") and not told.get("authenticated"):
            session.close("the Client Portal Gateway has logged in again")

    def disconnect(self) -> None:
        if self._session is not None:
            self._session.close("disconnected")

    async def ask(self, urgency: Urgency, request: str, *arguments: Any, **options: Any) -> Any:
        """The JSON that IBKR answers a request with; raises as `Rest.ask` does."""
        return (await self._answer(self.session, urgency, request, *arguments, **options)).data

    async def _answer(
        self, session: Session, urgency: Urgency, request: str, *arguments: Any, **options: Any
    ) -> Answer:
        try:
            return await session.rest.ask(urgency, request, *arguments, **options)
        except LoginAwaited as error:
            if session.sound:
                session.close(str(error))
            raise
        except BrokerLost:
            if session.rest.broken:
                session.close(session.rest.broken)
            raise

    async def current_time(self) -> datetime:
        """As `ports.Broker.current_time`, by /tickle, which also keeps the login alive.

        IBKR ends a session that was not tickled for some minutes; the gateway's heartbeat does it every second. The
        stream is a connection of its own, so it is asked for an echo as well (`tic`).
        """
        session = self.session
        try:
            async with asyncio.timeout(self._settings.answer_timeout_seconds):
                answer = await self._answer(session, Urgency.ACCOUNT, "tickle")
                await self._check(session, _status(answer.data))
                await session.echo()
        except TimeoutError:
            raise NoAnswer("no answer to a request for the current time") from None
        except RequestRefused as error:
            raise NoAnswer(f"no answer to a request for the current time: {error}") from None
        if answer.time is None:
            raise BrokerLost("the answer to /tickle has no Date header")
        self._clock.observe(answer.time)
        return answer.time


def _status(told: Any) -> dict[str, Any]:
    """What /tickle says of the login."""
    return told.get("iserver", {}).get("authStatus", {})
