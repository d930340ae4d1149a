"""A root key in AWS KMS, through boto3. Credentials and region are boto3's own affair.

Source: AWS KMS API reference, Encrypt and Decrypt.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from backend.app.errors import ConfigurationError
from backend.app.services.envelope import DekContext, EnvelopeError
from backend.app.services.key_service_calls import (
    DEADLINE_SECONDS,
    THREADS_MAX,
    KeyServiceCalls,
    KeyServiceRefused,
    KeyServiceStumbled,
)
from backend.app.services.remote_key import RemoteKey

PROVIDER: Final = "awskms"
# KMS checks the context with the ciphertext and says nothing more.
_DOES_NOT_OPEN: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_STUMBLES: Final = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "LimitExceededException",
        "KMSInternalException",
        "KeyUnavailableException",
        "DependencyTimeoutException",
        "InternalFailure",
        "InternalError",
        "ServiceUnavailable",
    }
)
_SERVER_ERROR: Final = 500


class AwsKmsKey(RemoteKey):
    """One KMS key; the encryption context binds what it wraps to its row."""

    def __init__(self, key_id: str, client: Any, calls: KeyServiceCalls) -> None:
        super().__init__(PROVIDER, key_id, calls)
        self._client = client

    def _wrapping(self, dek: bytes, context: DekContext) -> Callable[[], bytes]:
        def wrap() -> bytes:
            with _translated():
                answer = self._client.encrypt(
                    KeyId=self.reference, Plaintext=dek, EncryptionContext=_bound_to(context)
                )
                return bytes(answer["CiphertextBlob"])

        return wrap

    def _unwrapping(self, blob: bytes, context: DekContext) -> Callable[[], bytes]:
        def unwrap() -> bytes:
            with _translated():
                answer = self._client.decrypt(
                    KeyId=self.reference, CiphertextBlob=blob, EncryptionContext=_bound_to(context)
                )
                return bytes(answer["Plaintext"])

        return unwrap


def awskms_client(endpoint_url: str | None, deadline_seconds: float = DEADLINE_SECONDS) -> Any:
    """Return a client that waits and tries no longer than we do.

    Raises:
        ConfigurationError: no region is configured, or the address is none.
    """
    config = Config(
        connect_timeout=deadline_seconds / 2,
        read_timeout=deadline_seconds,
        max_pool_connections=THREADS_MAX,
        # We count the tries.
        retries={"total_max_attempts": 1},
    )
    try:
        return boto3.client("kms", endpoint_url=endpoint_url, config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(
            f"AWS KMS cannot be used ({type(error).__name__}). Set AWS_DEFAULT_REGION and "
            "credentials as for the AWS command line, and AWSKMS_ENDPOINT_URL only where AWS asks "
            "for it."
        ) from None


def _bound_to(context: DekContext) -> dict[str, str]:
    return {
        "app": "strongroom",
        "purpose": "dek",
        "dek": str(context.dek_id),
        "owner": str(context.owner_id),
    }


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _meaning(error) from None
    # The last two: an answer that is not what KMS answers.
    except (BotoCoreError, KeyError, TypeError):
        raise KeyServiceStumbled from None


def _meaning(error: ClientError) -> Exception:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_ERROR)
    if code in _DOES_NOT_OPEN:
        return EnvelopeError()
    if code in _STUMBLES or status >= _SERVER_ERROR:
        return KeyServiceStumbled()
    return KeyServiceRefused()
