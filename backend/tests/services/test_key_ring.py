"""Master keys from the environment: the form, the refusals, and what one key does to another."""

import secrets
from base64 import urlsafe_b64encode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.errors import ConfigurationError
from backend.app.services.envelope import DekContext, EnvelopeError
from backend.app.services.key_ring import KEYS_MAX, KeyRing
from backend.app.services.root_key import MasterKey

KNOWN = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
DEK_ID = UUID("33333333-3333-4333-8333-333333333333")
DEK = bytes(range(0x20, 0x40))


def fresh_key() -> str:
    return urlsafe_b64encode(secrets.token_bytes(32)).decode()


def test_a_key_without_a_name_is_named_by_its_hash() -> None:
    sealing = KeyRing.from_environment(KNOWN).sealing

    assert isinstance(sealing, MasterKey)
    assert sealing.kid == "c3b361e2"
    assert sealing.raw == bytes(range(32))


def context(kid: str = "c3b361e2", owner_id: int = 7) -> DekContext:
    return DekContext(kid, DEK_ID, owner_id)


async def test_the_first_key_seals_and_all_open() -> None:
    old, new = f"old:{fresh_key()}", f"new:{fresh_key()}"
    sealed_before = await KeyRing.from_environment(old).wrap(DEK, context("old"))

    rotated = KeyRing.from_environment(f"{new}, {old}")

    assert rotated.sealing.kid == "new"
    assert [key.kid for key in rotated.keys] == ["new", "old"]
    assert await rotated.unwrap(sealed_before, context("old")) == DEK
    assert await rotated.unwrap(await rotated.wrap(DEK, context("new")), context("new")) == DEK


async def test_a_key_that_is_not_at_hand_is_refused() -> None:
    sealed = await KeyRing.from_environment(f"old:{fresh_key()}").wrap(DEK, context("old"))
    ring = KeyRing.from_environment(fresh_key())

    with pytest.raises(EnvelopeError):
        await ring.unwrap(sealed, context("old"))
    with pytest.raises(EnvelopeError):
        await ring.wrap(DEK, context("old"))


async def test_another_key_of_the_same_name_is_refused() -> None:
    sealed = await KeyRing.from_environment(f"a:{fresh_key()}").wrap(DEK, context("a"))

    with pytest.raises(EnvelopeError):
        await KeyRing.from_environment(f"a:{fresh_key()}").unwrap(sealed, context("a"))


async def test_a_wrapped_key_under_another_name_than_its_row_says_is_refused() -> None:
    key = fresh_key()
    sealed = await KeyRing.from_environment(f"a:{key}").wrap(DEK, context("a"))

    with pytest.raises(EnvelopeError):
        await KeyRing.from_environment(f"b:{key}").unwrap(sealed, context("b"))


async def test_a_wrapped_key_of_another_owner_is_refused() -> None:
    ring = KeyRing.from_environment(KNOWN)

    with pytest.raises(EnvelopeError):
        await ring.unwrap(await ring.wrap(DEK, context()), context(owner_id=8))


@pytest.mark.parametrize("text", [None, "", "   "])
def test_a_missing_key_refuses_the_start(text: str | None) -> None:
    with pytest.raises(ConfigurationError, match="ENCRYPTION_KEY is not set"):
        KeyRing.from_environment(text)


@pytest.mark.parametrize(
    "text",
    [
        KNOWN[:-1],
        KNOWN[:-2],
        KNOWN + "=",
        KNOWN[:-2] + "9=",  # the same bytes in another spelling
        KNOWN.replace("Q", "+"),
        KNOWN + ",",
        "," + KNOWN,
        f"UPPER:{KNOWN}",
        f"{'n' * 33}:{KNOWN}",
        f":{KNOWN}",
        f"a:b:{KNOWN}",
        f"a.b:{KNOWN}",
        KNOWN + "\n" + KNOWN,
        "\u0000" * 44,
    ],
)
def test_a_damaged_key_refuses_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="damaged"):
        KeyRing.from_environment(text)


@given(st.text(max_size=60).filter(lambda text: text.strip()))
def test_no_text_is_a_key_by_chance(text: str) -> None:
    with pytest.raises(ConfigurationError):
        KeyRing.from_environment(text)


@pytest.mark.parametrize("text", [f"{KNOWN},{KNOWN}", f"a:{KNOWN},b:{KNOWN}"])
def test_the_same_key_twice_refuses_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        KeyRing.from_environment(text)


def test_two_keys_of_one_name_refuse_the_start() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        KeyRing.from_environment(f"a:{fresh_key()},a:{fresh_key()}")


def test_more_keys_than_a_ring_holds_refuse_the_start() -> None:
    with pytest.raises(ConfigurationError, match="more than"):
        KeyRing.from_environment(",".join(fresh_key() for _ in range(KEYS_MAX + 1)))


def test_a_refusal_helps_and_shows_no_value() -> None:
    with pytest.raises(ConfigurationError) as refused:
        KeyRing.from_environment(f"{fresh_key()},{KNOWN[:-1]}")

    message = str(refused.value)
    assert "Key number 2 of ENCRYPTION_KEY" in message
    assert "python scripts/generate_encryption_key.py" in message
    assert KNOWN[:12] not in message


def test_a_master_key_shows_itself_in_no_repr() -> None:
    key = KeyRing.from_environment(KNOWN).sealing

    assert isinstance(key, MasterKey)
    assert repr(key) == "MasterKey(kid='c3b361e2')"
    assert key.fingerprint not in {key.kid, key.raw.hex()}
