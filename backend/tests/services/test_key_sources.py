"""Root keys from every source: by configuration alone, and refused where that is not safe."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backend.app.config import KeyProvider, VaultSettings
from backend.app.errors import ConfigurationError
from backend.app.services.crypto_service import CryptoService
from backend.app.services.key_sources import KEY_FILE_BYTES_MAX, build_key_ring


def settings(**values: Any) -> VaultSettings:
    return VaultSettings(_env_file=None, **values)


def secret(text: str) -> SecretStr:
    return SecretStr(text)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f"new:{CryptoService.generate_key()}\nold:{CryptoService.generate_key()}\n")
    return path


def test_a_file_of_keys_seals_with_the_first(key_file: Path) -> None:
    ring = build_key_ring(settings(key_provider=KeyProvider.FILE, key_file=key_file))

    assert [key.kid for key in ring.keys] == ["new", "old"]
    assert ring.sealing.kid == "new"


def test_the_source_named_seals_and_every_other_opens(key_file: Path) -> None:
    environment = secret(f"env:{CryptoService.generate_key()}")
    both = {"encryption_key": environment, "key_file": key_file}

    by_file = build_key_ring(settings(key_provider=KeyProvider.FILE, **both))
    by_environment = build_key_ring(settings(**both))

    assert [key.kid for key in by_file.keys] == ["new", "old", "env"]
    assert [key.kid for key in by_environment.keys] == ["env", "new", "old"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601, 0o666])
def test_a_file_others_can_reach_is_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)

    with pytest.raises(ConfigurationError, match=f"chmod 600 {key_file}"):
        build_key_ring(settings(key_provider=KeyProvider.FILE, key_file=key_file))


@pytest.fixture
def foreign_file(key_file: Path) -> Path:
    """A file of somebody else: root can give one away, everybody else finds one of root's."""
    if os.geteuid() != 0:
        return Path("/etc/passwd")
    os.chown(key_file, 65534, 65534)
    return key_file


def test_a_file_of_somebody_else_is_refused(foreign_file: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"belongs to user {foreign_file.stat().st_uid}"):
        build_key_ring(settings(key_provider=KeyProvider.FILE, key_file=foreign_file))


def test_what_is_no_plain_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)

    with pytest.raises(ConfigurationError, match="not a plain file"):
        build_key_ring(settings(key_provider=KeyProvider.FILE, key_file=tmp_path / "pipe"))


def test_a_file_that_is_missing_or_too_long_is_refused(tmp_path: Path, key_file: Path) -> None:
    key_file.write_text("x" * (KEY_FILE_BYTES_MAX + 1))

    with pytest.raises(ConfigurationError, match="cannot be read"):
        build_key_ring(settings(key_provider=KeyProvider.FILE, key_file=tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="more than"):
        build_key_ring(settings(key_provider=KeyProvider.FILE, key_file=key_file))


def test_a_damaged_file_is_refused_and_not_shown(key_file: Path) -> None:
    key_file.write_bytes(b"damaged-\xff-key")

    with pytest.raises(ConfigurationError) as refused:
        build_key_ring(settings(key_provider=KeyProvider.FILE, key_file=key_file))

    assert f"Key number 1 of KEY_FILE ({key_file}) is damaged" in str(refused.value)
    assert "damaged-" not in str(refused.value)


@pytest.mark.parametrize(
    ("provider", "told"),
    [
        (KeyProvider.ENV, "ENCRYPTION_KEY is not set"),
        (KeyProvider.FILE, "KEY_FILE is not set"),
        (KeyProvider.AWSKMS, "AWSKMS_KEY_ID is not set"),
        (KeyProvider.TRANSIT, "TRANSIT_URL or TRANSIT_KEY is not set"),
    ],
)
def test_a_source_that_should_seal_and_is_not_configured_is_named(
    provider: KeyProvider, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        build_key_ring(settings(key_provider=provider))


def test_a_token_never_travels_in_clear() -> None:
    with pytest.raises(ConfigurationError, match="TRANSIT_URL is not an https"):
        build_key_ring(
            settings(
                key_provider=KeyProvider.TRANSIT,
                transit_url="http://vault.example:8200",
                transit_key=["strongroom"],
                transit_token=secret("token"),
            )
        )


@pytest.mark.parametrize("both", [True, False])
def test_a_transit_token_comes_from_one_place(tmp_path: Path, both: bool) -> None:
    given = {"transit_token": secret("t"), "transit_token_file": tmp_path} if both else {}

    with pytest.raises(ConfigurationError, match="either TRANSIT_TOKEN or TRANSIT_TOKEN_FILE"):
        build_key_ring(
            settings(
                key_provider=KeyProvider.TRANSIT,
                transit_url="https://vault.example",
                transit_key=["strongroom"],
                **given,
            )
        )


def test_two_keys_of_one_name_in_two_sources_are_refused(key_file: Path) -> None:
    with pytest.raises(ConfigurationError, match="a key of one name"):
        build_key_ring(
            settings(
                encryption_key=secret(f"old:{CryptoService.generate_key()}"), key_file=key_file
            )
        )
