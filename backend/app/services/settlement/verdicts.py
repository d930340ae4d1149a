"""What a question to the settlement may come to."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Payout:
    """A withdrawal that is ours to pay out until a moment, and how far it had come before."""

    withdrawal_id: int
    merchant_id: int
    account_id: int
    amount: Decimal
    bank_account: SecretStr = field(repr=False)
    until: datetime
    tries: int
    was_unknown: bool


class Silence(StrEnum):
    """Why it is not known what became of a payout; what the far end wrote is not kept."""

    NO_ANSWER = "no_answer"
    UNUSABLE_ANSWER = "unusable_answer"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - the name of a reason
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True)
class Settled:
    """The bank paid."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The bank will never pay this one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The question was perhaps heard. Only asking again tells."""

    silence: Silence


@dataclass(frozen=True, slots=True)
class NotAsked:
    """The settlement is away: no question left us."""


Verdict = Settled | Refused | Unknown | NotAsked
