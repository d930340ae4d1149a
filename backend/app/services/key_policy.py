"""Which keys the house takes: those the exchange accepts, and none that can take money out.

A right to withdraw that the exchange does not tell is no reason to refuse: its passport says so.
"""

from typing import Final

from backend.app.enums import Environment, Known
from backend.app.errors import (
    CredentialOfOtherEnvironment,
    CredentialRefused,
    KeyCanWithdraw,
    TooManyCredentials,
)
from backend.app.exchanges.withdrawal import withdrawal_advice
from backend.app.schemas.exchange_schemas import Verdict

CREDENTIALS_PER_USER_MAX: Final = 100


def require_room(held: int, more: int = 1) -> None:
    """Let an owner of so many credentials bind so many more.

    Raises:
        TooManyCredentials: the owner would hold more than one user may.
    """
    if held + more > CREDENTIALS_PER_USER_MAX:
        raise TooManyCredentials(f"One user may hold {CREDENTIALS_PER_USER_MAX} credentials.")


def require_acceptable(verdict: Verdict, allow_withdrawal: bool) -> None:
    """Let a key pass that may be bound.

    Raises:
        CredentialRefused: the exchange refused it.
        KeyCanWithdraw: it may withdraw, and nobody said that this is meant.
    """
    if not verdict.is_valid:
        raise _refused(verdict)
    if can_withdraw(verdict) and not allow_withdrawal:
        steps = withdrawal_advice(verdict.exchange_name)
        raise KeyCanWithdraw(
            f"Nothing here needs the right to withdraw. {steps}",
            facts={"exchange_name": verdict.exchange_name, "advice": steps},
        )


def require_environment(bound_in: str, ours: Environment) -> None:
    """Let a stored key pass that belongs to the world this service reaches.

    Raises:
        CredentialOfOtherEnvironment: it belongs to the other one.
    """
    if bound_in != ours:
        raise CredentialOfOtherEnvironment(
            f"This key belongs to {bound_in}; this service reaches {ours}."
        )


def can_withdraw(verdict: Verdict | None) -> bool:
    """Say whether the exchange told that this key may withdraw."""
    passport = verdict.passport if verdict is not None else None
    return passport is not None and passport.can_withdraw is Known.YES


def _refused(verdict: Verdict) -> CredentialRefused:
    return CredentialRefused(
        f"{verdict.error_message} {verdict.advice}",
        facts={
            "exchange_name": verdict.exchange_name,
            "reason": verdict.reason,
            "standing": verdict.standing,
            "error_message": verdict.error_message,
            "advice": verdict.advice,
            "exchange_code": verdict.exchange_code,
            "seen_address": verdict.seen_address,
        },
    )
