"""Who gets what: a batch of withdrawals decided in memory, in the order of arrival.

Pure: what stands is handed in, and nothing is written here. A later request meets what the earlier
ones of its batch left.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Final

from backend.app.audit_record import Act, AuditObject, AuditRecord, Outcome, WrittenRecord
from backend.app.enums import MerchantState, WithdrawalState
from backend.app.errors import (
    CreditExceeded,
    MerchantNotActive,
    PoolShort,
    StrongroomError,
)
from backend.app.money import in_cents
from backend.app.repositories.withdrawal_book import Booking, KeptLine, MerchantLine, Standing
from backend.app.schemas.withdrawal_schemas import WithdrawalShown
from backend.app.services.idempotency.keyed import Answer
from backend.app.services.principal import Principal

_NO_MERCHANT: Final = "none"
_INACTIVE: Final = {
    _NO_MERCHANT: "You are no merchant.",
    MerchantState.PENDING.value: "You are not approved as a merchant yet.",
    MerchantState.SUSPENDED.value: "Your credit is suspended.",
}


@dataclass(frozen=True, slots=True)
class WithdrawalAsked:
    """A withdrawal as it waits to be decided."""

    principal: Principal
    key: str
    fingerprint: bytes
    amount: Decimal

    @property
    def scope(self) -> tuple[int, str]:
        """Where its key counts."""
        return self.principal.user_id, self.key


@dataclass(slots=True)
class Decided:
    """What is to be written for a batch, and what each caller is told once it is committed."""

    # What a booking is answered with until it is known how it ends.
    booked_status: int = HTTPStatus.CREATED
    # None: the key came with something else before.
    outcomes: list[Answer | None] = field(default_factory=list)
    bookings: list[Booking] = field(default_factory=list)
    answers: list[KeptLine] = field(default_factory=list)
    records: list[WrittenRecord] = field(default_factory=list)


def decide(
    batch: Sequence[WithdrawalAsked],
    standing: Standing,
    at: datetime,
    *,
    again: bool = False,
    booked_status: int = HTTPStatus.CREATED,
) -> Decided:
    """Return what becomes of a batch.

    A batch that is tried `again` may find the answers of its own first try, which are no replays.
    """
    decided = Decided(booked_status)
    purse = _Purse(standing)
    for asked in batch:
        kept = standing.kept.get(asked.scope)
        if kept is None:
            decided.outcomes.append(_decide_one(asked, purse, decided, at))
        elif kept.fingerprint != asked.fingerprint:
            decided.outcomes.append(None)
        else:
            answer = Answer(kept.status, kept.body, is_replayed=not again)
            decided.outcomes.append(answer)
    return decided


class _Purse:
    """What is left of pools and credits while a batch is decided."""

    def __init__(self, standing: Standing) -> None:
        self._merchants = standing.merchants
        self._pools = dict(standing.pools)
        self._utilised: dict[int, Decimal] = {}
        self._new_ids = standing.new_ids

    def take(self, asked: WithdrawalAsked) -> Booking:
        """Take an amount from credit and pool.

        Raises:
            MerchantNotActive: not approved, suspended, or no merchant.
            CreditExceeded: more than is left of the credit.
            PoolShort: more than is left in the pool.
        """
        merchant = self._active(asked.principal.user_id)
        user_id, _, account_id, pool_id, utilised, limit = merchant
        if account_id is None or pool_id is None or utilised is None or limit is None:
            raise _inactive(MerchantState.PENDING.value)
        utilised = self._utilised.get(user_id, utilised)
        if asked.amount > limit - utilised:
            raise CreditExceeded(
                "Your credit does not cover this amount.",
                facts={"available": in_cents(limit - utilised)},
            )
        if asked.amount > self._pools[pool_id]:
            raise PoolShort("The pool behind your credit does not cover this amount now.")
        self._utilised[user_id] = utilised + asked.amount
        self._pools[pool_id] -= asked.amount
        withdrawal_id, movement_id = next(self._new_ids)
        return Booking(withdrawal_id, movement_id, user_id, account_id, pool_id, asked.amount)

    def _active(self, user_id: int) -> MerchantLine:
        merchant = self._merchants.get(user_id)
        if merchant is None:
            raise _inactive(_NO_MERCHANT)
        # Approved while we were reading: his pool is not held, so for this batch he is not yet.
        if merchant.pool_id is not None and merchant.pool_id not in self._pools:
            raise _inactive(MerchantState.PENDING.value)
        if merchant.state != MerchantState.ACTIVE:
            raise _inactive(merchant.state)
        return merchant


def _decide_one(asked: WithdrawalAsked, purse: _Purse, decided: Decided, at: datetime) -> Answer:
    principal = asked.principal
    try:
        booking = purse.take(asked)
    except StrongroomError as refusal:
        answer = Answer.refusing(refusal, principal.request_id, lambda: at)
        thing = AuditObject("user", principal.user_id, principal.user_id)
        record = _record(principal, Outcome.DENIED, thing, at, refusal.slug)
    else:
        decided.bookings.append(booking)
        answer = Answer.of(_shown(booking, at), decided.booked_status)
        thing = AuditObject("withdrawal", booking.id, principal.user_id)
        record = _record(principal, Outcome.DONE, thing, at)
    decided.answers.append(KeptLine(*asked.scope, asked.fingerprint, answer.status, answer.body))
    decided.records.append(record)
    return answer


def _shown(booking: Booking, at: datetime) -> WithdrawalShown:
    return WithdrawalShown(
        id=booking.id,
        amount=booking.amount,
        state=WithdrawalState.REQUESTED,
        reason=None,
        requested_at=at,
        changed_at=at,
    )


def _record(
    principal: Principal,
    outcome: Outcome,
    thing: AuditObject,
    at: datetime,
    reason: str | None = None,
) -> WrittenRecord:
    return AuditRecord(
        act=Act.WITHDRAWAL_REQUESTED,
        outcome=outcome,
        caller=principal.caller,
        at=at,
        object=thing,
        reason=reason,
    ).written()


def _inactive(state: str) -> MerchantNotActive:
    return MerchantNotActive(_INACTIVE[state], facts={"merchant_state": state})
