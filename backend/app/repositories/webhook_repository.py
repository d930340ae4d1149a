"""SQL for webhooks and their secrets. What people ask for names the owner; none commits.

Whoever changes a webhook holds its owner, then its row, then what hangs on it: in this order.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.errors import WebhookNotFound
from backend.app.models.dek import Dek
from backend.app.models.user import User
from backend.app.models.webhook import WEBHOOK_SECRET_IDS, Webhook, WebhookSecret


class StoredSecret(NamedTuple):
    """A sealed secret, and the data key it is under."""

    secret: WebhookSecret
    dek: Dek


class WebhookRepository:
    """The webhooks of people."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def next_secret_id(self) -> int:
        """Draw the id of a secret to come: it is sealed under it."""
        return await self._session.scalar(select(WEBHOOK_SECRET_IDS.next_value())) or 0

    async def list(self, owner_id: int) -> Sequence[Webhook]:
        """Return the owner's webhooks, the newest first. `count` bounds how many there can be."""
        found = await self._session.scalars(
            select(Webhook).where(Webhook.user_id == owner_id).order_by(Webhook.id.desc())
        )
        return found.all()

    async def count(self, owner_id: int) -> int:
        """Return how many webhooks the owner has."""
        return (
            await self._session.scalar(select(func.count()).where(Webhook.user_id == owner_id)) or 0
        )

    async def get(self, owner_id: int, webhook_id: int) -> Webhook:
        """Return one webhook of this owner.

        Raises:
            WebhookNotFound: absent, or another user's.
        """
        found = await self._session.scalar(
            select(Webhook).where(Webhook.user_id == owner_id, Webhook.id == webhook_id)
        )
        if found is None:
            raise WebhookNotFound
        return found

    async def hold(self, owner_id: int, webhook_id: int) -> Webhook:
        """Return one webhook of this owner, which nobody else changes until the block ends.

        Raises:
            WebhookNotFound: absent, or another user's; or the owner is gone.
        """
        # The owner first, as whoever deletes somebody does it.
        await self._session.execute(
            select(User.id).where(User.id == owner_id).with_for_update(read=True, key_share=True)
        )
        found = await self._session.scalar(
            select(Webhook)
            .where(Webhook.user_id == owner_id, Webhook.id == webhook_id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
        if found is None:
            raise WebhookNotFound
        return found

    async def add(self, webhook: Webhook) -> None:
        """Write a new webhook."""
        self._session.add(webhook)
        await self._session.flush()

    async def change(self, owner_id: int, webhook_id: int, values: Mapping[str, Any]) -> Webhook:
        """Change some columns of one webhook.

        Raises:
            WebhookNotFound: absent, or another user's.
        """
        changed: Webhook | None = await self._session.scalar(
            update(Webhook)
            .where(Webhook.user_id == owner_id, Webhook.id == webhook_id)
            .values(**values)
            .returning(Webhook)
            .execution_options(populate_existing=True)
        )
        if changed is None:
            raise WebhookNotFound
        return changed

    async def delete(self, owner_id: int, webhook_id: int) -> None:
        """Delete one webhook with all that hangs on it, but the lines of its data keys."""
        await self._session.execute(
            delete(Webhook).where(Webhook.user_id == owner_id, Webhook.id == webhook_id)
        )

    async def secrets(self, owner_id: int, webhook_id: int) -> Sequence[StoredSecret]:
        """Return the secrets of one webhook, the newest first."""
        found = await self._session.execute(
            select(WebhookSecret, Dek)
            .join(Dek, Dek.dek_id == WebhookSecret.dek_id)
            .where(WebhookSecret.user_id == owner_id, WebhookSecret.webhook_id == webhook_id)
            .order_by(WebhookSecret.id.desc())
        )
        return [StoredSecret(secret, dek) for secret, dek in found]

    async def add_secret(self, secret: WebhookSecret) -> None:
        """Write a new secret; its data key stands already."""
        self._session.add(secret)
        await self._session.flush()

    async def expire_secret(self, owner_id: int, secret_id: int, at: datetime) -> None:
        """Let a secret end at this moment."""
        await self._session.execute(
            update(WebhookSecret)
            .where(WebhookSecret.user_id == owner_id, WebhookSecret.id == secret_id)
            .values(expires_at=at)
            .execution_options(synchronize_session=False)
        )

    async def remove_secret(self, owner_id: int, secret_id: int) -> None:
        """Delete a secret; its data key is for the caller to destroy."""
        await self._session.execute(
            delete(WebhookSecret)
            .where(WebhookSecret.user_id == owner_id, WebhookSecret.id == secret_id)
            .execution_options(synchronize_session=False)
        )

    async def expired_secrets(self, now: datetime, rows_max: int) -> Sequence[WebhookSecret]:
        """Return secrets of anybody whose time is over, held until the block ends."""
        found = await self._session.scalars(
            select(WebhookSecret)
            .where(WebhookSecret.expires_at <= now)
            .order_by(WebhookSecret.expires_at)
            .limit(rows_max)
            .with_for_update(skip_locked=True)
        )
        return found.all()
