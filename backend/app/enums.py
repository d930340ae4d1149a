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
