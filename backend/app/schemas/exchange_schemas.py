"""What is asked about exchanges and keys, and what is answered. Amounts are decimal strings."""

from datetime import datetime

from pydantic import BaseModel, Field

from backend.app.enums import Environment, Known
from backend.app.exchanges.reasons import Reason, Standing
from backend.app.schemas.fields import ApiKey, ApiSecret, ExchangeName, Passphrase, Request
from backend.app.schemas.passport_schemas import Passport


class SupportedExchange(BaseModel):
    """One exchange and what it needs."""

    id: str
    name: str
    aliases: list[str]
    needs_passphrase: bool
    key_page: str = Field(description="Where the exchange makes a key")
    rights_to_tick: list[str]


class SupportedExchanges(BaseModel):
    """The canonical names."""

    exchanges: list[str]


class VerifyRequest(Request):
    """A key pair to try without storing it."""

    exchange_name: ExchangeName
    api_key: ApiKey
    api_secret: ApiSecret
    passphrase: Passphrase | None = None


class AssetBalance(BaseModel):
    """One asset of the account, as decimal strings."""

    asset: str
    available: str
    locked: str
    total: str


class AccountInfo(BaseModel):
    """What the account showed while the key was tried."""

    owner_uid: str | None
    is_sub_account: Known
    balances: list[AssetBalance]
    balances_left_out: int = Field(description="Assets beyond the bound of this list")


class Verdict(BaseModel):
    """What one try of a key told."""

    exchange_name: str
    environment: Environment
    is_valid: bool
    standing: Standing | None = Field(description="Set when the exchange refused")
    has_trading_permission: bool | None = Field(description="null: the exchange does not tell")
    reason: Reason | None
    error_message: str | None
    advice: str | None
    exchange_code: str | None
    seen_address: str | None = Field(description="The address the exchange says we come from")
    passport: Passport | None = Field(description="null: the exchange told nothing of the key")
    account_info: AccountInfo | None
    checked_at: datetime
    latency_ms: int
