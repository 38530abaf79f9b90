"""What a client says over the WebSocket, and the answers to it alone."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.simulator.web.accounts import AccountPaths
from services.simulator.web.call import WebError, instrument, whole
from services.simulator.web.history import HistoryPaths
from services.simulator.web.market_data import update_of
from services.simulator.web.market_lines import AVAILABILITY, Line, MarketLines
from services.simulator.web.order_lists import OrderLists
from services.simulator.web.portal import Portal
from services.simulator.web.socket import Socket
from services.simulator.wire import requests

_OBJECT = TypeAdapter(dict[str, Any])
_CLOSERS = {"uor": "sor", "utr": "str", "upl": "spl"}
_UNHEARD = ("ech",)
"""Echoes of our heartbeat."""


class _Fields(BaseModel):
    """What `smd` asks for. Numbers are taken as well as their texts."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    fields: tuple[str, ...] = ()


class _Trades(BaseModel):
    """What `str` asks for."""

    realtimeUpdatesOnly: bool = False  # noqa: N815 - IBKR's name
    days: int = Field(1, ge=1, le=7)


class Topics:
    """Subscriptions by their verbs; `flush` sends what market data are due."""

    def __init__(
        self,
        portal: Portal,
        lines: MarketLines,
        lists: OrderLists,
        accounts: AccountPaths,
        history: HistoryPaths,
        flush: Callable[[], None],
    ) -> None:
        self._portal = portal
        self._lines = lines
        self._lists = lists
        self._accounts = accounts
        self._history = history
        self._flush = flush
        self.profits: dict[int, str] = {}
        """The accounts whose profit is streamed, by request id."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._verbs: Mapping[str, Callable[[Socket, str, str], None]] = {
            "smd": self._watch, "umd": self._unwatch, "sor": self._orders, "str": self._trades, "spl": self._profit,
            "ssd": self._summary, "sld": self._ledger, "smh": self._bars, "umh": self._end_bars, "tic": self._tic,
            "usd": self._end_summary, "uld": self._end_ledger,
        }  # fmt: skip

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    def take(self, socket: Socket, text: str) -> None:
        """Carry out `VERB`, `VERB+TARGET` or `VERB+TARGET+{...}`; what cannot be is answered with an error."""
        verb, _, rest = text.partition("+")
        topic = f"{verb}+{rest.partition('+')[0]}" if rest and not rest.startswith("{") else verb
        try:
            if verb in _CLOSERS:
                socket.topics.discard(_CLOSERS[verb])
            elif verb in self._verbs:
                target, _, more = ("", "", rest) if rest.startswith("{") else rest.partition("+")
                self._verbs[verb](socket, target, more)
            elif verb not in _UNHEARD:
                raise WebError(400, f"unknown topic {verb[:20]!r}")
        except WebError as error:
            socket.put({"error": error.text, "code": error.status, "topic": topic})
        except ValidationError:
            socket.put({"error": "bad arguments", "code": 400, "topic": topic})

    def _watch(self, socket: Socket, target: str, more: str) -> None:
        contract_id = whole("conid", target.partition("@")[0])
        fields = _Fields.model_validate(_options(more)).fields
        line, _ = self._lines.open(contract_id)
        line.watchers.add(socket)
        socket.fields[contract_id] = {*fields, AVAILABILITY}
        socket.sent[contract_id] = {}
        self.send_line(socket, line)

    def _unwatch(self, socket: Socket, target: str, _: str) -> None:
        contract_id = whole("conid", target.partition("@")[0])
        socket.fields.pop(contract_id, None)
        self._lines.unwatch(contract_id, socket)

    def _orders(self, socket: Socket, _: str, __: str) -> None:
        self._require_log_in()
        socket.topics.add("sor")
        socket.put({"topic": "sor", "args": self._lists.today()})

    def _trades(self, socket: Socket, _: str, more: str) -> None:
        self._require_log_in()
        socket.topics.add("str")
        wanted = _Trades.model_validate(_options(more))
        if not wanted.realtimeUpdatesOnly:
            since = self._portal.engine.midnight() - timedelta(days=wanted.days - 1)
            socket.put({"topic": "str", "args": self._lists.trades_since(since)})

    def _profit(self, socket: Socket, _: str, __: str) -> None:
        self._require_log_in()
        socket.topics.add("spl")
        if not self.profits:
            for account in self._portal.engine.accounts:
                request_id = self._portal.request_id()
                self.profits[request_id] = account
                self._portal.send(requests.REQUEST_PNL, {"request_id": request_id, "account": account})
        socket.put({"topic": "spl", "args": self._accounts.profits()})

    def _summary(self, socket: Socket, target: str, _: str) -> None:
        self._check_account(target)
        socket.summaries.add(target)
        self.send_balances(socket)

    def _ledger(self, socket: Socket, target: str, _: str) -> None:
        self._check_account(target)
        socket.ledgers.add(target)
        self.send_balances(socket)

    def _end_summary(self, socket: Socket, target: str, _: str) -> None:
        socket.summaries.discard(target)
        socket.put({"result": "unsubscribed from summary"})

    def _end_ledger(self, socket: Socket, target: str, _: str) -> None:
        socket.ledgers.discard(target)
        socket.put({"result": "unsubscribed from ledger"})

    def _bars(self, socket: Socket, target: str, more: str) -> None:
        found = instrument(self._portal.market, whole("conid", target.partition("@")[0]))
        wanted = {name: str(value) for name, value in _options(more).items()}

        async def answer() -> None:
            topic = f"smh+{found.contract_id}"
            try:
                socket.put({"topic": topic, **await self._history.bars(found, wanted)})
            except WebError as error:
                socket.put({"error": error.text, "code": error.status, "topic": topic})

        task = asyncio.create_task(answer())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _end_bars(self, socket: Socket, target: str, _: str) -> None:
        socket.put({"message": f"Unsubscribed {target[:40]}"})

    def _tic(self, socket: Socket, _: str, __: str) -> None:
        self._flush()
        moment = self._accounts.milliseconds()
        socket.put({"topic": "tic", "alive": True, "id": self._portal.session_id, "lastAccessed": moment})

    def _require_log_in(self) -> None:
        if not self._portal.authenticated:
            raise WebError(500, "unable to subscribe")

    def _check_account(self, account: str) -> None:
        self._require_log_in()
        if account not in self._portal.engine.accounts:
            raise WebError(400, f"unknown account {account[:20]}")

    def send_line(self, socket: Socket, line: Line) -> None:
        contract_id = line.instrument.contract_id
        values, wanted = self._lines.values(line), socket.fields[contract_id]
        sent = socket.sent[contract_id]
        fresh = {name: values[name] for name in wanted if name in values and sent.get(name) != values[name]}
        if fresh or not sent:
            sent.update(fresh)
            identity = {"topic": f"smd+{contract_id}", "conid": contract_id, "conidEx": str(contract_id)}
            socket.put({**identity, **update_of(self._portal, line), **fresh})

    def send_balances(self, socket: Socket) -> None:
        seconds = self._accounts.milliseconds() // 1000
        for account in socket.summaries:
            values = self._accounts.summary_values(self._portal.engine.valuation(account))
            result = [
                {"key": value.key, "timestamp": seconds, "severity": 0}
                | ({"monetaryValue": float(value.value), "currency": value.currency} if value.currency else {})
                | ({} if value.currency else {"value": value.value})
                for value in values
            ]
            socket.put({"topic": f"ssd+{account}", "result": result})
        for account in socket.ledgers:
            ledger = self._accounts.ledger_of(self._portal.engine.valuation(account))
            rows = [{**each, "acctCode": account, "key": f"LedgerList{name}"} for name, each in ledger.items()]
            socket.put({"topic": f"sld+{account}", "result": rows})


def _options(text: str) -> dict[str, Any]:
    """Return the JSON object at the end of a subscription, an empty one if there is none."""
    if not text:
        return {}
    try:
        return _OBJECT.validate_json(text)
    except ValidationError:
        raise WebError(400, f"{text[:40]!r} is not a JSON object") from None
