"""What merchants are told of their withdrawals although they did not ask."""

from datetime import datetime
from decimal import Decimal

from backend.app.enums import NotificationKind
from backend.app.models.notification_event import NotificationEvent
from backend.app.money import in_cents


def settled_news(
    owner_id: int, withdrawal_id: int, amount: Decimal, at: datetime
) -> NotificationEvent:
    """Return what a merchant is told of a withdrawal that was paid out."""
    facts = {"withdrawal_id": withdrawal_id, "amount": in_cents(amount)}
    return _event(NotificationKind.WITHDRAWAL_SETTLED, owner_id, facts, at)


def failed_news(
    owner_id: int, withdrawal_id: int, amount: Decimal, reason: str, at: datetime
) -> NotificationEvent:
    """Return what a merchant is told of a withdrawal that was given back."""
    facts = {"withdrawal_id": withdrawal_id, "amount": in_cents(amount), "reason": reason}
    return _event(NotificationKind.WITHDRAWAL_FAILED, owner_id, facts, at)


def _event(
    kind: NotificationKind, owner_id: int, facts: dict[str, object], at: datetime
) -> NotificationEvent:
    return NotificationEvent(user_id=owner_id, kind=kind.value, facts=facts, created_at=at)
