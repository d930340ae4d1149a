"""Anchors: signed statements of where the audit chain was, which only grow, as the chain does.

Locks: none; the table is new.
Reversal: loses the anchors; the chain stays. `downgrade` refuses while there are any.
"""

import sqlalchemy as sa
from alembic import op

revision = "005"
down_revision = "004"

_REFUSE_CHANGE = """
    CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION {message} USING ERRCODE = 'insufficient_privilege';
    END
    $$
"""


def upgrade() -> None:
    op.create_table(
        "audit_anchors",
        sa.Column("chain", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signature", sa.LargeBinary(length=64), nullable=False),
        sa.PrimaryKeyConstraint("chain", "seq", name="pk_audit_anchors"),
    )
    op.execute(_REFUSE_CHANGE.format(message="'% only grows', TG_TABLE_NAME"))
    op.execute(
        "CREATE TRIGGER audit_anchors_only_grow "
        "BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_anchors "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()"
    )
    op.execute("ALTER TABLE audit_anchors ENABLE ALWAYS TRIGGER audit_anchors_only_grow")


def downgrade() -> None:
    if op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT FROM audit_anchors)")):
        raise RuntimeError("audit_anchors is not empty; export it before going back")
    op.drop_table("audit_anchors")
    op.execute(_REFUSE_CHANGE.format(message="'audit_events only grows'"))
