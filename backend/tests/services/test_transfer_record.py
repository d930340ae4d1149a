"""A credential is in its record whole, and a record says nothing else."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.enums import Environment
from backend.app.errors import TransferRefused
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.models.api_credential import ApiCredential
from backend.app.secret_value import SecretValue
from backend.app.services.transfer_file import LINE_BYTES_MAX
from backend.app.services.transfer_record import read_record, written_record

VISIBLE = "".join(chr(code) for code in range(0x21, 0x7F))
PLAIN: dict[str, Any] = {
    "username": "alice",
    "exchange_name": "okx",
    "environment": "live",
    "label": None,
    "api_key": "the-api-key",
    "api_secret": "s3cr3t-value",
    "passphrase": None,
    "is_active": True,
    "deactivated_at": None,
}


def stored(**values: Any) -> ApiCredential:
    usual = {"exchange_name": "okx", "environment": "live", "label": None, "is_active": True}
    return ApiCredential(**{**usual, **values})


def plain(**values: Any) -> bytes:
    return json.dumps({**PLAIN, **values}).encode()


@given(
    st.text(VISIBLE, min_size=1, max_size=255),
    st.text(VISIBLE, min_size=1, max_size=4096),
    st.none() | st.text(VISIBLE, min_size=1, max_size=128),
    st.none() | st.text(min_size=1, max_size=100).filter(str.isprintable),
)
def test_what_was_written_is_read(
    api_key: str, secret: str, passphrase: str | None, label: str | None
) -> None:
    keys = ExchangeKeys(
        api_key, SecretValue(secret), None if passphrase is None else SecretValue(passphrase)
    )
    off_at = datetime(2026, 11, 21, tzinfo=UTC)
    seen = stored(label=label, is_active=False, deactivated_at=off_at)

    record = written_record("alice", seen, keys)
    read = read_record(record, 1)

    assert (read.username, read.exchange_name, read.api_key) == ("alice", "okx", api_key)
    assert read.api_secret.get_secret_value() == secret
    assert (read.passphrase and read.passphrase.get_secret_value()) == passphrase
    assert (read.label, read.environment) == (label, Environment.LIVE)
    assert (read.is_active, read.deactivated_at) == (False, off_at)
    assert len(record) * 4 / 3 + 64 < LINE_BYTES_MAX


def test_a_key_in_several_lines_travels_as_it_is() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"

    record = written_record("alice", stored(), ExchangeKeys("the-api-key", SecretValue(pem)))

    assert read_record(record, 1).api_secret.get_secret_value() == pem


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (b"", "unreadable"),
        (b"\xff", "unreadable"),
        (b"[]", "unreadable"),
        (plain(surplus=1), "surplus"),
        (plain(username="../../etc"), "username"),
        (plain(environment="paper"), "environment"),
        (plain(api_secret=""), "api_secret"),
        (plain(api_secret="s3cr3t value"), "api_secret"),
        (plain(deactivated_at="2026-11-21T00:00:00"), "deactivated_at"),
        (plain(api_key=None, passphrase=7), "api_key, passphrase"),
    ],
)
def test_a_record_that_holds_something_else_is_refused_without_its_values(
    record: bytes, told: str
) -> None:
    with pytest.raises(TransferRefused) as refused:
        read_record(record, 7)

    assert refused.value.detail == (
        f"Record 7 of the file does not hold a credential as this release knows it: {told}."
    )
    assert refused.value.__context__ is None


def test_no_repr_of_what_was_read_shows_a_key() -> None:
    shown = repr(read_record(plain(passphrase="pass phrase"), 1))

    assert not any(word in shown for word in ("the-api-key", "s3cr3t", "pass phrase"))
