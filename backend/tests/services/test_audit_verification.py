"""Whatever is done to the trail behind the house's back is found, and named."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from backend.app.audit_anchor import Anchor
from backend.app.audit_chain import Head
from backend.app.database import Database
from backend.app.repositories.audit_anchor_repository import AuditAnchorRepository
from backend.app.services.anchor_key import AnchorKey
from backend.app.services.audit_verification import AuditVerification, Proof
from backend.tests.support.trail import AT, append, chained_anew, event, tampered, trail

LENGTH = 12
ANCHORED = 9
COPY = (
    "INSERT INTO audit_events SELECT {chain}, {seq}, at, payload, hash "
    "FROM audit_events WHERE seq = {source}"
)


SWAP = (
    "UPDATE audit_events a SET payload = b.payload, at = b.at FROM audit_events b "
    "WHERE (a.seq, b.seq) IN ((5, 6), (6, 5))"
)
HEAD_AT = (
    "UPDATE audit_chain_heads h SET seq = e.seq, hash = e.hash FROM audit_events e WHERE e.seq ="
)


@dataclass
class House:
    database: Database
    key: AnchorKey = field(default_factory=lambda: AnchorKey(bytes(range(32))))

    async def anchor(self, seq: int) -> Anchor:
        stored = (await trail(self.database))[seq - 1]
        head = Head(stored.seq, stored.hash)
        anchor = Anchor(*head, AT, self.key.sign(head))
        async with self.database.transaction() as session:
            await AuditAnchorRepository(session).add(anchor)
        return anchor

    async def verified(self, *kept: Anchor, **options: Any) -> Proof:
        return await AuditVerification(
            self.database, self.key.verifier, kept, page_rows=5, **options
        ).run()

    async def finding(self, *kept: Anchor) -> int | None:
        found = (await self.verified(*kept)).finding
        return None if found is None else found.seq


@pytest.fixture
async def house(database: Database) -> House:
    house = House(database)
    await append(database, *(event(n) for n in range(LENGTH)))
    await house.anchor(4)
    await house.anchor(ANCHORED)
    return house


async def test_an_untouched_trail_is_proved(house: House) -> None:
    assert await house.verified() == Proof(LENGTH, 2, None, None)


async def test_an_empty_trail_is_proved(database: Database) -> None:
    assert (await House(database).verified()) == Proof(0, 0, None, None)


@pytest.mark.parametrize(
    "change",
    [
        "chain = 'other'",
        "seq = 1000",
        "seq = -5",
        "at = at + interval '1 microsecond'",
        "at = at - interval '1 year'",
        "payload = set_bit(payload, 100, 1 - get_bit(payload, 100))",
        "payload = set_bit(payload, 0, 1 - get_bit(payload, 0))",
        "payload = payload || ' '::bytea",
        "payload = ''::bytea",
        "hash = set_bit(hash, 255, 1 - get_bit(hash, 255))",
        "hash = ''::bytea",
    ],
)
async def test_a_change_of_any_column_of_any_row_is_found_there(house: House, change: str) -> None:
    await tampered(house.database, "CREATE TABLE sound AS SELECT * FROM audit_events")

    for seq in range(1, LENGTH + 1):
        await tampered(house.database, f"UPDATE audit_events SET {change} WHERE seq = {seq}")
        # A row moved before the first is met first.
        assert await house.finding() == (1 if change == "seq = -5" else seq)
        await tampered(
            house.database,
            "TRUNCATE audit_events",
            "INSERT INTO audit_events SELECT * FROM sound",
        )

    assert await house.finding() is None


@pytest.mark.parametrize(
    ("statements", "bad"),
    [
        (["DELETE FROM audit_events WHERE seq = 1"], 1),
        (["DELETE FROM audit_events WHERE seq = 7"], 7),
        (["DELETE FROM audit_events WHERE seq = 12"], 12),
        (["DELETE FROM audit_events"], 1),
        (["TRUNCATE audit_events"], 1),
        ([COPY.format(chain="'main'", seq="0", source=1)], 1),
        ([COPY.format(chain="'main'", seq="13", source=12)], 13),
        ([COPY.format(chain="'other'", seq="1", source=1)], 13),
        (
            [
                "UPDATE audit_events SET seq = 500 WHERE seq = 5",
                "UPDATE audit_events SET seq = 5 WHERE seq = 6",
                "UPDATE audit_events SET seq = 6 WHERE seq = 500",
            ],
            5,
        ),
        (
            [SWAP],
            5,
        ),
        (["UPDATE audit_chain_heads SET seq = 20"], 13),
        (["UPDATE audit_chain_heads SET hash = decode(repeat('00', 32), 'hex')"], 13),
        (["UPDATE audit_chain_heads SET chain = 'other'"], 1),
        (["DELETE FROM audit_chain_heads"], 1),
        (
            [
                "DELETE FROM audit_events WHERE seq > 10",
                f"{HEAD_AT} 10",
            ],
            None,
        ),
        (
            [
                "DELETE FROM audit_events WHERE seq > 8",
                f"{HEAD_AT} 8",
            ],
            9,
        ),
        (["UPDATE audit_anchors SET hash = decode(repeat('00', 32), 'hex') WHERE seq = 4"], 4),
        (["UPDATE audit_anchors SET seq = 5 WHERE seq = 4"], 5),
        (["UPDATE audit_anchors SET seq = 50 WHERE seq = 4"], 13),
        (["UPDATE audit_anchors SET signature = set_byte(signature, 9, 1) WHERE seq = 9"], 9),
        (["UPDATE audit_anchors SET signature = ''::bytea WHERE seq = 9"], 9),
    ],
)
async def test_removed_swapped_inserted_and_truncated_rows_are_found(
    house: House, statements: list[str], bad: int | None
) -> None:
    await tampered(house.database, *statements)

    # What lies behind the newest anchor may be cut off unseen: ten seconds at the most.
    assert await house.finding() == bad


async def test_a_cut_behind_the_newest_anchor_is_found_by_a_later_one_kept_elsewhere(
    house: House,
) -> None:
    kept = await house.anchor(LENGTH)
    await tampered(
        house.database,
        "DELETE FROM audit_anchors WHERE seq = 12",
        "DELETE FROM audit_events WHERE seq > 10",
        f"{HEAD_AT} 10",
    )

    assert await house.finding() is None
    assert await house.finding(kept) == 11


@pytest.mark.parametrize("place", range(ANCHORED))
async def test_a_chain_made_anew_without_the_key_is_found(house: House, place: int) -> None:
    payloads = [stored.payload for stored in await trail(house.database)]
    payloads[place] = payloads[place].replace(b'"outcome":"done"', b'"outcome":"fail"')
    await chained_anew(house.database, payloads)

    found = (await house.verified()).finding

    assert found is not None
    # The first anchor at or after the forged event contradicts it.
    assert found.seq == (4 if place < 4 else ANCHORED)
    assert "anchored" in found.what


async def test_a_forger_who_also_takes_the_anchors_is_found_by_those_kept_elsewhere(
    house: House,
) -> None:
    kept = await house.anchor(LENGTH)
    payloads = [stored.payload for stored in await trail(house.database)]
    payloads[2] = payloads[2].replace(b"192.0.2.1", b"192.0.2.9")
    await chained_anew(house.database, payloads)
    await tampered(house.database, "DELETE FROM audit_anchors")

    assert await house.finding() is None
    assert await house.finding(kept) == LENGTH


async def test_a_forger_who_signs_with_a_key_of_his_own_is_found(house: House) -> None:
    forger = House(house.database, AnchorKey(bytes(32)))
    await forger.anchor(11)

    found = (await house.verified()).finding

    assert found is not None
    assert (found.seq, found.what) == (11, "its anchor is not signed by this installation")


async def test_anchors_that_nobody_can_check_are_no_proof(house: House) -> None:
    proof = await AuditVerification(house.database, None).run()

    assert proof.finding is not None


async def test_a_forged_anchor_from_outside_is_found(house: House) -> None:
    kept = await house.anchor(LENGTH)

    assert await house.finding(kept._replace(hash=bytes(32))) == LENGTH
    assert await house.finding(kept._replace(at=AT + timedelta(1))) is None


async def test_a_trail_of_many_pages_is_proved_and_tampering_found_in_each(
    house: House,
) -> None:
    seen: list[tuple[int, int]] = []
    proof = await house.verified(progress=lambda done, of: seen.append((done, of)))

    assert proof.finding is None
    assert seen == [(5, 12), (10, 12), (12, 12)]
    for seq in (5, 6, 10, 11):
        await tampered(house.database, f"UPDATE audit_events SET at = now() WHERE seq = {seq}")
        assert await house.finding() == seq
        change = f"at = timestamptz '{AT}' + interval '{seq - 1} s'"
        await tampered(house.database, f"UPDATE audit_events SET {change} WHERE seq = {seq}")
    assert await house.finding() is None
