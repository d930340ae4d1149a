"""Who an export is for: a text people hand around, and the only one who opens what is for it."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.audit_record import SYSTEM
from backend.app.database import Database
from backend.app.errors import ConfigurationError, KeyNotAtHand
from backend.app.services.api_key_format import checksum
from backend.app.services.envelope import EnvelopeError
from backend.app.services.key_check import unlock_beside
from backend.app.services.key_rewrap import KeyRewrapping
from backend.app.services.key_ring import KeyRing
from backend.app.services.key_service import KeyService
from backend.app.services.transfer_recipient import Recipient, RecipientKey, in_groups
from backend.tests.support.vault_keys import new_key, now, start

SEEDS = st.binary(min_size=32, max_size=32)
OURS = RecipientKey(bytes(range(32)))


def spelled(public_key: bytes) -> str:
    unchecked = "srr1_" + base64.urlsafe_b64encode(public_key).decode().rstrip("=")
    return unchecked + checksum(unchecked)


@given(SEEDS)
def test_a_recipient_is_read_as_it_was_printed(seed: bytes) -> None:
    printed = RecipientKey(seed).recipient

    read = Recipient.from_text(f" {printed.text}\n")

    assert read.text == printed.text
    assert read.fingerprint == printed.fingerprint


@given(SEEDS, st.binary(max_size=100), st.binary(max_size=100))
def test_what_is_closed_opens_for_its_recipient(seed: bytes, secret: bytes, context: bytes) -> None:
    key = RecipientKey(seed)

    assert key.open(key.recipient.close(secret, context), context) == secret


def test_nobody_else_opens_it_nor_anybody_in_another_context() -> None:
    closed = OURS.recipient.close(b"the file's key", b"here")

    for key, context in ((RecipientKey(bytes(32)), b"here"), (OURS, b"there")):
        with pytest.raises(EnvelopeError):
            key.open(closed, context)


def test_the_same_closed_twice_is_not_the_same() -> None:
    assert OURS.recipient.close(b"x", b"") != OURS.recipient.close(b"x", b"")


@pytest.mark.parametrize("at", range(len(OURS.recipient.text)))
def test_a_mistyped_recipient_is_refused(at: int) -> None:
    text = OURS.recipient.text
    mistyped = text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :]

    with pytest.raises(ConfigurationError, match="This is no recipient"):
        Recipient.from_text(mistyped)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "srr1_",
        OURS.recipient.text[:-1],
        OURS.recipient.text + "0",
        # Points that make every agreement the same: nobody has their key.
        spelled(bytes(32)),
        spelled(b"\1" + bytes(31)),
    ],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="This is no recipient"):
        Recipient.from_text(text)


def test_only_one_spelling_of_a_recipient_is_read() -> None:
    text = OURS.recipient.text[:48]
    # The last character of 43 carries two bits that mean nothing.
    other = text[:-1] + chr(ord(text[-1]) + 1)
    assert base64.urlsafe_b64decode(other[5:] + "=") == base64.urlsafe_b64decode(text[5:] + "=")

    with pytest.raises(ConfigurationError):
        Recipient.from_text(other + checksum(other))


async def test_a_recipient_outlives_the_root_key_it_was_made_under(database: Database) -> None:
    old, new = new_key("old"), new_key("new")
    await start(database, old)
    crypto, installation = await unlock_beside(database, KeyRing.from_environment(old))
    before = (await crypto.recipient_key(installation)).recipient.text
    ring = await start(database, f"{new},{old}")
    await KeyService(database, ring, now).rotate("new", SYSTEM)
    async for _ in KeyRewrapping(database, ring, now).run(SYSTEM):
        pass

    crypto, installation = await unlock_beside(database, KeyRing.from_environment(new))

    assert installation.kid == "new"
    assert (await crypto.recipient_key(installation)).recipient.text == before


async def test_a_command_without_the_keys_of_the_vault_is_refused(database: Database) -> None:
    key, other = new_key("one"), new_key("other")
    with pytest.raises(ConfigurationError, match="no vault yet"):
        await unlock_beside(database, KeyRing.from_environment(key))
    await start(database, key)

    with pytest.raises(KeyNotAtHand, match="The root key one"):
        await unlock_beside(database, KeyRing.from_environment(other))
    with pytest.raises(ConfigurationError, match="do not open this vault"):
        await unlock_beside(database, KeyRing.from_environment(new_key("one")))


def test_a_fingerprint_is_read_in_groups() -> None:
    assert in_groups(OURS.recipient.fingerprint) == ("861e 22da 190c 6c0d 3dd3 b56c 28cc 4ce8")
