"""A broker without sockets: requests go in as fields, and what each client is sent is kept, read back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from services.simulator.app import Simulator
from services.simulator.broker import Broker
from services.simulator.config import Settings
from services.simulator.handlers.dispatch import dispatch
from services.simulator.session import ClientSession
from services.simulator.wire import requests
from services.simulator.wire.answers import read_answer
from services.simulator.wire.framing import LENGTH, split_fields
from services.simulator.wire.layout import Row

STOCK = {"symbol": "AAPL", "sec_type": "STK", "currency": "USD", "exchange": "SMART"}
AAPL, IBM = 265598, 8314
OPEN = datetime(2010, 1, 4, 14, 30, tzinfo=UTC)


class _Transport:
    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        """Nothing to break."""


class _Writer:
    transport = _Transport()


@dataclass
class Client:
    """A started client and all that it was sent: message name and values, an error as code and text."""

    broker: Broker
    session: ClientSession
    sent: list[tuple[str, Row]] = field(default_factory=list[tuple[str, Row]])

    def ask(self, message_id: int, **values: object) -> list[tuple[str, Row]]:
        """Send a request; return what came of it."""
        self.sent.clear()
        fields = requests.write_request(message_id, values, self.session.version)  # type: ignore[arg-type]
        dispatch(self.broker, self.session, fields)
        return list(self.sent)

    def place(self, order_id: int, action: str, order_type: str, **values: object) -> list[tuple[str, Row]]:
        """Place an order for 100 shares of AAPL, or what `values` say."""
        order: Mapping[str, object] = {
            **STOCK,
            "order_id": order_id,
            "action": action,
            "order_type": order_type,
            "total_quantity": 100,
            "tif": "DAY",
            "transmit": True,
        }
        return self.ask(requests.PLACE, **{**order, **values})

    def names(self) -> list[str]:
        """What was sent since the last request, in short: names, of statuses also the status, of errors the code."""
        return [f"{name} {_detail(name, row)}".strip() for name, row in self.sent]


def _detail(name: str, row: Row) -> str:
    return str(row.get({"openOrder": "status", "orderStatus": "status", "error": "code"}.get(name, "")) or "")


def make_simulator(folder: Path | None, **changes: object) -> Simulator:
    """A simulator of AAPL and IBM in January 2010; `changes` are settings."""
    values: dict[str, object] = {
        "symbols": ("AAPL", "IBM"),
        "start": date(2010, 1, 4),
        "end": date(2010, 1, 8),
        "warmup_days": 30,
    }
    return Simulator(Settings.model_validate({**values, **changes}), folder)


def make_broker(**changes: object) -> Broker:
    """Its broker, without a journal."""
    return make_simulator(None, **changes).broker


def open_broker(**changes: object) -> Broker:
    """A broker at the open of the first day."""
    broker = make_broker(**changes)
    broker.advance(OPEN)
    return broker


def join(broker: Broker, client_id: int = 1, version: int = 178) -> Client:
    session = ClientSession(version, _Writer(), 1 << 40)  # type: ignore[arg-type]
    client = Client(broker, session)

    def keep(_: ClientSession, frame: bytes) -> None:
        message, row = read_answer(split_fields(frame[LENGTH.size :]), version)
        client.sent.append((message.name, row))

    session.filter = keep
    broker.join(client_id, session)
    return client
