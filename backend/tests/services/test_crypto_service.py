"""Sealing and opening: only in the same place, only under the right key, only while unsealed."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.app.errors import VaultSealed
from backend.app.secret_value import SecretValue
from backend.app.services.crypto_service import (
    DEK_CACHE_KEYS_MAX,
    DEK_CACHE_TTL_SECONDS,
    CryptoService,
    WrappedDek,
    ciphertext_fingerprint,
)
from backend.app.services.envelope import (
    PLAINTEXT_BYTES_MAX,
    DekContext,
    EnvelopeError,
    FieldContext,
)
from backend.app.services.key_ring import KeyRing

OWNER = 7


class CountingRing(KeyRing):
    """A ring that counts how often it is asked to unwrap."""

    unwrapped = 0

    async def unwrap(self, wrapped: str, context: DekContext) -> bytes:
        self.unwrapped += 1
        return await super().unwrap(wrapped, context)


class Hand:
    """A monotonic clock that is turned by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def new_ring() -> CountingRing:
    return CountingRing.from_environment(CryptoService.generate_key())


async def unlocked(ring: KeyRing, hand: Hand | None = None) -> CryptoService:
    crypto = CryptoService(ring, hand or Hand())
    await crypto.unlock(await crypto.new_dek(0))
    return crypto


def context_of(key: WrappedDek) -> FieldContext:
    return FieldContext(key.owner_id, "api_credentials", 42, "encrypted_api_secret", 1, key.dek_id)


def shown(secret: SecretValue) -> str:
    with secret.reveal() as raw:
        return raw


CRYPTO = asyncio.run(unlocked(new_ring()))
KEY = asyncio.run(CRYPTO.new_dek(OWNER))
FIELD = context_of(KEY)


@given(st.text())
async def test_what_is_encrypted_decrypts_to_itself(plaintext: str) -> None:
    sealed = await CRYPTO.encrypt(SecretValue(plaintext), FIELD, KEY)

    assert shown(await CRYPTO.decrypt(sealed, FIELD, KEY)) == plaintext


@given(st.text(alphabet=st.characters(codec="utf-8", min_codepoint=0x20), min_size=8))
async def test_the_sealed_text_never_holds_the_plaintext(plaintext: str) -> None:
    assert plaintext not in await CRYPTO.encrypt(SecretValue(plaintext), FIELD, KEY)


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\U0001f511"])
async def test_a_plaintext_at_the_bound_is_sealed_and_one_beyond_is_refused(letter: str) -> None:
    longest = letter * (PLAINTEXT_BYTES_MAX // len(letter.encode()))

    sealed = await CRYPTO.encrypt(SecretValue(longest), FIELD, KEY)

    assert shown(await CRYPTO.decrypt(sealed, FIELD, KEY)) == longest
    with pytest.raises(EnvelopeError):
        await CRYPTO.encrypt(SecretValue(longest + letter), FIELD, KEY)


async def test_a_text_that_is_no_unicode_is_refused_without_showing_it() -> None:
    with pytest.raises(EnvelopeError) as refused:
        await CRYPTO.encrypt(SecretValue("hidden\ud800"), FIELD, KEY)

    assert refused.value.__suppress_context__
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    "change",
    [
        {"owner_id": OWNER + 1},
        {"table": "users"},
        {"record_id": 43},
        {"column": "encrypted_passphrase"},
        {"rev": 2},
        {"dek_id": UUID(int=1)},
    ],
)
async def test_a_secret_opens_nowhere_else(change: dict[str, Any]) -> None:
    sealed = await CRYPTO.encrypt(SecretValue("s3cr3t-value"), FIELD, KEY)

    with pytest.raises(EnvelopeError):
        await CRYPTO.decrypt(sealed, replace(FIELD, **change), KEY)


async def test_a_row_swapped_whole_does_not_open_for_its_new_owner() -> None:
    sealed = await CRYPTO.encrypt(SecretValue("s3cr3t-value"), FIELD, KEY)
    stolen_key, stolen_field = replace(KEY, owner_id=8), replace(FIELD, owner_id=8)

    with pytest.raises(EnvelopeError):
        await CRYPTO.decrypt(sealed, stolen_field, stolen_key)


async def test_another_data_key_under_the_same_name_does_not_open() -> None:
    sealed = await CRYPTO.encrypt(SecretValue("s3cr3t-value"), FIELD, KEY)
    other = await CRYPTO.new_dek(OWNER)
    forged = replace(other, dek_id=KEY.dek_id)

    with pytest.raises(EnvelopeError):
        await CRYPTO.decrypt(sealed, FIELD, forged)


async def test_a_data_key_with_another_check_value_is_refused() -> None:
    sealed = await CRYPTO.encrypt(SecretValue("s3cr3t-value"), FIELD, KEY)

    with pytest.raises(EnvelopeError):
        await CRYPTO.decrypt(sealed, FIELD, replace(KEY, kcv=bytes(8)))


async def test_a_wrong_master_key_opens_nothing() -> None:
    sealed = await CRYPTO.encrypt(SecretValue("s3cr3t-value"), FIELD, KEY)

    with pytest.raises(EnvelopeError):
        await (await unlocked(new_ring())).decrypt(sealed, FIELD, KEY)


async def test_an_installation_of_another_master_key_is_not_unlocked() -> None:
    installation = await CRYPTO.new_dek(0)

    with pytest.raises(EnvelopeError):
        await CryptoService(new_ring()).unlock(installation)


async def test_a_data_key_is_unwrapped_once_a_minute() -> None:
    ring, hand = new_ring(), Hand()
    crypto = await unlocked(ring, hand)
    key = await crypto.new_dek(OWNER)
    sealed = await crypto.encrypt(SecretValue("s3cr3t-value"), context_of(key), key)
    before = ring.unwrapped

    await crypto.decrypt(sealed, context_of(key), key)
    assert ring.unwrapped == before
    hand.seconds += DEK_CACHE_TTL_SECONDS
    await crypto.decrypt(sealed, context_of(key), key)

    assert ring.unwrapped == before + 1


async def test_the_cache_of_data_keys_is_bounded() -> None:
    crypto = await unlocked(new_ring())

    for _ in range(DEK_CACHE_KEYS_MAX + 1):
        key = await crypto.new_dek(OWNER)
        await crypto.encrypt(SecretValue(""), context_of(key), key)

    assert len(crypto._deks) == DEK_CACHE_KEYS_MAX


async def test_a_forgotten_key_is_unwrapped_again() -> None:
    ring = new_ring()
    crypto = await unlocked(ring)
    key = await crypto.new_dek(OWNER)
    sealed = await crypto.encrypt(SecretValue("s3cr3t-value"), context_of(key), key)
    before = ring.unwrapped

    crypto.forget(key)
    await crypto.decrypt(sealed, context_of(key), key)

    assert ring.unwrapped == before + 1


async def test_a_sealed_vault_refuses_everything() -> None:
    crypto = await unlocked(new_ring())
    key = await crypto.new_dek(OWNER)
    sealed = await crypto.encrypt(SecretValue("s3cr3t-value"), context_of(key), key)

    crypto.seal()

    assert len(crypto._deks) == 0
    with pytest.raises(VaultSealed):
        await crypto.decrypt(sealed, context_of(key), key)
    with pytest.raises(VaultSealed):
        await crypto.encrypt(SecretValue(""), context_of(key), key)
    with pytest.raises(VaultSealed):
        crypto.key_fingerprint("binance", "key")


async def test_a_key_fingerprint_survives_the_rotation_of_the_master_key() -> None:
    old, new = CryptoService.generate_key(), CryptoService.generate_key()
    before = CryptoService(KeyRing.from_environment(old))
    installation = await before.new_dek(0)
    await before.unlock(installation)

    ring = KeyRing.from_environment(f"{new},{old}")
    dek = await ring.unwrap(installation.wrapped, installation.context)
    moved = replace(installation, kid=ring.sealing.kid)
    rewrapped = replace(moved, wrapped=await ring.wrap(dek, moved.context))
    after = CryptoService(KeyRing.from_environment(new))
    await after.unlock(rewrapped)

    assert after.key_fingerprint("okx", "key") == before.key_fingerprint("okx", "key")


async def test_a_key_fingerprint_tells_keys_exchanges_and_installations_apart() -> None:
    prints = {
        CRYPTO.key_fingerprint("okx", "key"),
        CRYPTO.key_fingerprint("okx", "key2"),
        CRYPTO.key_fingerprint("okxk", "ey"),
        CRYPTO.key_fingerprint("binance", "key"),
        (await unlocked(new_ring())).key_fingerprint("okx", "key"),
    }

    assert {len(print_) for print_ in prints} == {16}
    assert len(prints) == 5


def test_a_data_key_shows_its_wrapped_form_in_no_repr() -> None:
    assert KEY.wrapped not in repr(KEY)
    assert KEY.kid in KEY.wrapped


def test_a_generated_key_is_one_the_ring_accepts() -> None:
    assert KeyRing.from_environment(CryptoService.generate_key()).keys


def test_a_ciphertext_fingerprint_is_the_start_of_its_hash() -> None:
    assert ciphertext_fingerprint("sr1.") == "8d9b43cfa13f359d"
