"""The form of an export: records that only their recipient opens, all of them and in this order.

```
strongroom-transfer/1 <when> from <sender> to <recipient>      in clear, authenticated
<the file's own key, closed for the recipient (HPKE)>
<record 1>
...
<the last record, which is empty>
```

Each record is sealed under the file's key with its number and whether it is the last. One that was
changed, taken out, put in, moved or brought from another file does not open, and a file that was
cut off has no last record. Pure: bytes in, bytes out.

Source: docs/ARCHITECTURE.md, "Transfers".
"""

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from backend.app.audit_record import stamp
from backend.app.errors import TransferRefused
from backend.app.services.envelope import KEY_BYTES, EnvelopeError, derive_key
from backend.app.services.transfer_recipient import (
    FINGERPRINT_FORM,
    Recipient,
    RecipientKey,
    in_groups,
)

RECORDS_MAX: Final = 100_000
LINE_BYTES_MAX: Final = 32_768

_FORM: Final = re.compile(
    rb"strongroom-transfer/1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z"
    rb" from (%(name)s) to (%(name)s)" % {b"name": FINGERPRINT_FORM.encode("ascii")}
)
_OTHER_FORM: Final = re.compile(rb"strongroom-transfer/(\d{1,4}) .*")
_KEY_CONTEXT: Final = b"strongroom/transfer/key/1\0"
_RECORDS_INFO: Final = b"strongroom/transfer/records/1"


@dataclass(frozen=True, slots=True)
class TransferHeader:
    """What stands at the head of a file: who made it, when, and for whom. By fingerprint."""

    created_at: datetime
    sender: str
    recipient: str

    @property
    def line(self) -> bytes:
        """The first line, in its only spelling."""
        words = f"{stamp(self.created_at)} from {self.sender} to {self.recipient}"
        return f"strongroom-transfer/1 {words}".encode("ascii")

    @classmethod
    def read(cls, line: bytes) -> Self:
        """Return what a first line says.

        Raises:
            TransferRefused: it is no export of ours, or one of another release.
        """
        match = _FORM.fullmatch(line)
        try:
            if match is not None:
                at = datetime.fromisoformat(match[1].decode("ascii")).replace(tzinfo=UTC)
                return cls(at, match[2].decode("ascii"), match[3].decode("ascii"))
        except ValueError:  # The 31st of February.
            pass
        other = _OTHER_FORM.fullmatch(line)
        if other is not None and other[1] != b"1":
            raise TransferRefused(
                f"The file has form {other[1].decode('ascii')}; this release reads form 1."
            )
        raise TransferRefused(
            "This is no file that `strongroom vault export` made, or its first line is damaged."
        )


class TransferSealer:
    """Writes one file, line by line."""

    def __init__(self, header: TransferHeader, recipient: Recipient) -> None:
        key = secrets.token_bytes(KEY_BYTES)
        self._header = header
        self._records = _Records(header.line, key)
        self._closed_key = recipient.close(key, _KEY_CONTEXT + header.line)
        self._count = 0

    def beginning(self) -> bytes:
        """Return the lines before the first record."""
        return self._header.line + b"\n" + _written(self._closed_key)

    def sealed(self, record: bytes) -> bytes:
        """Return the line of the next record."""
        self._count += 1
        return _written(self._records.seal(record, self._count, is_last=False))

    def end(self) -> bytes:
        """Return the line without which the file counts as cut off."""
        return _written(self._records.seal(b"", self._count + 1, is_last=True))


class TransferReader:
    """Reads one file, and proves it on the way: only a reader that came to its end has a file."""

    def __init__(self, file: BinaryIO, key: RecipientKey, records_max: int = RECORDS_MAX) -> None:
        self._records_max = records_max
        self._digest = hashlib.sha256()
        self._lines = self._read(file)
        self._key = key
        self.header = TransferHeader.read(self._line("before its first line ends"))
        ours = key.recipient.fingerprint
        if self.header.recipient != ours:
            raise TransferRefused(
                f"The file was made for the recipient {in_groups(self.header.recipient)}; "
                f"this installation is {in_groups(ours)}."
            )

    @property
    def sha256(self) -> str:
        """The digest of what was read, as `sha256sum` prints it."""
        return self._digest.hexdigest()

    def records(self) -> Iterator[bytes]:
        """Yield every record.

        Raises:
            TransferRefused: the file is damaged, cut off, or not as it was written.
        """
        records = _Records(self.header.line, self._file_key())
        for number in range(1, self._records_max + 2):
            record, is_last = records.open(self._line(f"before record {number}"), number)
            if is_last:
                break
            yield record
        else:
            raise TransferRefused(f"The file holds more than {self._records_max} records.")
        if next(self._lines, None) is not None:
            raise TransferRefused("Something follows the last record of the file.")

    def _file_key(self) -> bytes:
        line = self._line("behind its first line")
        try:
            key = self._key.open(_decoded(line), _KEY_CONTEXT + self.header.line)
        except EnvelopeError:
            key = b""
        if len(key) != KEY_BYTES:
            raise TransferRefused("The first or the second line of the file was changed.")
        return key

    def _line(self, where: str) -> bytes:
        line = next(self._lines, None)
        if line is None:
            raise TransferRefused(f"The file was cut off {where}.")
        return line

    def _read(self, file: BinaryIO) -> Iterator[bytes]:
        number = 0
        while line := file.readline(LINE_BYTES_MAX):
            number += 1
            self._digest.update(line)
            if not line.endswith(b"\n"):
                is_long = len(line) == LINE_BYTES_MAX
                raise TransferRefused(
                    f"Line {number} of the file is longer than any that is written."
                    if is_long
                    else f"The file was cut off in the middle of line {number}."
                )
            yield line[:-1]


class _Records:
    """Seals and opens the records of one file."""

    def __init__(self, header: bytes, key: bytes) -> None:
        self._header = header
        salt = hashlib.sha256(header).digest()
        self._cipher = ChaCha20Poly1305(derive_key(key, salt, _RECORDS_INFO))

    def seal(self, record: bytes, number: int, *, is_last: bool) -> bytes:
        return self._cipher.encrypt(_nonce(number, is_last=is_last), record, self._header)

    def open(self, line: bytes, number: int) -> tuple[bytes, bool]:
        """Return a record, and whether it is the last.

        Raises:
            TransferRefused: it is not what was written as this record of this file.
        """
        for is_last in (False, True):
            try:
                sealed = _decoded(line)
                return self._cipher.decrypt(
                    _nonce(number, is_last=is_last), sealed, self._header
                ), is_last
            except (InvalidTag, EnvelopeError):
                continue
        raise TransferRefused(
            f"Record {number} of the file was changed, or is not what stood in this place."
        )


def _nonce(number: int, *, is_last: bool) -> bytes:
    # The key is the file's own and drawn for it, so a number is never used twice.
    return number.to_bytes(11, "big") + bytes([is_last])


def _written(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=") + b"\n"


def _decoded(line: bytes) -> bytes:
    try:
        raw = base64.b64decode(line + b"=" * (-len(line) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise EnvelopeError from None
    # Base64 has several spellings of one value; only the one we write is ours.
    if _written(raw) != line + b"\n":
        raise EnvelopeError
    return raw
