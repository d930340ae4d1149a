"""Entries of the ledger as they are shown."""

import csv
import io
from collections.abc import Sequence
from typing import Final

from backend.app.money import in_cents
from backend.app.repositories.ledger_repository import Entry
from backend.app.schemas.merchant_schemas import Statement, StatementLine

COLUMNS: Final = tuple(StatementLine.model_fields)


def shown(entry: Entry) -> StatementLine:
    """Return one entry as a line of a statement."""
    return StatementLine(
        movement_id=entry.movement_id,
        at=entry.at,
        kind=entry.kind,
        amount=entry.amount,
        balance=entry.balance,
        # So far everything that names something names a withdrawal.
        withdrawal_id=entry.reference_id,
        reverses_id=entry.reverses_id,
    )


def statement(entries: Sequence[Entry], limit: int) -> Statement:
    """Return a page of entries, of which one more than `limit` was read."""
    items = [shown(entry) for entry in entries[:limit]]
    more = len(entries) > limit
    return Statement(items=items, next_cursor=str(items[-1].movement_id) if more else None)


def as_csv(lines: Sequence[StatementLine]) -> str:
    """Return lines of a statement as CSV, with the names of the columns first."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(_cells(line) for line in lines)
    return out.getvalue()


def _cells(line: StatementLine) -> tuple[str | int, ...]:
    # Words of ours and numbers: nothing that a spreadsheet could take for a formula.
    return (
        line.movement_id,
        line.at.isoformat(),
        line.kind.value,
        in_cents(line.amount),
        in_cents(line.balance),
        "" if line.withdrawal_id is None else line.withdrawal_id,
        "" if line.reverses_id is None else line.reverses_id,
    )
