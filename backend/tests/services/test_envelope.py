"""The sealed forms against their known answers, and against everything that is not them."""

import base64
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from backend.app.services.envelope import (
    PLAINTEXT_BYTES_MAX,
    REV_MAX,
    SEALED_CHARACTERS_MAX,
    DekContext,
    Encrypt,
    EnvelopeError,
    FieldContext,
    derive_key,
    key_check_value,
    length_prefixed,
    open_field,
    seal_field,
    unwrap_dek,
    wrap_dek,
)

KEK = bytes(range(0x20))
DEK = bytes(range(0x20, 0x40))
DEK_ID = UUID("33333333-3333-4333-8333-333333333333")
FIELD = FieldContext(7, "api_credentials", 42, "encrypted_api_secret", 1, DEK_ID)
WRAP = DekContext("k1", DEK_ID, 7)
PLAINTEXT = b"s3cr3t-value"
SEALED = (
    "sr1.MzMzMzMzQzODMzMzMzMzMw.1.gAAAAABlU_EBAAECAwQFBgcICQoLDA0OD4OBFWykDKBVDkKF3qXpfAL8QFUb"
    "PuI4IIdDvssy2LnRO5vnFoBFQ2EeAMliXRphew=="
)
WRAPPED = (
    "kw1.local.k1.gAAAAABlU_EBAAAAAAAAAAAAAAAAAAAAAHvsq0XBpQu3gPz3ADcC4PihajxJTIapJYdfCcJ44AwS"
    "DwbTG3db0lbO6pZDr39TNHBlsIpBjBPwxDQt07Zr4ZwDOlxx6R0CHUB9-jhiHlWw"
)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def at_the_known_time(iv: bytes) -> Encrypt:
    return lambda fernet, data: fernet._encrypt_from_parts(data, 1_700_000_001, iv)


def test_a_field_seals_to_the_known_answer() -> None:
    sealed = seal_field(DEK, FIELD, PLAINTEXT, at_the_known_time(bytes(range(16))))

    assert sealed == SEALED


def test_the_known_answer_opens() -> None:
    assert open_field(DEK, FIELD, SEALED) == PLAINTEXT


def test_a_data_key_wraps_to_the_known_answer() -> None:
    assert wrap_dek(KEK, WRAP, DEK, at_the_known_time(bytes(16))) == WRAPPED


def test_the_known_wrapped_key_unwraps() -> None:
    assert unwrap_dek(KEK, WRAP, WRAPPED) == DEK


def test_the_check_value_is_the_known_one() -> None:
    assert key_check_value(DEK).hex() == "ec18e06b8abd60bf"


def test_the_field_key_is_the_known_one() -> None:
    info = b"strongroom/field/1" + length_prefixed(
        bytes([0, 0, 0, 0, 0, 0, 0, 7]),
        b"api_credentials",
        bytes([0, 0, 0, 0, 0, 0, 0, 42]),
        b"encrypted_api_secret",
        bytes([0, 0, 0, 0, 0, 0, 0, 1]),
    )

    assert derive_key(DEK, DEK_ID.bytes, info).hex() == (
        "28a38b16344a68743375a8e2adc56bb4eb41152e99c9b85ce94d95c15c8b9cc2"
    )


@given(st.lists(st.binary(max_size=9), max_size=4), st.lists(st.binary(max_size=9), max_size=4))
def test_two_lists_of_parts_never_read_the_same(left: list[bytes], right: list[bytes]) -> None:
    assert (length_prefixed(*left) == length_prefixed(*right)) is (left == right)


@given(st.binary(max_size=PLAINTEXT_BYTES_MAX))
def test_what_is_sealed_opens(plaintext: bytes) -> None:
    assert open_field(DEK, FIELD, seal_field(DEK, FIELD, plaintext)) == plaintext


@pytest.mark.parametrize("rev", [1, REV_MAX])
def test_the_longest_plaintext_fits_at_every_revision(rev: int) -> None:
    context = replace(FIELD, rev=rev)

    sealed = seal_field(DEK, context, b"x" * PLAINTEXT_BYTES_MAX)

    assert len(sealed) <= SEALED_CHARACTERS_MAX
    assert len(open_field(DEK, context, sealed)) == PLAINTEXT_BYTES_MAX


def test_one_byte_more_than_the_longest_is_refused() -> None:
    with pytest.raises(EnvelopeError):
        seal_field(DEK, FIELD, b"x" * (PLAINTEXT_BYTES_MAX + 1))


@pytest.mark.parametrize("change", [{"rev": 0}, {"rev": REV_MAX + 1}, {"owner_id": -1}])
def test_a_context_outside_the_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(EnvelopeError):
        seal_field(DEK, replace(FIELD, **change), PLAINTEXT)


@pytest.mark.parametrize(
    "change",
    [
        {"owner_id": 8},
        {"table": "users"},
        {"record_id": 43},
        {"column": "encrypted_passphrase"},
        {"rev": 2},
        {"dek_id": UUID("33333333-3333-4333-8333-333333333334")},
    ],
)
def test_a_field_moved_elsewhere_does_not_open(change: dict[str, Any]) -> None:
    moved = replace(FIELD, **change)
    # An attacker would also write the row's own names into the text.
    relabelled = seal_field(DEK, moved, b"").rpartition(".")[0] + "." + SEALED.rpartition(".")[2]

    for text in (SEALED, relabelled):
        with pytest.raises(EnvelopeError):
            open_field(DEK, moved, text)


@given(st.binary(min_size=32, max_size=32).filter(lambda key: key != DEK))
def test_another_key_does_not_open(key: bytes) -> None:
    with pytest.raises(EnvelopeError):
        open_field(key, FIELD, SEALED)


@pytest.mark.parametrize(
    ("kek", "context"),
    [
        (KEK[::-1], WRAP),
        (KEK, replace(WRAP, kid="k2")),
        (KEK, replace(WRAP, owner_id=8)),
        (KEK, replace(WRAP, dek_id=UUID(int=1))),
    ],
)
def test_a_wrapped_key_moved_elsewhere_does_not_unwrap(kek: bytes, context: DekContext) -> None:
    for text in (WRAPPED, WRAPPED.replace(".k1.", f".{context.kid}.")):
        with pytest.raises(EnvelopeError):
            unwrap_dek(kek, context, text)


def test_a_wrapped_text_that_is_no_key_is_refused() -> None:
    short = wrap_dek(KEK, WRAP, DEK[:31])

    with pytest.raises(EnvelopeError):
        unwrap_dek(KEK, WRAP, short)


def test_every_single_bit_of_the_token_counts() -> None:
    head, _, token = SEALED.rpartition(".")
    raw = base64.urlsafe_b64decode(token)

    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(EnvelopeError):
            open_field(DEK, FIELD, f"{head}.{base64.urlsafe_b64encode(flipped).decode()}")


def test_every_single_character_counts() -> None:
    for place, original in enumerate(SEALED):
        for other in ALPHABET + ".= \n+/":
            if other == original:
                continue
            with pytest.raises(EnvelopeError):
                open_field(DEK, FIELD, SEALED[:place] + other + SEALED[place + 1 :])


def test_every_truncation_is_refused() -> None:
    for text, open_it in (
        (SEALED, lambda part: open_field(DEK, FIELD, part)),
        (WRAPPED, lambda part: unwrap_dek(KEK, WRAP, part)),
    ):
        for length in range(len(text)):
            with pytest.raises(EnvelopeError):
                open_it(text[:length])


@pytest.mark.parametrize(
    "text",
    [
        "",
        SEALED + "\n",
        "\n" + SEALED,
        SEALED + "=",
        SEALED.rstrip("="),
        SEALED.replace("hew==", "hex=="),  # the same bytes in another spelling
        SEALED.replace("Mw.1", "Mx.1"),  # the same id in another spelling
        SEALED.replace(".1.", ".01."),
        SEALED.replace(".1.", ".+1."),
        SEALED.replace(".1.", ".١."),
        SEALED.replace("sr1.", "SR1."),
        SEALED.replace("sr1.", "sr2."),
        SEALED.rpartition(".")[2],
        SEALED + "A" * SEALED_CHARACTERS_MAX,
        WRAPPED,
    ],
)
def test_another_spelling_of_a_field_is_refused(text: str) -> None:
    with pytest.raises(EnvelopeError):
        open_field(DEK, FIELD, text)


@given(st.text(max_size=200))
def test_no_text_opens_by_chance(text: str) -> None:
    with pytest.raises(EnvelopeError):
        open_field(DEK, FIELD, text)
    with pytest.raises(EnvelopeError):
        unwrap_dek(KEK, WRAP, text)


def test_a_refusal_names_no_cause() -> None:
    damaged = SEALED.replace("hew==", "heA==")

    with pytest.raises(EnvelopeError) as refused:
        open_field(DEK, FIELD, damaged)

    assert str(refused.value) == "the sealed value does not open"
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_two_sealings_of_one_secret_differ() -> None:
    assert seal_field(DEK, FIELD, PLAINTEXT) != seal_field(DEK, FIELD, PLAINTEXT)


def test_a_token_from_a_clock_far_ahead_still_opens() -> None:
    def in_a_thousand_years(fernet: Fernet, data: bytes) -> bytes:
        return fernet.encrypt_at_time(data, 33_000_000_000)

    sealed = seal_field(DEK, FIELD, PLAINTEXT, in_a_thousand_years)

    assert open_field(DEK, FIELD, sealed) == PLAINTEXT
