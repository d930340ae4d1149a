"""Somebody's requests are found in the order they are shown in.

Locks: writing to the log of requests, while the index is built; what is asked meanwhile is written
afterwards.
Reversal: loses nothing.
"""

from alembic import op

revision = "018"
down_revision = "017"


def upgrade() -> None:
    op.create_index("ix_api_request_log_user_id_at_id", "api_request_log", ["user_id", "at", "id"])
    op.drop_index("ix_api_request_log_user_id_id", "api_request_log")


def downgrade() -> None:
    op.create_index("ix_api_request_log_user_id_id", "api_request_log", ["user_id", "id"])
    op.drop_index("ix_api_request_log_user_id_at_id", "api_request_log")
