"""Seeded keys: derived, never written down, shaped as each exchange's own."""

import re

import pytest

from backend.app.sandbox.accounts import EXCHANGES, SeededAccount, seeded_accounts

NOW_MS = 1_795_259_228_000
SHAPES = {
    "binance": (r"[A-Za-z0-9]{64}", r"[A-Za-z0-9]{64}"),
    "okx": (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", r"[0-9A-F]{32}"),
    "bybit": (r"[A-Za-z0-9]{18}", r"[A-Za-z0-9]{36}"),
    "htx": (r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{5}",) * 2,
    "kucoin": (r"[0-9a-f]{24}", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "gate": (r"[0-9a-f]{32}", r"[0-9a-f]{64}"),
    "bitget": (r"bg_[0-9a-f]{32}", r"[0-9a-f]{64}"),
    "mexc": (r"mx0[A-Za-z0-9]{15}", r"[0-9a-f]{32}"),
}


def accounts_from(seed: bytes) -> dict[str, SeededAccount]:
    return {account.account_id: account for account in seeded_accounts(seed, NOW_MS)}


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_keys_look_like_the_exchanges_own(exchange: str) -> None:
    accounts = [a for a in accounts_from(b"one seed").values() if a.exchange == exchange]

    key_shape, secret_shape = SHAPES[exchange]

    assert all(re.fullmatch(key_shape, a.keys.api_key) for a in accounts)
    assert all(re.fullmatch(secret_shape, a.keys.api_secret) for a in accounts)
    has_passphrase = exchange in ("okx", "kucoin", "bitget")
    assert all((a.keys.passphrase is not None) == has_passphrase for a in accounts)


def test_the_same_seed_gives_the_same_keys_after_a_restart() -> None:
    assert accounts_from(b"one seed") == accounts_from(b"one seed")


def test_no_two_credentials_are_alike_within_a_seed_or_between_seeds() -> None:
    every = [*accounts_from(b"one seed").values(), *accounts_from(b"another").values()]

    credentials = [a.keys.api_key for a in every] + [a.keys.api_secret for a in every]

    assert len(set(credentials)) == len(credentials)


def test_an_account_shows_no_credential_when_printed() -> None:
    account = accounts_from(b"one seed")["okx:full"]

    shown = f"{account!r} {account.keys!r}"

    assert account.keys.api_key not in shown
    assert account.keys.api_secret not in shown
    assert str(account.keys.passphrase) not in shown
