"""Where the root keys come from: the environment, a file, AWS KMS, a transit engine.

`KEY_PROVIDER` says which source seals; every other source that is configured opens. So moving from
one to another is a rotation like any other.
"""

import os
import stat
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from backend.app.config import KeyProvider, VaultSettings
from backend.app.errors import ConfigurationError
from backend.app.services.key_ring import KEY_SOURCE, KeyRing, read_master_keys
from backend.app.services.key_service_calls import DEADLINE_SECONDS, KeyServiceCalls
from backend.app.services.root_key import RootKey

KEY_FILE_BYTES_MAX: Final = 4096
_OTHERS: Final = 0o077
_REFERENCE_CHARACTERS_MAX: Final = 255


def build_key_ring(settings: VaultSettings, deadline_seconds: float = DEADLINE_SECONDS) -> KeyRing:
    """Return all root keys that are configured, those of `KEY_PROVIDER` first.

    Raises:
        ConfigurationError: a key is missing, damaged or cannot be used; the text says how to mend.
    """
    sources: dict[KeyProvider, Callable[[], Sequence[RootKey]]] = {
        KeyProvider.ENV: lambda: _from_environment(settings),
        KeyProvider.FILE: lambda: _from_file(settings),
        KeyProvider.AWSKMS: lambda: _from_awskms(settings, deadline_seconds),
        KeyProvider.TRANSIT: lambda: _from_transit(settings, deadline_seconds),
    }
    sealing = sources.pop(settings.key_provider)()
    if not sealing:
        # The environment speaks for itself, and at length.
        if settings.key_provider is KeyProvider.ENV:
            return KeyRing.from_environment(None)
        raise ConfigurationError(_MISSING[settings.key_provider])
    keys = [*sealing, *(key for source in sources.values() for key in source())]
    if len({key.kid for key in keys}) < len(keys):
        raise ConfigurationError("Two sources of root keys hold a key of one name. Rename one.")
    return KeyRing(keys)


def read_key_file(path: Path) -> str:
    """Return the text of a key file that its owner alone can read.

    Raises:
        ConfigurationError: it is missing, another's, open to others or not a plain file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ConfigurationError(f"KEY_FILE: {path} cannot be read ({error.strerror}).") from None
    with os.fdopen(descriptor, "rb") as file:
        _refuse_unsafe(path, os.fstat(descriptor))
        text = file.read(KEY_FILE_BYTES_MAX + 1)
    if len(text) > KEY_FILE_BYTES_MAX:
        raise ConfigurationError(f"KEY_FILE: {path} has more than {KEY_FILE_BYTES_MAX} bytes.")
    # Whatever is no ASCII is no key, and is refused as one.
    return ",".join(text.decode("ascii", "replace").split())


def _refuse_unsafe(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError(f"KEY_FILE: {path} is not a plain file.")
    if found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"KEY_FILE: {path} belongs to user {found.st_uid}, we are user {os.geteuid()}. "
            f"Give it to us: chown {os.geteuid()} {path}"
        )
    if found.st_mode & _OTHERS:
        raise ConfigurationError(
            f"KEY_FILE: {path} can be read or changed by others. Close it first: chmod 600 {path}"
        )


def _from_environment(settings: VaultSettings) -> Sequence[RootKey]:
    text = _shown(settings.encryption_key)
    return read_master_keys(text, KEY_SOURCE) if text is not None else ()


def _from_file(settings: VaultSettings) -> Sequence[RootKey]:
    if settings.key_file is None:
        return ()
    return read_master_keys(read_key_file(settings.key_file), f"KEY_FILE ({settings.key_file})")


def _from_awskms(settings: VaultSettings, deadline_seconds: float) -> Sequence[RootKey]:
    if not settings.awskms_key_id:
        return ()
    _refuse_missing("boto3", "awskms")
    from backend.app.services import awskms_key  # noqa: PLC0415 - an optional extra

    calls = KeyServiceCalls(awskms_key.PROVIDER, deadline_seconds)
    client = awskms_key.awskms_client(settings.awskms_endpoint_url, deadline_seconds)
    names = _named(settings.awskms_key_id, "AWSKMS_KEY_ID")
    return [awskms_key.AwsKmsKey(name, client, calls) for name in names]


def _from_transit(settings: VaultSettings, deadline_seconds: float) -> Sequence[RootKey]:
    if settings.transit_url is None:
        return ()
    if not settings.transit_key:
        raise ConfigurationError(_MISSING[KeyProvider.TRANSIT])
    _refuse_missing("hvac", "transit")
    from backend.app.services import transit_key  # noqa: PLC0415 - an optional extra

    calls = KeyServiceCalls(transit_key.PROVIDER, deadline_seconds)
    client = transit_key.transit_client(settings.transit_url, deadline_seconds)
    token, mount = _token_reader(settings), settings.transit_mount
    names = _named(settings.transit_key, "TRANSIT_KEY")
    return [transit_key.TransitKey(name, mount, client, token, calls) for name in names]


def _token_reader(settings: VaultSettings) -> Callable[[], str]:
    token, path = _shown(settings.transit_token), settings.transit_token_file
    if (token is None) == (path is None):
        raise ConfigurationError("Set either TRANSIT_TOKEN or TRANSIT_TOKEN_FILE, and not both.")
    if path is None:
        return lambda: token or ""
    if not path.is_file():
        raise ConfigurationError(f"TRANSIT_TOKEN_FILE: {path} is not a file.")
    return lambda: path.read_text("ascii", "replace").strip()


def _named(names: Sequence[str], variable: str) -> Sequence[str]:
    if len(set(names)) < len(names) or max(map(len, names)) > _REFERENCE_CHARACTERS_MAX // 2:
        raise ConfigurationError(f"{variable} names a key twice, or a name is too long.")
    return names


def _refuse_missing(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise ConfigurationError(
            f"KEY_PROVIDER {extra} needs {package}. Install it: pip install 'strongroom[{extra}]'"
        )


def _shown(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


_MISSING: Final = {
    KeyProvider.FILE: "KEY_FILE is not set: the file that holds the root keys, mode 0600.",
    KeyProvider.AWSKMS: "AWSKMS_KEY_ID is not set: the ARN of the KMS key that seals.",
    KeyProvider.TRANSIT: (
        "TRANSIT_URL or TRANSIT_KEY is not set. Expected: the address of Vault or OpenBao, and the "
        "name of a key made with: bao write -f transit/keys/NAME derived=true"
    ),
}
