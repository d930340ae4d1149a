"""An order's name is unique within its shard: two writers cannot know of each other's in time.

Locks: `orders` while the index is made, about three seconds a million named ones.
Reversal: `downgrade` refuses while an account uses one name in two markets.
"""

import sqlalchemy as sa
from alembic import op

revision = "017"
down_revision = "016"

_NAME = "uq_orders_account_id_client_order_id"
_COLUMNS = ("account_id", "client_order_id")
_IN_TWO = """
SELECT EXISTS (
    SELECT FROM orders WHERE client_order_id IS NOT NULL
    GROUP BY account_id, client_order_id HAVING count(*) > 1
)
"""


def upgrade() -> None:
    # An order's id is shard x 2^40 + n.
    _replace_by(*_COLUMNS, sa.text("(id >> 40)"))


def downgrade() -> None:
    if op.get_bind().scalar(sa.text(_IN_TWO)):
        raise RuntimeError("orders of one name stand in two markets; rename one before going back")
    _replace_by(*_COLUMNS)


def _replace_by(*columns: str | sa.TextClause) -> None:
    op.drop_index(_NAME, "orders")
    op.create_index(
        _NAME,
        "orders",
        columns,
        unique=True,
        postgresql_where=sa.text("client_order_id IS NOT NULL"),
    )
