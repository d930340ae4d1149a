"""Settings from the environment, in small groups, read once at start.

Every variable stands in `.env.example` with its unit, default and reason; a test compares the two.
A value that cannot be used refuses the start and names the variable, never the value.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from backend.app.enums import Environment
from backend.app.errors import ConfigurationError

SYMBOLS_MAX: Final = 200
INTERNAL_KEY_LENGTH_MIN: Final = 32

SymbolName = Annotated[str, Field(max_length=41)]


class _Group(BaseSettings):
    # An empty variable is an unset one: compose hands on what `.env` leaves out as empty.
    model_config = SettingsConfigDict(
        extra="ignore", hide_input_in_errors=True, frozen=True, env_ignore_empty=True
    )


def _split(value: object) -> object:
    """Read `a,b` as a list: pydantic-settings would expect JSON."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


class DatabaseSettings(_Group):
    """Where the truth is. Without `DATABASE_URL`, `strongroom up` brings its own PostgreSQL.

    `DATABASE_DIRECT_URL` says that the other goes through a pooler in transaction mode.
    """

    database_url: SecretStr | None = None
    database_direct_url: SecretStr | None = None
    database_pool_size: int = Field(default=10, ge=1, le=100)
    database_max_overflow: int = Field(default=20, ge=0, le=200)
    database_pool_pre_ping: bool = True
    database_pool_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    database_statement_timeout_seconds: float = Field(default=15.0, gt=0, le=300)

    @model_validator(mode="after")
    def _direct_beside_a_pooler(self) -> Self:
        if self.database_direct_url is not None and self.database_url is None:
            raise ValueError(
                "DATABASE_DIRECT_URL is the way past the pooler that DATABASE_URL goes through:"
                " set both, or DATABASE_URL alone"
            )
        return self


class CacheSettings(_Group):
    """The cache in front of the truth. Without `REDIS_URL` it lives in the process."""

    redis_url: SecretStr | None = None
    credential_list_ttl_seconds: int = Field(default=300, ge=1, le=3600)
    exchange_list_ttl_seconds: int = Field(default=3600, ge=1, le=86400)


class KeyProvider(StrEnum):
    """Who holds the root keys that seal."""

    ENV = "env"
    FILE = "file"
    AWSKMS = "awskms"
    TRANSIT = "transit"


class VaultSettings(_Group):
    """The keys that seal what the vault holds. Every source that is set opens; one seals."""

    key_provider: KeyProvider = KeyProvider.ENV
    encryption_key: SecretStr | None = None
    key_file: Path | None = None
    awskms_key_id: Annotated[list[str], NoDecode] = Field(default_factory=list, max_length=4)
    awskms_endpoint_url: str | None = None
    transit_url: str | None = None
    transit_key: Annotated[list[str], NoDecode] = Field(default_factory=list, max_length=4)
    transit_mount: str = Field(default="transit", max_length=100)
    transit_token: SecretStr | None = None
    transit_token_file: Path | None = None

    _split_names = field_validator("awskms_key_id", "transit_key", mode="before")(_split)


class AuditSettings(_Group):
    """The audit trail outside of the database. `strongroom up` sets it to a file in its home."""

    audit_anchor_file: Path | None = None


class AuthSettings(_Group):
    """Login, and how long it lasts."""

    jwt_secret: SecretStr | None = None
    access_token_lifetime_minutes: int = Field(default=60, ge=1, le=1440)
    refresh_token_lifetime_days: int = Field(default=7, ge=1, le=90)
    secure_cookies: bool = True


class ExchangeSettings(_Group):
    """Which world exchange traffic goes to, and how often stored keys are tried there."""

    exchange_mode: Environment = Environment.SANDBOX
    sandbox_url: str = "http://127.0.0.1:8200"
    sandbox_seed: SecretStr | None = None
    credential_check_interval_hours: int = Field(default=24, ge=0, le=720)

    @field_validator("sandbox_url")
    @classmethod
    def _origin_only(cls, value: str) -> str:
        return value.rstrip("/")


class MarketSettings(_Group):
    """Which prices are kept, where they come from, and how the roles ask each other for them."""

    symbols: Annotated[list[SymbolName], NoDecode] = Field(
        default_factory=lambda: ["BTCUSDT", "ETHBTC", "ETHUSDT"],
        min_length=1,
        max_length=SYMBOLS_MAX,
    )
    refresh_interval_seconds: int = Field(default=60, ge=1, le=3600)
    cache_ttl_seconds: int = Field(default=55, ge=1, le=3600)
    binance_base_url: str | None = None
    price_fallback_exchange: str | None = Field(default=None, max_length=20)
    internal_api_key: SecretStr | None = Field(default=None, min_length=INTERNAL_KEY_LENGTH_MIN)
    price_api_url: str | None = None
    tick_retention_days: int = Field(default=7, ge=1, le=365)
    candle_retention_days_fine: int = Field(default=400, ge=0, le=36500)
    candle_retention_days_coarse: int = Field(default=0, ge=0, le=36500)

    _split_symbols = field_validator("symbols", mode="before")(_split)

    @model_validator(mode="after")
    def _longer_stays_longer(self) -> Self:
        # A candle is made of ticks and of shorter candles: those have to be there while it is.
        fine = self.candle_retention_days_fine or math.inf
        coarse = self.candle_retention_days_coarse or math.inf
        if not self.tick_retention_days <= fine <= coarse:
            raise ValueError(
                "TICK_RETENTION_DAYS, CANDLE_RETENTION_DAYS_FINE and CANDLE_RETENTION_DAYS_COARSE"
                " must not fall in this order (0 is for ever)"
            )
        return self


class WebhookSettings(_Group):
    """Where notifications may be sent to."""

    webhook_allow_loopback: bool = False


class SettlementSettings(_Group):
    """Who pays withdrawals out, what opens its door, and whether callers wait for it."""

    settlement_url: str | None = None
    settlement_token: SecretStr | None = None
    async_settlement: bool = False


class VenueSettings(_Group):
    """The venue: who may name its traders, and where its engines are."""

    card_identity_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    venue_engine_in_api: bool = True


class RateLimitSettings(_Group):
    """How many requests one user, or one address nobody signed in from, may send."""

    rl_max_requests: int = Field(default=300, ge=0, le=1_000_000)
    rl_window_sec: int = Field(default=10, ge=1, le=3600)


class RequestLogSettings(_Group):
    """The log of requests in the database, which an administrator can search."""

    request_log_days: int = Field(default=14, ge=0, le=366)


class LogFormat(StrEnum):
    """How log lines look: JSON for machines, columns for people, by the terminal if `auto`."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class ServerSettings(_Group):
    """Addresses, ports and what a browser may do."""

    bind_host: str = "127.0.0.1"
    api_port: int = Field(default=8000, ge=0, le=65535)
    sandbox_port: int = Field(default=8200, ge=0, le=65535)
    prices_port: int = Field(default=8100, ge=0, le=65535)
    settlement_port: int = Field(default=9000, ge=0, le=65535)
    engine_port: int = Field(default=8300, ge=0, le=65535)
    cors_origins: Annotated[list[str], NoDecode] = Field(default_factory=list)
    docs_enabled: bool = True
    body_limit_bytes: int = Field(default=65536, ge=1024, le=1048576)
    shutdown_grace_seconds: int = Field(default=10, ge=1, le=300)
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    log_format: LogFormat = LogFormat.AUTO

    _split_origins = field_validator("cors_origins", mode="before")(_split)


@dataclass(frozen=True)
class Settings:
    """All groups together; a service is handed its own group only."""

    database: DatabaseSettings
    cache: CacheSettings
    vault: VaultSettings
    auth: AuthSettings
    exchange: ExchangeSettings
    server: ServerSettings
    request_log: RequestLogSettings = field(
        default_factory=lambda: RequestLogSettings(_env_file=None)
    )
    rate_limit: RateLimitSettings = field(default_factory=lambda: RateLimitSettings(_env_file=None))
    audit: AuditSettings = field(default_factory=lambda: AuditSettings(_env_file=None))
    webhooks: WebhookSettings = field(default_factory=lambda: WebhookSettings(_env_file=None))
    market: MarketSettings = field(default_factory=lambda: MarketSettings(_env_file=None))
    settlement: SettlementSettings = field(
        default_factory=lambda: SettlementSettings(_env_file=None)
    )
    venue: VenueSettings = field(default_factory=lambda: VenueSettings(_env_file=None))

    @classmethod
    def load(cls, *env_files: Path) -> Self:
        """Read every group from the environment, then from the files; later files win.

        Raises:
            ConfigurationError: a variable holds what it cannot hold.
        """
        try:
            return cls(**{f.name: f.type(_env_file=env_files) for f in fields(cls)})  # type: ignore[operator]
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None


def groups() -> tuple[type[BaseSettings], ...]:
    """Return the settings classes, for the test that reads `.env.example`."""
    return tuple(field.type for field in fields(Settings))  # type: ignore[misc]


def _explain(error: ValidationError) -> str:
    lines = [
        f"{'.'.join(str(part) for part in problem['loc']).upper() or 'TOGETHER'}: {problem['msg']}"
        for problem in error.errors(include_input=False, include_context=False, include_url=False)
    ]
    return "These settings cannot be used:\n  " + "\n  ".join(lines)


def home_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where `strongroom up` keeps its database and generated secrets."""
    return Path(environment.get("STRONGROOM_HOME", ".strongroom")).absolute()
