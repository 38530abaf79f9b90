"""What one client has subscribed to of its accounts, and what it was last sent of it."""

from dataclasses import dataclass, field

from services.simulator.wire.layout import Values


@dataclass(slots=True)
class ValueSubscription:
    """A subscription to the values of `accounts`, and the values last sent, by account, key and currency."""

    accounts: tuple[str, ...]
    tags: frozenset[str] | None = None
    ledger_only: bool = False
    sent: dict[tuple[str, str, str], str] = field(default_factory=dict[tuple[str, str, str], str])
    portfolio: dict[int, Values] = field(default_factory=dict[int, Values])
    """The positions last sent, by contract id."""


@dataclass(slots=True)
class ProfitSubscription:
    """A subscription to the profit of an account, or of its position in one contract, and what was last sent."""

    account: str
    contract_id: int | None = None
    sent: tuple[str, ...] = ()


@dataclass(slots=True)
class AccountSubscriptions:
    """All of a session's subscriptions to accounts; those with a request id by it."""

    positions: bool = False
    positions_multi: dict[int, str] = field(default_factory=dict[int, str])
    updates: ValueSubscription | None = None
    updates_multi: dict[int, ValueSubscription] = field(default_factory=dict[int, ValueSubscription])
    summaries: dict[int, ValueSubscription] = field(default_factory=dict[int, ValueSubscription])
    profits: dict[int, ProfitSubscription] = field(default_factory=dict[int, ProfitSubscription])
