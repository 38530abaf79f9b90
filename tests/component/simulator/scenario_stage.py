"""A scenario on stage: the simulator under it, an unmodified ib_async client, and an audit of the books at the end."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from ib_async import IB, Contract, LimitOrder, MarketOrder, Trade

from services.simulator.app import Simulator
from tests.component.simulator.simulation import AAPL, OPEN, connected, running, until

NEXT_OPEN = OPEN + timedelta(days=1)
SUNDAY = datetime(2010, 1, 10, 6, tzinfo=UTC)
"""01:00 in New York, of the first Sunday."""
CASH = Decimal(1_000_000)
SCALE = 0.02
"""Real seconds that a second of a fault script lasts in these tests."""


@dataclass
class Play:
    """The simulator, the client, and every error the client was told, as (id, code)."""

    simulator: Simulator
    client: IB
    errors: list[tuple[int, int]] = field(default_factory=list)
    edited: dict[int, Decimal] = field(default_factory=dict)
    """What was put into positions without a trade, by contract id: its quantity."""

    @property
    def codes(self) -> list[int]:
        return [code for _, code in self.errors]

    def listen(self, client: IB) -> None:
        client.errorEvent += lambda request_id, code, _text, _contract: self.errors.append((request_id, code))

    def record(self, *callbacks: str) -> list[tuple[Any, ...]]:
        """Return a list that grows with every call of these callbacks, as the client decodes it: name, arguments."""
        calls: list[tuple[Any, ...]] = []

        def recorded(name: str) -> Callable[..., None]:
            method = getattr(self.client.wrapper, name)

            def call(*arguments: Any) -> None:
                calls.append((name, *arguments))
                method(*arguments)

            return call

        for name in callbacks:
            setattr(self.client.wrapper, name, recorded(name))
        return calls

    def advance(self, to: datetime = OPEN, **later: float) -> None:
        self.simulator.broker.advance(to + timedelta(**later))

    def buy(self, quantity: float = 100, limit: float | None = None, **terms: object) -> Trade:
        order = MarketOrder("BUY", quantity) if limit is None else LimitOrder("BUY", quantity, limit)
        order.tif = "DAY"
        for name, value in terms.items():
            setattr(order, name, value)
        return self.client.placeOrder(AAPL, order)

    async def settled(self) -> None:
        """Wait until all that the simulator has said so far has reached the client, and the other way round."""
        await self.client.reqCurrentTimeAsync()

    def held(self, symbol: str = "AAPL") -> Decimal:
        """What the simulator's own books say is held."""
        engine = self.simulator.engine
        (account,) = engine.accounts.values()
        return sum(
            (
                position.quantity
                for contract_id, position in account.positions.items()
                if engine.market.instrument(contract_id).symbol == symbol
            ),
            Decimal(0),
        )

    def audit(self) -> None:
        """Orders, positions and cash follow from the executions alone; corrected ones count as corrected."""
        engine = self.simulator.engine
        final = {one.execution_id.rsplit(".", 1)[0]: one for one in engine.executions if not one.combo}
        cash, quantities, filled = CASH, dict(self.edited), dict[tuple[int, int], Decimal]()
        for one in final.values():
            signed = one.shares if one.side == "BOT" else -one.shares
            cash -= signed * one.price + one.commission
            quantities[one.contract_id] = quantities.get(one.contract_id, Decimal(0)) + signed
            filled[one.order.request.key] = filled.get(one.order.request.key, Decimal(0)) + one.shares
        (account,) = engine.accounts.values()
        assert engine.valuation(account.account_id).cash == cash
        assert {key: position.quantity for key, position in account.positions.items()} == quantities
        for order in engine.book.orders.values():
            assert order.filled == filled.get(order.request.key, 0) <= order.request.quantity


@asynccontextmanager
async def play(folder: Path, scenario: str, *, connect: bool = True, **changes: object) -> AsyncIterator[Play]:
    """Run a scenario at the first open with one client, and audit the books when the test is done."""
    settings = {"scenario": scenario, "fault_seconds": SCALE, "messages_per_second": 0, **changes}
    async with running(folder, **settings) as simulator:
        simulator.broker.advance(OPEN)
        stage = Play(simulator, IB())
        stage.listen(stage.client)
        try:
            if connect:
                await reconnect(stage)
                stage.errors.clear()
            yield stage
            stage.audit()
        finally:
            stage.client.disconnect()


async def reconnect(stage: Play, seconds: float = 5) -> None:
    """Connect, also after the connection was lost; all lists must come."""
    await stage.client.connectAsync(
        "127.0.0.1", stage.simulator.port, clientId=1, timeout=seconds, raiseSyncErrors=True
    )


__all__ = [
    "AAPL",
    "CASH",
    "NEXT_OPEN",
    "OPEN",
    "Contract",
    "Play",
    "connected",
    "play",
    "reconnect",
    "running",
    "until",
]
