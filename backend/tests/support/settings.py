"""Settings for a test: secrets made on the spot, nothing read from the environment."""

import secrets
from dataclasses import replace
from functools import cache
from typing import Any, Final

from pydantic import SecretStr

from backend.app.config import (
    AuthSettings,
    CacheSettings,
    DatabaseSettings,
    ExchangeSettings,
    MarketSettings,
    RateLimitSettings,
    RequestLogSettings,
    ServerSettings,
    Settings,
    VaultSettings,
)
from backend.app.services.crypto_service import CryptoService

_BY_ITSELF: Final[dict[str, Any]] = {
    # A test that wants the watch ticks one itself; elsewhere it would stir what is counted.
    "credential_check_interval_hours": 0,
    # Where nobody listens. On the usual port somebody may: the README's house, at the same time.
    "sandbox_url": "http://127.0.0.1:1",
}


def settings_for_tests(**exchange: Any) -> Settings:
    """Return settings with fresh secrets; `exchange` changes the exchange group."""
    usual = _usual()
    return replace(
        usual,
        vault=VaultSettings(encryption_key=SecretStr(CryptoService.generate_key())),
        auth=AuthSettings(jwt_secret=SecretStr(secrets.token_urlsafe(48)), secure_cookies=False),
        exchange=ExchangeSettings(
            sandbox_seed=SecretStr(secrets.token_urlsafe(32)),
            **{**_BY_ITSELF, **exchange},
        ),
        market=MarketSettings(internal_api_key=SecretStr(secrets.token_urlsafe(48))),
    )


@cache
def usual_settings() -> Settings:
    """Return settings like these, always the same ones."""
    return settings_for_tests()


def sandbox_settings(url: str) -> Settings:
    """Return the usual settings of a house whose exchanges are a sandbox."""
    usual = usual_settings()
    return replace(usual, exchange=usual.exchange.model_copy(update={"sandbox_url": url}))


@cache
def _usual() -> Settings:
    """Return what all tests have in common. Each group costs most of a millisecond."""
    return Settings(
        # A busy machine lets a crowd wait; tests of that wait set one.
        database=DatabaseSettings(database_pool_size=5, database_pool_timeout_seconds=60),
        cache=CacheSettings(),
        vault=VaultSettings(),
        auth=AuthSettings(),
        exchange=ExchangeSettings(),
        server=ServerSettings(),
        # Tests ask faster than people; those of the limit itself set one.
        rate_limit=RateLimitSettings(rl_max_requests=0),
        request_log=RequestLogSettings(request_log_days=0),
    )
