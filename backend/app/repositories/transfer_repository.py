"""SQL for moving credentials between installations: for the operator, so across all owners.

It reads whose a credential is and no more. None commits.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.models.api_credential import ApiCredential
from backend.app.models.user import User


class Held(NamedTuple):
    """A credential, and whose it is."""

    owner_id: int
    username: str
    credential_id: int


class HeldKey(NamedTuple):
    """What an owner can bind once."""

    owner_id: int
    exchange: str
    api_key: str


class TransferRepository:
    """Who holds what, by name."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def users(self, names: Collection[str]) -> dict[str, tuple[int, str]]:
        """Return the users of these names, by the name in lower case: id, and name as it is."""
        wanted = {name.lower() for name in names}
        found = await self._session.execute(
            select(User.id, User.username).where(func.lower(User.username).in_(wanted))
        )
        return {username.lower(): (user_id, username) for user_id, username in found}

    async def held(
        self, owner_ids: Collection[int], exchanges: Collection[str], rows_max: int
    ) -> Sequence[Held]:
        """Return the credentials of these owners at these exchanges; of all, where none is named.

        Owner by owner, the oldest first.
        """
        of_owners = (ApiCredential.user_id.in_(owner_ids),) if owner_ids else ()
        at_exchanges = (ApiCredential.exchange_name.in_(exchanges),) if exchanges else ()
        found = await self._session.execute(
            select(ApiCredential.user_id, User.username, ApiCredential.id)
            .join(User, User.id == ApiCredential.user_id)
            .where(*of_owners, *at_exchanges)
            .order_by(ApiCredential.user_id, ApiCredential.id)
            .limit(rows_max)
        )
        return [Held(*row) for row in found]

    async def bound(self, owner_ids: Collection[int]) -> Sequence[HeldKey]:
        """Return every key these owners have bound."""
        found = await self._session.execute(
            select(ApiCredential.user_id, ApiCredential.exchange_name, ApiCredential.api_key).where(
                ApiCredential.user_id.in_(owner_ids)
            )
        )
        return [HeldKey(*row) for row in found]
