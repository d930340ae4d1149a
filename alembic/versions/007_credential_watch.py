"""When each credential is tried next, so that many processes share the work.

Locks: `api_credentials` against writes while its index is built, a second for a million rows.
Reversal: loses only the times; the watch draws new ones.
"""

import sqlalchemy as sa
from alembic import op

revision = "007"
down_revision = "006"

_INDEX = "ix_api_credentials_environment_exchange_name_next_check_at"


def upgrade() -> None:
    op.add_column(
        "api_credentials", sa.Column("next_check_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index(_INDEX, "api_credentials", ["environment", "exchange_name", "next_check_at"])


def downgrade() -> None:
    op.drop_index(_INDEX, table_name="api_credentials")
    op.drop_column("api_credentials", "next_check_at")
