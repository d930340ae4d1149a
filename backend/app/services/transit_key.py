"""A root key in the transit engine of Vault or OpenBao, through hvac.

The key must have been made with `derived=true`: then its context is part of the key, and what was
wrapped for one row opens for no other. A private certificate authority is named by VAULT_CACERT.

Source: OpenBao documentation, Transit secrets engine (API).
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import hvac
import requests
from hvac import exceptions

from backend.app.errors import ConfigurationError
from backend.app.services.envelope import DekContext, EnvelopeError, dek_info
from backend.app.services.key_service_calls import (
    DEADLINE_SECONDS,
    KeyServiceCalls,
    KeyServiceRefused,
    KeyServiceStumbled,
)
from backend.app.services.remote_key import RemoteKey

PROVIDER: Final = "transit"
_CIPHERTEXT_START: Final = "vault:v"
_THIS_MACHINE: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_STUMBLES: Final = (
    exceptions.RateLimitExceeded,
    exceptions.InternalServerError,
    exceptions.BadGateway,
    exceptions.VaultDown,
    exceptions.UnexpectedError,
    # The network, and the file of the token.
    OSError,
)


class TransitKey(RemoteKey):
    """One key of a transit engine."""

    def __init__(
        self,
        name: str,
        mount: str,
        client: hvac.Client,
        read_token: Callable[[], str],
        calls: KeyServiceCalls,
    ) -> None:
        super().__init__(PROVIDER, f"{mount}/{name}", calls)
        self._name, self._mount = name, mount
        self._client = client
        self._read_token = read_token

    def _wrapping(self, dek: bytes, context: DekContext) -> Callable[[], bytes]:
        def wrap() -> bytes:
            with _translated(KeyServiceRefused):
                ciphertext = self._ask("encrypt_data", context, plaintext=_b64(dek))["ciphertext"]
                if not ciphertext.startswith(_CIPHERTEXT_START):
                    raise KeyServiceStumbled
                return bytes(ciphertext.encode("ascii"))

        return wrap

    def _unwrapping(self, blob: bytes, context: DekContext) -> Callable[[], bytes]:
        def unwrap() -> bytes:
            # The engine answers 400 to a ciphertext that is not this key's in this context.
            with _translated(EnvelopeError):
                ciphertext = blob.decode("ascii", "replace")
                answer = self._ask("decrypt_data", context, ciphertext=ciphertext)
                return base64.b64decode(answer["plaintext"], validate=True)

        return unwrap

    def _ask(self, verb: str, context: DekContext, **facts: str) -> Any:
        # Read each time: an agent renews the token in its file.
        self._client.token = self._read_token()
        answer = getattr(self._client.secrets.transit, verb)(
            name=self._name, mount_point=self._mount, context=_b64(dek_info(context)), **facts
        )
        return answer["data"]


def transit_client(url: str, deadline_seconds: float = DEADLINE_SECONDS) -> hvac.Client:
    """Return a client that follows nobody elsewhere and reads no proxy from the environment.

    Raises:
        ConfigurationError: the address would carry the token in clear over a network.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _THIS_MACHINE):
        raise ConfigurationError(
            "TRANSIT_URL is not an https:// address. Plain http:// is only for this machine."
        )
    session = requests.Session()
    session.trust_env = False
    return hvac.Client(url=url, timeout=deadline_seconds, session=session, allow_redirects=False)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


@contextmanager
def _translated(on_bad_request: type[Exception]) -> Iterator[None]:
    try:
        yield
    except exceptions.InvalidRequest:
        raise on_bad_request from None
    except _STUMBLES:
        raise KeyServiceStumbled from None
    except exceptions.VaultError:
        raise KeyServiceRefused from None
    # An answer that is not what the engine answers.
    except (KeyError, TypeError, AttributeError, ValueError, binascii.Error):
        raise KeyServiceStumbled from None
