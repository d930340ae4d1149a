"""What a signature covers, and how one that cannot be right is refused."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backend.app.errors import SignatureRefused
from backend.app.services.request_signature import Asked, Signed, ed25519_signed, read_signed

NOW = 1_800_000_000
NONCE = "n" * 16
HEX = "0" * 64


def asked(
    timestamp: str | None = str(NOW),
    nonce: str | None = NONCE,
    signature: str | None = HEX,
    body: bytes = b"",
) -> Asked:
    async def read() -> bytes:
        return body

    return Asked("POST", b"/a%20b?c=d", timestamp, nonce, signature, read)


async def test_the_signature_covers_time_nonce_method_target_and_body() -> None:
    signed = await read_signed(asked(body=b"{}"), NOW)

    digest = hashlib.sha256(b"{}").hexdigest()
    assert signed.message == f"{NOW}\n{NONCE}\nPOST\n/a%20b?c=d\n{digest}".encode()
    assert signed.nonce == NONCE


@pytest.mark.parametrize("seconds_off", [-30, 0, 30])
async def test_half_a_minute_off_is_accepted(seconds_off: int) -> None:
    await read_signed(asked(), NOW + seconds_off)


@pytest.mark.parametrize("seconds_off", [-31, 31])
async def test_more_is_refused_and_told_with_our_time(seconds_off: int) -> None:
    with pytest.raises(SignatureRefused) as refused:
        await read_signed(asked(), NOW + seconds_off)

    assert refused.value.facts == {"server_seconds": NOW + seconds_off}


@pytest.mark.parametrize(
    "malformed",
    [
        asked(timestamp=None),
        asked(nonce=None),
        asked(signature=None),
        asked(timestamp=""),
        asked(timestamp=f"{NOW}.5"),
        asked(timestamp=f"+{NOW}"),
        asked(timestamp=f"{NOW}000"),
        asked(timestamp="\u0661\u0662"),
        asked(nonce="n" * 15),
        asked(nonce="n" * 65),
        asked(nonce=NONCE + "\n"),
        asked(signature="0" * 63),
        asked(signature="A" * 64),
        asked(signature=HEX + "\n"),
    ],
)
async def test_what_is_missing_or_malformed_is_refused(malformed: Asked) -> None:
    with pytest.raises(SignatureRefused):
        await read_signed(malformed, NOW)


def test_ed25519_signatures_are_checked() -> None:
    ours, others = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = ours.public_key().public_bytes_raw()

    assert ed25519_signed(public, Signed(NONCE, b"text", ours.sign(b"text")))
    assert not ed25519_signed(public, Signed(NONCE, b"Text", ours.sign(b"text")))
    assert not ed25519_signed(public, Signed(NONCE, b"text", others.sign(b"text")))
    # As long as an HMAC.
    assert not ed25519_signed(public, Signed(NONCE, b"text", bytes(32)))
