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


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that rests in a book. Amounts are in the base asset, finite and not negative.

    `instrument` is the exchange's own name of the market. `symbol` is BASE/QUOTE, or None where
    nobody told which part of the name is which. `order_type` is the exchange's own word. An order
    without a limit has no price.
    """

    order_id: str
    client_order_id: str | None
    instrument: str
    symbol: str | None
    side: str
    order_type: str
    price: Decimal | None
    amount: Decimal
    filled: Decimal
    created_at: datetime | None

    @property
    def remaining(self) -> Decimal:
        """What is still to be filled."""
        return self.amount - self.filled


@dataclass(frozen=True, slots=True)
class OpenOrders:
    """The open orders of an account; not complete where there were more than are asked for."""

    orders: tuple[OpenOrder, ...]
    is_complete: bool
