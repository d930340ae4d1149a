"""What an exchange says of a key and an account, in one vocabulary for all eight."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from backend.app.enums import Known


@dataclass(frozen=True, slots=True)
class KeyInformation:
    """The rights of a key as its exchange tells them. What it does not tell stays unknown."""

    can_read: Known = Known.UNKNOWN
    can_trade: Known = Known.UNKNOWN
    can_withdraw: Known = Known.UNKNOWN
    can_transfer: Known = Known.UNKNOWN
    ip_restricted: Known = Known.UNKNOWN
    ip_addresses: tuple[str, ...] | None = None
    """The allow list, where it is readable; None where it is not."""
    expires_at: datetime | None = None
    remaining_days: int | None = None
    """Whole days to the end, where the exchange tells days instead of a date (HTX, MEXC)."""
    trading_ends_at: datetime | None = None
    """When the trading right alone ends, the key living on (Binance)."""
    is_sub_account: Known = Known.UNKNOWN
    owner_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """One asset of an account. Amounts are finite and not negative."""

    asset: str
    available: Decimal
    locked: Decimal = field(default=Decimal(0))

    @property
    def total(self) -> Decimal:
        """Available and locked together."""
        return self.available + self.locked
