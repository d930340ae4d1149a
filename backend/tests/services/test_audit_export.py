"""What is taken out says what is stored, can be proved, and runs nowhere."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.audit_chain import verify_chain
from backend.app.database import Database
from backend.app.repositories.audit_repository import StoredEvent
from backend.app.schemas.audit_schemas import AuditFilter
from backend.app.services.audit_export import COLUMNS, as_csv, as_json_lines, csv_header, harmless
from backend.app.services.audit_trail_service import AuditTrailService
from backend.tests.support.trail import AT, append, event, trail


async def exported(database: Database, wanted: AuditFilter) -> list[StoredEvent]:
    service = AuditTrailService(database, lambda: AT)
    return [one async for events in service.export(wanted) for one in events]


async def test_exported_json_lines_can_be_proved_without_the_database(database: Database) -> None:
    await append(database, *(event(n) for n in range(20)))

    lines = as_json_lines(await exported(database, AuditFilter())).splitlines()

    told = [json.loads(line) for line in lines]
    links = [
        StoredEvent(
            one["seq"],
            stored.at,
            json.dumps(one["event"], sort_keys=True, separators=(",", ":")).encode(),
            bytes.fromhex(one["hash"]),
        )
        for one, stored in zip(told, await trail(database), strict=False)
    ]
    assert len(links) == 20
    assert verify_chain(links) is None


async def test_an_export_is_recorded_before_it_begins(database: Database) -> None:
    await append(database, event(1))

    await exported(database, AuditFilter())

    last = json.loads((await trail(database))[-1].payload)
    assert (last["act"], last["purpose"]) == ("audit.read", "export")


async def test_only_what_is_looked_for_is_exported(database: Database) -> None:
    await append(database, *(event(n, user=n % 3) for n in range(30)))

    found = await exported(
        database, AuditFilter(actor="user:1", since=AT.replace(second=10), act="user.changed")
    )

    assert [json.loads(one.payload)["n"] for one in found] == [10, 13, 16, 19, 22, 25, 28]


async def test_csv_says_the_same_as_the_trail(database: Database) -> None:
    await append(database, *(event(n) for n in range(3)))

    text = csv_header() + as_csv(await exported(database, AuditFilter()))

    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == COLUMNS
    for row, stored in zip(rows, await trail(database), strict=False):
        told = json.loads(stored.payload)
        assert row["seq"] == str(stored.seq)
        assert row["hash"] == stored.hash.hex()
        assert (row["act"], row["at"], row["ip"]) == (told["act"], told["at"], told["ip"])
        assert (row["actor_id"], row["owner"], row["n"]) == ("7", "7", str(told["n"]))


@given(st.text())
def test_no_cell_is_a_formula_and_none_is_lost(cell: str) -> None:
    shown = harmless(cell)

    assert not shown.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert shown in {cell, f"'{cell}"}


@pytest.mark.parametrize(
    "payload", [b"\xff\x00", b"", b"7", b'{"act":"=cmd|\' /C calc\'!A0"}', b'{"act":\n"x"}']
)
def test_what_was_tampered_with_is_exported_harmlessly(payload: bytes) -> None:
    events = [StoredEvent(1, AT, payload, bytes(32))]

    (line,) = as_json_lines(events).splitlines()
    (row,) = csv.reader(io.StringIO(as_csv(events)))

    assert json.loads(line)["seq"] == 1
    assert all(not cell.startswith(("=", "+", "-", "@")) for cell in row)
