"""What the feed follows: the orders each entry of the journal changed, and how far it has told.

Locks: `venue_journal` for a moment; older entries say nothing of what they changed.
Reversal: loses how far the feed has told, and nothing else: what it told stays told.
"""

import sqlalchemy as sa
from alembic import op

revision = "016"
down_revision = "015"


def upgrade() -> None:
    op.add_column("venue_journal", sa.Column("changed", sa.ARRAY(sa.BigInteger()), nullable=True))
    # As with the commands: to compress it would cost the engine more than it is worth.
    op.execute("ALTER TABLE venue_journal ALTER COLUMN changed SET STORAGE EXTERNAL")
    op.create_table(
        "venue_feeds",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("trade_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard", name="pk_venue_feeds"),
    )
    # Trades from the first one on: they become candles. What orders were before is no news.
    op.execute(
        "INSERT INTO venue_feeds (shard, sequence, trade_id)"
        " SELECT 1, coalesce(max(sequence), 0), 0 FROM venue_journal WHERE shard = 1"
    )


def downgrade() -> None:
    op.drop_table("venue_feeds")
    op.drop_column("venue_journal", "changed")
