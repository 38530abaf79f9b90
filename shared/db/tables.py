"""Every table, with the one service that writes it. Migrations in `migrations/` create them."""

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Identity, Index, MetaData, Numeric, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = MetaData()
_TIME = DateTime(timezone=True)

# Written by every transactional service: the messages whose effects it has committed.
inbox = Table(
    "inbox",
    metadata,
    Column("consumer", Text, primary_key=True),
    Column("message_id", UUID, primary_key=True),
    Column("handled_at", _TIME, nullable=False),
)

# Written by every transactional service: what it has to say, committed with the state that says it.
outbox = Table(
    "outbox",
    metadata,
    Column("sequence", BigInteger, Identity(), primary_key=True),
    Column("message_id", UUID, nullable=False, unique=True),
    Column("producer", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("published", Boolean, nullable=False),
    Index("outbox_unpublished", "producer", "sequence", postgresql_where="NOT published"),
)

# Writer: marketdata.
bars = Table(
    "bars",
    metadata,
    Column("symbol", Text, primary_key=True),
    Column("timeframe", Text, primary_key=True),
    Column("end", _TIME, primary_key=True),
    Column("start", _TIME, nullable=False),
    Column("open", Numeric, nullable=False),
    Column("high", Numeric, nullable=False),
    Column("low", Numeric, nullable=False),
    Column("close", Numeric, nullable=False),
    Column("volume", Numeric, nullable=False),
    Column("message_id", UUID, nullable=False),
)

# Writer: risk. One row for each intent it judged, with every rule's value and limit.
decisions = Table(
    "decisions",
    metadata,
    Column("intent_id", UUID, primary_key=True),
    Column("strategy", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("approved", Boolean, nullable=False),
    Column("code", Text),  # the rule that refused it
    Column("order_id", Text, index=True),
    Column("intent", JSONB, nullable=False),
    Column("checks", JSONB, nullable=False),
    Column("placed", JSONB, nullable=False),  # the PlaceOrder it became; null where refused or an exit
    Column("decided_at", _TIME, nullable=False),
)

# Writer: risk. The trading state outlives every restart.
trading_state = Table(
    "trading_state",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("changed_at", _TIME, nullable=False),
)

# Writer: risk. The account as of the last reconciliation, and the session's opening value for the daily loss.
risk_account = Table(
    "risk_account",
    metadata,
    Column("account", Text, primary_key=True),
    Column("net_liquidation", Numeric, nullable=False),
    Column("session", Text, nullable=False),
    Column("session_open_value", Numeric, nullable=False),
    Column("reported_at", _TIME, nullable=False),
)

# Writer: execution. One row for each order at the broker: the entry and its two children.
orders = Table(
    "orders",
    metadata,
    Column("order_ref", Text, primary_key=True),
    Column("order_id", Text, nullable=False, index=True),
    Column("leg", Text, nullable=False),
    Column("strategy", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("quantity", Numeric, nullable=False),
    Column("limit_price", Numeric),
    Column("stop_price", Numeric),
    Column("time_in_force", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("filled", Numeric, nullable=False),
    Column("average_price", Numeric),
    Column("broker_order_id", BigInteger),
    Column("perm_id", BigInteger),
    Column("reason", Text),
    Column("created_at", _TIME, nullable=False),
    Column("changed_at", _TIME, nullable=False),
)

# Writer: execution. One row for each broker execution, booked once. A row whose id another one `corrects` is replaced.
fills = Table(
    "fills",
    metadata,
    Column("execution_id", Text, primary_key=True),
    Column("order_ref", Text, nullable=False, index=True),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("quantity", Numeric, nullable=False),
    Column("price", Numeric, nullable=False),
    Column("realised", Numeric, nullable=False),
    Column("commission", Numeric),
    Column("time", _TIME, nullable=False),
    Column("multiplier", Numeric, nullable=False),
    Column("corrects", Text),
)

# Writer: execution. Folded from fills: average price excludes commissions, realised is gross of them.
positions = Table(
    "positions",
    metadata,
    Column("symbol", Text, primary_key=True),
    Column("quantity", Numeric, nullable=False),
    Column("average_price", Numeric, nullable=False),
    Column("realised", Numeric, nullable=False),
    Column("commissions", Numeric, nullable=False),
    Column("changed_at", _TIME, nullable=False),
)

# Writer: execution. The account as the broker last reported it; start_cash is what the books
# began with: cash, plus the cost of positions that were there before.
accounts = Table(
    "accounts",
    metadata,
    Column("account", Text, primary_key=True),
    Column("start_cash", Numeric, nullable=False),
    Column("net_liquidation", Numeric, nullable=False),
    Column("cash", Numeric, nullable=False),
    Column("reported_at", _TIME, nullable=False),
)

# Writer: gateway. An order id is reserved and the send is claimed here before a byte goes to the broker; the verdict
# comes later, with the broker's first word.
broker_orders = Table(
    "broker_orders",
    metadata,
    Column("order_ref", Text, primary_key=True),
    Column("broker_order_id", BigInteger, unique=True),  # null where it was withdrawn before it had one
    Column("symbol", Text, nullable=False),
    Column("quantity", Numeric, nullable=False),
    Column("claimed_at", _TIME, nullable=False),
    Column("verdict", Text),  # answered, never_sent, lost; null while the broker has not said a word
    Column("reported_id", BigInteger),  # the id the broker speaks of it under, where it chooses that itself
)

# Writer: gateway. Who may talk to the broker; by the database's clock. The epoch rises whenever it changes hands.
leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", _TIME, nullable=False),
)

# Writer: scheduler.
job_runs = Table(
    "job_runs",
    metadata,
    Column("run_id", UUID, primary_key=True),
    Column("job", Text, nullable=False),
    Column("scheduled_for", _TIME, nullable=False),
    Column("started_at", _TIME, nullable=False),
    Column("finished_at", _TIME),
    Column("outcome", Text),
    Column("detail", Text),
    Column("duration_seconds", Numeric),
)

# Writer: notifier. One row for each alert, so that a redelivery alerts once.
alerts = Table(
    "alerts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("channels", BigInteger, nullable=False),
    Column("failed", Text, nullable=False),
    Column("sent_at", _TIME, nullable=False),
)
