"""The vocabulary of refusals: why an exchange did not accept a key, and what that says about it."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why an exchange refused. The words are stored, answered and documented."""

    INVALID_KEY = "invalid_key"
    BAD_SIGNATURE = "bad_signature"
    WRONG_PASSPHRASE = "wrong_passphrase"
    KEY_EXPIRED = "key_expired"
    IP_NOT_ALLOWED = "ip_not_allowed"
    PERMISSION_MISSING = "permission_missing"
    ACCOUNT_RESTRICTED = "account_restricted"
    REGION_RESTRICTED = "region_restricted"
    WRONG_ENVIRONMENT = "wrong_environment"
    AMBIGUOUS_CREDENTIALS = "ambiguous_credentials"
    CLOCK_SKEW = "clock_skew"
    RATE_LIMITED = "rate_limited"
    EXCHANGE_UNAVAILABLE = "exchange_unavailable"
    UNKNOWN = "unknown"


class Standing(StrEnum):
    """What a refusal says about the key itself."""

    INVALID = "invalid"
    VALID_ELSEWHERE = "valid_elsewhere"
    VALID_LIMITED = "valid_limited"
    VALID_UNUSABLE = "valid_unusable"
    NO_VERDICT = "no_verdict"


_STANDINGS = {
    Reason.INVALID_KEY: Standing.INVALID,
    Reason.BAD_SIGNATURE: Standing.INVALID,
    Reason.WRONG_PASSPHRASE: Standing.INVALID,
    Reason.KEY_EXPIRED: Standing.INVALID,
    Reason.WRONG_ENVIRONMENT: Standing.INVALID,
    Reason.AMBIGUOUS_CREDENTIALS: Standing.INVALID,
    Reason.IP_NOT_ALLOWED: Standing.VALID_ELSEWHERE,
    Reason.PERMISSION_MISSING: Standing.VALID_LIMITED,
    Reason.ACCOUNT_RESTRICTED: Standing.VALID_UNUSABLE,
    Reason.REGION_RESTRICTED: Standing.NO_VERDICT,
    Reason.CLOCK_SKEW: Standing.NO_VERDICT,
    Reason.RATE_LIMITED: Standing.NO_VERDICT,
    Reason.EXCHANGE_UNAVAILABLE: Standing.NO_VERDICT,
    Reason.UNKNOWN: Standing.NO_VERDICT,
}


# Of the moment: asked again later, the same question may be answered.
PASSING = frozenset({Reason.CLOCK_SKEW, Reason.RATE_LIMITED, Reason.EXCHANGE_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal, classified. `code` is the exchange's own, kept raw and short.

    `seen_address` is the address the exchange says we come from, where it tells.
    """

    reason: Reason
    code: str | None = None
    seen_address: str | None = None

    @property
    def standing(self) -> Standing:
        """What this says about the key."""
        return _STANDINGS[self.reason]
