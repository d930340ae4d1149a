"""The chain: its known answer, and that no row can be touched unseen."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.audit_chain import GENESIS, Head, extend, verify_chain
from backend.app.audit_record import SYSTEM, Act, AuditRecord, Outcome

AT = datetime(2026, 11, 21, tzinfo=UTC)
LENGTH = 6


class Row(NamedTuple):
    seq: int
    at: datetime
    payload: bytes
    hash: bytes


def replace(row: Row, **changes: Any) -> Row:
    return row._replace(**changes)


def chain(length: int = LENGTH) -> list[Row]:
    rows, head = [], GENESIS
    for n in range(length):
        at = AT + timedelta(microseconds=n)
        record = AuditRecord(act=Act.LOGIN, outcome=Outcome.DONE, caller=SYSTEM, at=at, n=n)
        head = extend(head, record.payload())
        rows.append(Row(head.seq, at, record.payload(), head.hash))
    return rows


def flipped(raw: bytes, bit: int) -> bytes:
    changed = bytearray(raw)
    changed[bit // 8 % len(raw)] ^= 1 << bit % 8
    return bytes(changed)


def test_a_link_hashes_everything_before_it() -> None:
    first = hashlib.sha256(
        b"sr-audit/1\x00" + bytes(32) + b"\0\0\0\0\0\0\0\1" + b"\0\0\0\2" + b"{}"
    ).digest()
    second = hashlib.sha256(
        b"sr-audit/1\x00" + first + b"\0\0\0\0\0\0\0\2" + b"\0\0\0\2" + b"[]"
    ).digest()

    assert extend(extend(GENESIS, b"{}"), b"[]") == Head(2, second)


def test_an_untouched_chain_is_proved() -> None:
    assert verify_chain(chain()) is None


def test_an_empty_chain_is_proved() -> None:
    assert verify_chain([]) is None


@pytest.mark.parametrize("cut", range(LENGTH + 1))
def test_a_chain_is_proved_page_by_page(cut: int) -> None:
    rows = chain()
    first, second = rows[:cut], rows[cut:]
    reached = Head(first[-1].seq, first[-1].hash) if first else GENESIS

    assert verify_chain(first) is None
    assert verify_chain(second, reached) is None


@given(place=st.integers(0, LENGTH - 1), bit=st.integers(0, 100_000))
def test_a_flipped_bit_is_found_where_it_is(place: int, bit: int) -> None:
    row = chain()[place]

    for changed in (
        replace(row, payload=flipped(row.payload, bit)),
        replace(row, hash=flipped(row.hash, bit)),
    ):
        rows = chain()
        rows[place] = changed
        assert verify_chain(rows) == place + 1


@given(place=st.integers(0, LENGTH - 1), microseconds=st.integers(-(10**12), 10**12))
def test_a_changed_time_is_found_where_it_is(place: int, microseconds: int) -> None:
    rows = chain()
    rows[place] = replace(rows[place], at=rows[place].at + timedelta(microseconds=microseconds))

    assert verify_chain(rows) == (place + 1 if microseconds else None)


@pytest.mark.parametrize("place", range(LENGTH))
@pytest.mark.parametrize("seq", [-1, 0, 3, 99])
def test_a_changed_number_is_found_where_it_is(place: int, seq: int) -> None:
    rows = chain()
    renumbered = replace(rows[place], seq=seq)

    rows[place] = renumbered

    assert verify_chain(rows) == (None if seq == place + 1 else place + 1)


@pytest.mark.parametrize("place", range(LENGTH - 1))
@pytest.mark.parametrize(
    "tamper",
    [
        lambda rows, place: rows[:place] + rows[place + 1 :],
        lambda rows, place: [*rows[:place], rows[place + 1], rows[place], *rows[place + 2 :]],
        lambda rows, place: [*rows[:place], rows[-1], *rows[place:]],
    ],
    ids=["removed", "swapped", "inserted"],
)
def test_a_row_out_of_place_is_found(
    tamper: Callable[[list[Row], int], list[Row]], place: int
) -> None:
    assert verify_chain(tamper(chain(), place)) == place + 1


def test_a_chain_made_anew_from_a_row_on_ends_elsewhere() -> None:
    rows = chain()
    head = Head(rows[2].seq, rows[2].hash)
    for row in chain()[3:]:
        payload = row.payload.replace(b"done", b"deny")
        head = extend(head, payload)

    assert head.seq == rows[-1].seq
    assert head.hash != rows[-1].hash
