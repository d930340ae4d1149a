"""Closed sets of words that are stored, answered or configured."""

from enum import StrEnum


class Role(StrEnum):
    """What a signed-in person may do at large; ownership decides the rest."""

    USER = "user"
    MERCHANT = "merchant"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Environment(StrEnum):
    """Which world an exchange key belongs to. A key never crosses over."""

    SANDBOX = "sandbox"
    LIVE = "live"


class Known(StrEnum):
    """A statement about a key that the exchange may leave open."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Evidence(StrEnum):
    """What a statement about a key rests on, the strongest first."""

    KEY_INFO = "key_info"
    DRY_RUN_ORDER = "dry_run_order"
    ACCOUNT = "account"
    FETCH_TIME = "fetch_time"
    HTTP_DATE = "http_date"


class UnknownBecause(StrEnum):
    """Why rights of a key stay unknown."""

    REFUSED = "refused"
    NO_ANSWER = "no_answer"
    NOT_TOLD = "not_told"


class NotificationKind(StrEnum):
    """What somebody should know although nobody asked."""

    WITHDRAWAL_ENABLED = "withdrawal_enabled"
    RIGHT_GAINED = "right_gained"
    RIGHT_LOST = "right_lost"
    ADDRESSES_CHANGED = "addresses_changed"
    KEY_ENDS_SOON = "key_ends_soon"
    KEY_INVALID = "key_invalid"
    KEY_DEACTIVATED = "key_deactivated"
    KEY_VALID_AGAIN = "key_valid_again"
    KEY_SHARED = "key_shared"
    KEY_ROTATED = "key_rotated"
    KEY_ROLLED_BACK = "key_rolled_back"
    KEY_RESTORED = "key_restored"
    KEY_VERSION_EXPIRED = "key_version_expired"
    PRICE_ALERT = "price_alert"
    WEBHOOK_DISABLED = "webhook_disabled"
    WITHDRAWAL_SETTLED = "withdrawal_settled"
    WITHDRAWAL_FAILED = "withdrawal_failed"
    ORDER_FILLED = "order_filled"


class AlertCondition(StrEnum):
    """When a price is worth telling."""

    ABOVE = "above"
    BELOW = "below"
    PERCENT = "percent"


class DeliveryState(StrEnum):
    """What became of a message to a webhook."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class DeliveryFailure(StrEnum):
    """Why a message did not arrive; of what the far end wrote, nothing is kept."""

    ADDRESS_REFUSED = "address_refused"
    UNREACHABLE = "unreachable"
    TOO_SLOW = "too_slow"
    REDIRECT = "redirect"
    STATUS = "status"
    GONE = "gone"
    UNSIGNED = "unsigned"
    TOO_MANY_WAITING = "too_many_waiting"
    WEBHOOK_DISABLED = "webhook_disabled"


class WebhookDisabled(StrEnum):
    """Why a webhook is told nothing."""

    OWNER = "owner"
    FAILING = "failing"
    GONE = "gone"


class KeyState(StrEnum):
    """Where a key pair of a credential stands in a rotation."""

    PENDING = "pending"
    CURRENT = "current"
    PREVIOUS = "previous"


class KeyScope(StrEnum):
    """What a platform key may do at the most; its user's role still applies."""

    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"
    ADMIN = "admin"


class KeySigning(StrEnum):
    """How a platform key's requests prove who wrote them."""

    PLAIN = "plain"
    HMAC = "hmac"
    ED25519 = "ed25519"


class AccountKind(StrEnum):
    """What an account of the ledger stands for."""

    POOL = "pool"
    MERCHANT = "merchant"
    BANK = "bank"
    FEES = "fees"
    SUSPENSE = "suspense"


class MovementKind(StrEnum):
    """Why money moved."""

    TOPUP = "topup"
    DRAWDOWN = "drawdown"
    WITHDRAWAL = "withdrawal"
    GIVEN_BACK = "given_back"


class MerchantState(StrEnum):
    """Whether a merchant may draw."""

    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"


class SettlementState(StrEnum):
    """What the bank made of a payout, for good."""

    SETTLED = "settled"
    REFUSED = "refused"


class WithdrawalState(StrEnum):
    """How far a withdrawal has come. A settled or failed one stays so."""

    REQUESTED = "requested"
    SETTLING = "settling"
    SETTLED = "settled"
    FAILED = "failed"
    UNKNOWN = "unknown"
