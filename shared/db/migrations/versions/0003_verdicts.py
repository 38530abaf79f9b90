"""What became of every order that the gateway sent; corrected fills, and those of contracts."""

import sqlalchemy as sa
from alembic import op

revision = "0003_verdicts"
down_revision = "0002_leases"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("broker_orders", sa.Column("quantity", sa.Numeric(), nullable=False, server_default="0"))
    op.alter_column("broker_orders", "quantity", server_default=None)
    op.add_column("broker_orders", sa.Column("verdict", sa.Text()))
    op.add_column("broker_orders", sa.Column("reported_id", sa.BigInteger()))
    op.alter_column("broker_orders", "broker_order_id", nullable=True)
    op.execute("UPDATE broker_orders SET verdict = 'answered'")  # all that were sent until now were waited for
    op.add_column("fills", sa.Column("multiplier", sa.Numeric(), nullable=False, server_default="1"))
    op.alter_column("fills", "multiplier", server_default=None)
    op.add_column("fills", sa.Column("corrects", sa.Text()))


def downgrade() -> None:
    op.drop_column("fills", "corrects")
    op.drop_column("fills", "multiplier")
    op.execute("DELETE FROM broker_orders WHERE broker_order_id IS NULL")
    op.alter_column("broker_orders", "broker_order_id", nullable=False)
    for column in ("reported_id", "verdict", "quantity"):
        op.drop_column("broker_orders", column)
