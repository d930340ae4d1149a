"""What a withdrawal is answered with, for good: written under its key first, and told afterwards.

While a withdrawal is paid out, its key is kept as still running. The payout's end, a caller who
has waited enough and whoever asks again may all know an answer; the first one that is written
counts, and everybody is told that one.
"""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import WithdrawalState
from backend.app.errors import PayoutRefused
from backend.app.repositories.idempotency_repository import (
    GivenAnswer,
    IdempotencyRepository,
    KeyScope,
)
from backend.app.repositories.withdrawal_book import ROUTE
from backend.app.repositories.withdrawal_repository import WithdrawalRepository
from backend.app.schemas.withdrawal_schemas import WithdrawalShown
from backend.app.services.idempotency.keyed import Answer, in_progress
from backend.app.services.withdrawals.decision import WithdrawalAsked

# Longer than a caller waits for his payout: after it, his process is taken to be dead.
CALLER_WAITS_AT_MOST: Final = timedelta(seconds=10)
_DECIDED: Final = frozenset({WithdrawalState.SETTLED, WithdrawalState.FAILED})


class Conclusion:
    """Answers keys that are still running."""

    def __init__(self, database: Database, now: Clock) -> None:
        self._database = database
        self._now = now

    async def of(self, asked: WithdrawalAsked, running: Answer) -> Answer:
        """Return how a withdrawal stands, or what somebody was told of it before.

        Raises:
            IdempotencyInProgress: to a double, while its first caller may still wait.
        """
        booked, at = WithdrawalShown.model_validate_json(running.body), self._now()
        async with self._database.transaction() as session:
            row = await WithdrawalRepository(session).get(asked.principal.user_id, booked.id)
            shown = WithdrawalShown.model_validate(row)
            if running.is_replayed and _may_be_waited_for(shown, at):
                raise in_progress()
            answer = answer_of(shown, asked.principal.request_id, at)
            keys = IdempotencyRepository(session)
            await keys.answer([given(asked, answer)])
            kept = await keys.find(key_scope(asked))
        # After a day the key is swept away; then this is as good an answer as any.
        status, body = (answer.status, answer.body) if kept is None else (kept.status, kept.body)
        return Answer(status, body, is_replayed=running.is_replayed)


def answer_of(shown: WithdrawalShown, request_id: str | None, at: datetime) -> Answer:
    """Return what a caller is told of a withdrawal that stands like this."""
    if shown.state is WithdrawalState.FAILED:
        refusal = PayoutRefused(
            "The bank refuses this payout; your credit and the pool have it back.",
            facts={"withdrawal_id": shown.id, "reason": shown.reason},
        )
        return Answer.refusing(refusal, request_id, lambda: at)
    is_settled = shown.state is WithdrawalState.SETTLED
    return Answer.of(shown, HTTPStatus.CREATED if is_settled else HTTPStatus.ACCEPTED)


def key_scope(asked: WithdrawalAsked) -> KeyScope:
    """Return where the key of a withdrawal counts."""
    return KeyScope(asked.principal.user_id, ROUTE, asked.key)


def given(asked: WithdrawalAsked, answer: Answer) -> GivenAnswer:
    """Return an answer as it is written under its key."""
    return GivenAnswer(key_scope(asked), answer.status, answer.body)


def _may_be_waited_for(shown: WithdrawalShown, at: datetime) -> bool:
    return shown.state not in _DECIDED and at - shown.requested_at < CALLER_WAITS_AT_MOST
