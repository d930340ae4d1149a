"""What came back from the settlement, as it is written, recorded and told. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from pydantic import SecretStr

from backend.app.audit_record import SYSTEM, Act, AuditObject, AuditRecord
from backend.app.audit_record import Outcome as Recorded
from backend.app.enums import WithdrawalState
from backend.app.models.notification_event import NotificationEvent
from backend.app.repositories.payout_repository import Claimed, PutOff
from backend.app.services.idempotency.keyed import Answer
from backend.app.services.settlement.retry_plan import next_look, next_try
from backend.app.services.settlement.verdicts import (
    NotAsked,
    Payout,
    Refused,
    Settled,
    Unknown,
    Verdict,
)
from backend.app.services.settlement.waiting_room import Waiter
from backend.app.services.withdrawals.conclusion import answer_of
from backend.app.services.withdrawals.news import settled_news


class Outcome(NamedTuple):
    """A payout, and what came of asking for it."""

    payout: Payout
    verdict: Verdict


class Outcomes:
    """Several at once. `chance` returns a number between 0 and 1 and spreads what is put off."""

    def __init__(
        self, come_back: Sequence[Outcome], at: datetime, chance: Callable[[], float]
    ) -> None:
        self.at = at
        self._of = {each.payout.withdrawal_id: each for each in come_back}
        self.settled_ids = [
            id_ for id_, each in self._of.items() if isinstance(each.verdict, Settled)
        ]
        self.put_off = [
            put for each in come_back if (put := _put_off(each, at, chance())) is not None
        ]
        self.given_up_ids = {put.id for put in self.put_off if put.again_at is None}

    def answers(self, waiters: Sequence[Waiter]) -> list[tuple[Waiter, Answer]]:
        """Return what each of those who wait is told."""
        return [
            (waiter, _answer(waiter, self._of[waiter.booked.id].verdict, self.at))
            for waiter in waiters
        ]

    def news(self, settled: Mapping[int, int]) -> list[NotificationEvent]:
        """Return what merchants are told, given what was news: owners by id."""
        return [
            settled_news(owner_id, id_, self._of[id_].payout.amount, self.at)
            for id_, owner_id in settled.items()
        ]

    def records(self, settled: Mapping[int, int], put_off: Collection[int]) -> list[AuditRecord]:
        """Return what the trail says, given what was news: owners by id, and ids."""
        paid = [
            _record(Act.WITHDRAWAL_SETTLED, id_, owner_id, self.at)
            for id_, owner_id in settled.items()
        ]
        unknown = [
            _record(
                Act.WITHDRAWAL_UNKNOWN,
                put.id,
                self._of[put.id].payout.merchant_id,
                self.at,
                put.reason,
            )
            for put in self.put_off
            if put.reason and put.id in put_off and not self._of[put.id].payout.was_unknown
        ]
        return paid + unknown


def payout_of(claimed: Claimed, until: datetime) -> Payout:
    """Return what was claimed, as the settlement is asked for it."""
    return Payout(
        withdrawal_id=claimed.id,
        merchant_id=claimed.user_id,
        account_id=claimed.account_id,
        amount=claimed.amount,
        bank_account=SecretStr(claimed.bank_account),
        until=until,
        tries=claimed.tries + 1,
        was_unknown=claimed.state == WithdrawalState.UNKNOWN,
    )


def begun_records(claimed: Sequence[Claimed], at: datetime) -> list[AuditRecord]:
    """Return what the trail says of those that are asked for the first time."""
    return [
        _record(Act.WITHDRAWAL_SETTLING, each.id, each.user_id, at)
        for each in claimed
        if each.state == WithdrawalState.REQUESTED
    ]


def _put_off(outcome: Outcome, at: datetime, chance: float) -> PutOff | None:
    payout, verdict = outcome
    match verdict:
        case Unknown(silence):
            again_at = next_try(payout.tries, at, chance)
            return PutOff(payout.withdrawal_id, payout.until, again_at, 0, silence.value)
        case NotAsked():
            return PutOff(payout.withdrawal_id, payout.until, next_look(at, chance), 1, None)
    return None


def _answer(waiter: Waiter, verdict: Verdict, at: datetime) -> Answer:
    told: dict[str, object] = {"changed_at": at}
    match verdict:
        case Settled():
            told["state"] = WithdrawalState.SETTLED
        case Refused(reason):
            told |= {"state": WithdrawalState.FAILED, "reason": reason}
        case Unknown(silence):
            told |= {"state": WithdrawalState.UNKNOWN, "reason": silence.value}
        case NotAsked():
            told["state"] = WithdrawalState.SETTLING
    shown = waiter.booked.model_copy(update=told)
    return answer_of(shown, waiter.asked.principal.request_id, at)


def _record(
    act: Act,
    withdrawal_id: int,
    owner_id: int,
    at: datetime,
    reason: str | None = None,
) -> AuditRecord:
    return AuditRecord(
        act=act,
        outcome=Recorded.DONE,
        caller=SYSTEM,
        at=at,
        object=AuditObject("withdrawal", withdrawal_id, owner_id),
        reason=reason,
    )
