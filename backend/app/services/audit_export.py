"""The trail as text: JSON lines that keep the chain provable, or CSV that no spreadsheet runs."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Final

from backend.app.repositories.audit_repository import StoredEvent
from backend.app.services.audit_trail_service import facts_of

COLUMNS: Final = (
    *("seq", "at", "act", "outcome", "actor_type", "actor_id", "session", "key_prefix"),
    *("object_type", "object_id", "owner", "field", "purpose", "reason", "req", "ip"),
    *("kid", "rev", "ct", "n", "hash"),
)
# What makes a spreadsheet take a cell for a formula.
# Source: OWASP, "CSV Injection".
_FORMULA_MARKS: Final = ("=", "+", "-", "@", "\t", "\r")


def as_json_lines(events: Sequence[StoredEvent]) -> str:
    """Return a line an event, with its payload byte for byte, so that the chain can be proved."""
    return "".join(f"{_json_line(event)}\n" for event in events)


def csv_header() -> str:
    """Return the names of the columns as the first line."""
    return _csv_line(COLUMNS)


def as_csv(events: Sequence[StoredEvent]) -> str:
    """Return a line an event, one column a member."""
    return "".join(_csv_line(_cells(event)) for event in events)


def _json_line(event: StoredEvent) -> str:
    head = f'{{"seq":{event.seq},"hash":"{event.hash.hex()}",'
    if facts_of(event.payload) and event.payload.isascii() and b"\n" not in event.payload:
        return f'{head}"event":{event.payload.decode("ascii")}}}'
    return f'{head}"unreadable":{json.dumps(event.payload.hex())}}}'


def _cells(event: StoredEvent) -> list[str]:
    told = facts_of(event.payload)
    for name, member in (("actor", told.get("actor")), ("object", told.get("object"))):
        if isinstance(member, dict):
            told |= {f"{name}_type": member.get("type"), f"{name}_id": member.get("id")}
            told |= {
                key: member[key] for key in ("session", "key_prefix", "owner") if key in member
            }
    told |= {"seq": event.seq, "hash": event.hash.hex()}
    return [harmless("" if (value := told.get(name)) is None else str(value)) for name in COLUMNS]


def harmless(cell: str) -> str:
    """Return a cell that every spreadsheet shows as text and none computes."""
    return f"'{cell}" if cell.startswith(_FORMULA_MARKS) else cell


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()
