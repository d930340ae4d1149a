"""A root key in AWS KMS, proved against moto's over real HTTP."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

import boto3
import pytest

from backend.app.config import KeyProvider, VaultSettings
from backend.app.database import Database
from backend.app.errors import VaultUnavailable
from backend.app.services.awskms_key import AwsKmsKey, awskms_client
from backend.app.services.crypto_service import CryptoService
from backend.app.services.envelope import DekContext, EnvelopeError
from backend.app.services.key_check import KeyCheck
from backend.app.services.key_instances import KeyInstances
from backend.app.services.key_ring import KeyRing
from backend.app.services.key_service_calls import KeyServiceCalls
from backend.app.services.key_sources import build_key_ring
from backend.tests.support.key_services import (
    AWS_ENVIRONMENT,
    PATIENCE_SECONDS,
    answering,
    moto_kms,
)
from backend.tests.support.vault_keys import now

DEK = bytes(range(0x20, 0x40))
ARN = "arn:aws:kms:eu-central-1:123456789012:key/33333333-3333-4333-8333-333333333333"
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def kms_url() -> Iterator[str]:
    with moto_kms() as url:
        yield url


@pytest.fixture(scope="module", autouse=True)
def aws_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in AWS_ENVIRONMENT.items():
            environment.setenv(name, value)
        yield


def new_key(kms_url: str) -> str:
    kms = boto3.client("kms", endpoint_url=kms_url)
    return str(kms.create_key()["KeyMetadata"]["Arn"])


# Making a client of boto3 costs more than anything that is asked with one.
@pytest.fixture(scope="module")
def key_arn(kms_url: str, aws_environment: None) -> str:
    return new_key(kms_url)


def settings(url: str, *arns: str) -> VaultSettings:
    return VaultSettings(
        _env_file=None,
        key_provider=KeyProvider.AWSKMS,
        awskms_key_id=list(arns),
        awskms_endpoint_url=url,
    )


@pytest.fixture(scope="module")
def ring(kms_url: str, key_arn: str) -> KeyRing:
    return build_key_ring(settings(kms_url, key_arn), PATIENCE_SECONDS)


def context(ring: KeyRing, owner_id: int = 7) -> DekContext:
    return DekContext(ring.sealing.kid, UUID(int=3), owner_id)


async def test_a_data_key_goes_there_and_back(ring: KeyRing) -> None:
    wrapped = await ring.wrap(DEK, context(ring))

    assert wrapped.startswith(f"kw1.awskms.{ring.sealing.kid}.")
    assert await ring.unwrap(wrapped, context(ring)) == DEK
    assert await ring.sealing.healthy()


async def test_it_opens_for_its_own_row_only(ring: KeyRing) -> None:
    wrapped = await ring.wrap(DEK, context(ring))

    with pytest.raises(EnvelopeError):
        await ring.unwrap(wrapped, context(ring, owner_id=8))
    with pytest.raises(EnvelopeError):
        await ring.unwrap(wrapped, replace(context(ring), dek_id=UUID(int=4)))


async def test_a_ciphertext_of_another_kms_key_does_not_open(kms_url: str, ring: KeyRing) -> None:
    keys = settings(kms_url, new_key(kms_url), str(ring.sealing.reference))
    both = build_key_ring(keys, PATIENCE_SECONDS)
    wrapped = await both.wrap(DEK, context(both))
    kid = ring.sealing.kid
    forged = wrapped.replace(both.sealing.kid, kid)

    # AWS answers IncorrectKeyException, moto AccessDeniedException: closed either way.
    with pytest.raises((EnvelopeError, VaultUnavailable)):
        await both.unwrap(forged, replace(context(both), kid=kid))


async def test_a_key_that_does_not_exist_is_a_refusal(kms_url: str, key_arn: str) -> None:
    ring = build_key_ring(settings(kms_url, key_arn[:-4] + "0000"), PATIENCE_SECONDS)

    with pytest.raises(VaultUnavailable, match="refuses us"):
        await ring.wrap(DEK, context(ring))
    assert not await ring.sealing.healthy()


@pytest.mark.parametrize(
    ("status", "code", "refusal", "asked"),
    [
        (400, "IncorrectKeyException", EnvelopeError, 1),
        (400, "InvalidCiphertextException", EnvelopeError, 1),
        (400, "ThrottlingException", VaultUnavailable, 3),
        (500, "KMSInternalException", VaultUnavailable, 3),
        (400, "DisabledException", VaultUnavailable, 1),
        (400, "AccessDeniedException", VaultUnavailable, 1),
        (200, "an answer of something else", VaultUnavailable, 3),
    ],
)
async def test_each_answer_means_what_it_means(
    status: int, code: str, refusal: type[Exception], asked: int
) -> None:
    with answering(status, {"__type": code}) as server:
        client = awskms_client(server.url, PATIENCE_SECONDS)
        key = AwsKmsKey(ARN, client, KeyServiceCalls("awskms", PATIENCE_SECONDS))
        wrapped = f"kw1.awskms.{key.kid}.AAAA"
        with pytest.raises(refusal):
            await key.unwrap(wrapped, DekContext(key.kid, UUID(int=3), 7))

    assert server.asked == asked


async def test_a_kms_that_is_away_is_a_refusal() -> None:
    key = AwsKmsKey(ARN, awskms_client(UNREACHABLE), KeyServiceCalls("awskms"))

    with pytest.raises(VaultUnavailable):
        await key.wrap(DEK, DekContext(key.kid, UUID(int=3), 7))


async def test_an_installation_starts_on_kms_alone(
    kms_url: str, key_arn: str, database: Database
) -> None:
    prints = set()
    for _ in range(2):
        ring = build_key_ring(settings(kms_url, key_arn), PATIENCE_SECONDS)
        crypto = CryptoService(ring)
        await KeyCheck(database, ring, crypto, KeyInstances(ring, "one", now), now).unlock()
        prints.add(crypto.key_fingerprint("okx", "key"))

    assert len(prints) == 1
