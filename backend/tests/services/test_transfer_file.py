"""A file of records opens for its recipient as it was written, or not at all."""

import base64
import hashlib
import io
import string
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.errors import TransferRefused
from backend.app.services.transfer_file import (
    LINE_BYTES_MAX,
    RECORDS_MAX,
    TransferHeader,
    TransferReader,
    TransferSealer,
)
from backend.app.services.transfer_recipient import RecipientKey

KEY, OTHER_KEY = RecipientKey(bytes(range(32))), RecipientKey(bytes(range(1, 33)))
AT = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)
SENDER = "0123456789abcdef" * 2
ALPHABET = (string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_").encode()
RECORDS = st.lists(st.binary(max_size=300), max_size=8)


def written(records: Sequence[bytes], key: RecipientKey = KEY, at: datetime = AT) -> bytes:
    sealer = TransferSealer(TransferHeader(at, SENDER, key.recipient.fingerprint), key.recipient)
    return sealer.beginning() + b"".join(map(sealer.sealed, records)) + sealer.end()


def read(file: bytes, key: RecipientKey = KEY) -> list[bytes]:
    return list(TransferReader(io.BytesIO(file), key).records())


def refusal(file: bytes, key: RecipientKey = KEY) -> str:
    with pytest.raises(TransferRefused) as refused:
        read(file, key)
    return refused.value.detail


@given(RECORDS)
def test_what_was_written_is_read(records: list[bytes]) -> None:
    assert read(written(records)) == records


def test_a_reader_knows_the_file_when_it_has_come_to_its_end() -> None:
    file = written([b"one"])
    reader = TransferReader(io.BytesIO(file), KEY)

    list(reader.records())

    assert reader.header == TransferHeader(AT, SENDER, KEY.recipient.fingerprint)
    assert reader.sha256 == hashlib.sha256(file).hexdigest()


@given(RECORDS, st.data())
def test_no_byte_can_be_another(records: list[bytes], data: st.DataObject) -> None:
    file = bytearray(written(records))
    at = data.draw(st.integers(0, len(file) - 1))
    file[at] ^= data.draw(st.integers(1, 255))

    refusal(bytes(file))


@pytest.mark.parametrize("line", [1, 2, 3])
def test_no_line_has_a_second_spelling(line: int) -> None:
    lines = written([b"seven b"]).splitlines()
    last = ALPHABET.index(lines[line][-1])
    other = lines[line][:-1] + ALPHABET[last ^ 1 :][:1]
    # The last character of these lines carries bits that mean nothing.
    assert _raw(other) == _raw(lines[line])

    refusal(b"\n".join([*lines[:line], other, *lines[line + 1 :], b""]))


def _raw(line: bytes) -> bytes:
    return base64.urlsafe_b64decode(line + b"=" * (-len(line) % 4))


@given(RECORDS, st.data())
def test_no_byte_can_be_missing_or_added(records: list[bytes], data: st.DataObject) -> None:
    file = written(records)
    at = data.draw(st.integers(0, len(file) - 1))
    added = data.draw(st.binary(min_size=1, max_size=3))

    refusal(file[:at] + file[at + 1 :])
    refusal(file[:at])
    refusal(file + added)


@given(st.lists(st.binary(max_size=40), min_size=2, max_size=8, unique=True), st.data())
def test_no_line_can_be_taken_out_doubled_or_moved(
    records: list[bytes], data: st.DataObject
) -> None:
    lines = written(records).splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    to = data.draw(st.integers(0, len(lines) - 1).filter(lambda place: place != at))
    swapped = list(lines)
    swapped[at], swapped[to] = lines[to], lines[at]

    refusal(b"".join(lines[:at] + lines[at + 1 :]))
    refusal(b"".join([*lines[: at + 1], *lines[at:]]))
    refusal(b"".join(swapped))


@given(st.data())
def test_no_line_can_come_from_another_file_for_the_same_recipient(data: st.DataObject) -> None:
    records = [b"one", b"two"]
    ours, theirs = (written(records).splitlines(keepends=True) for _ in range(2))
    # The first line says the same, so it is the same; from the second on all is theirs.
    at = data.draw(st.integers(2, len(ours) - 1))

    refusal(b"".join([ours[0], theirs[1], *ours[2:]]))
    refusal(b"".join([*ours[:at], theirs[at], *ours[at + 1 :]]))
    refusal(b"".join([*ours[:at], *theirs[at:]]))


def test_another_time_or_sender_over_the_same_lines_is_noticed() -> None:
    first, _, rest = written([b"one"]).partition(b"\n")

    for said, instead in ((b"2026", b"2025"), (b"from 01", b"from 02")):
        changed = first.replace(said, instead) + b"\n" + rest
        assert refusal(changed) == "The first or the second line of the file was changed."


def test_a_file_for_another_is_refused_with_both_fingerprints() -> None:
    told = refusal(written([b"one"]), OTHER_KEY)

    for key in (KEY, OTHER_KEY):
        assert key.recipient.fingerprint[:4] in told
    assert told.startswith("The file was made for the recipient ")


def test_a_file_that_says_it_is_for_us_and_is_not_does_not_open() -> None:
    file = written([b"one"], OTHER_KEY)
    ours, theirs = (each.recipient.fingerprint.encode() for each in (KEY, OTHER_KEY))

    told = refusal(file.replace(theirs, ours))

    assert told == "The first or the second line of the file was changed."


@pytest.mark.parametrize(
    ("file", "told"),
    [
        (b"", "cut off before its first line ends"),
        (b"PGDMP\x01\x0f\n", "This is no file that `strongroom vault export` made"),
        (b"strongroom-transfer/1 yesterday\n", "or its first line is damaged"),
        (b"strongroom-transfer/2 whatever follows\n", "has form 2; this release reads form 1"),
        (b"x" * (LINE_BYTES_MAX + 1), "Line 1 of the file is longer than any"),
    ],
)
def test_what_is_no_file_of_ours_is_told_apart(file: bytes, told: str) -> None:
    assert told in refusal(file)


def test_a_day_that_is_none_is_no_header() -> None:
    assert "first line is damaged" in refusal(written([]).replace(b"2026-11-21", b"2026-02-31"))


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (1, "The file was cut off behind its first line."),
        (2, "The file was cut off before record 1."),
        (4, "The file was cut off before record 3."),
    ],
)
def test_a_file_that_was_cut_off_says_where(kept: int, told: str) -> None:
    lines = written([b"one", b"two", b"three"]).splitlines(keepends=True)

    assert refusal(b"".join(lines[:kept])) == told
    assert "cut off in the middle of line" in refusal(b"".join(lines[:kept])[:-1])


def test_what_follows_the_last_record_is_not_passed_over() -> None:
    assert refusal(written([b"one"]) + b"\n") == "Something follows the last record of the file."


def test_the_damaged_record_is_named() -> None:
    lines = written([b"one", b"two", b"three"]).splitlines(keepends=True)

    assert refusal(b"".join([*lines[:3], *lines[4:]])).startswith("Record 2 of the file")


def test_a_file_holds_no_more_than_it_may() -> None:
    full, overfull = written([b""] * 7), written([b""] * 8)

    assert len(list(TransferReader(io.BytesIO(full), KEY, records_max=7).records())) == 7
    with pytest.raises(TransferRefused, match="more than 7 records"):
        list(TransferReader(io.BytesIO(overfull), KEY, records_max=7).records())
    assert TransferReader(io.BytesIO(full), KEY)._records_max == RECORDS_MAX == 100_000
