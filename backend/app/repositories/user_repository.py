"""SQL for people. Nothing here commits."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import delete, exc, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.database import constraint_of
from backend.app.enums import Role
from backend.app.errors import UserExists, UserNotFound, UserOnTheBooks
from backend.app.models.ledger import LedgerAccount
from backend.app.models.user import User

_UNIQUE: Final = frozenset({"uq_users_username", "uq_users_username_lower", "uq_users_email"})
_ON_THE_BOOKS: Final = "This user has an account in the ledger. Disable him."


class UserRepository:
    """The people of the house."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, user: User) -> User:
        """Write a new user.

        Raises:
            UserExists: the name, in any case, or the e-mail address is taken.
        """
        self._session.add(user)
        try:
            await self._session.flush()
        except exc.IntegrityError as error:
            raise _translated(error) from None
        return user

    async def get(self, user_id: int) -> User:
        """Return one user.

        Raises:
            UserNotFound: there is none of that id.
        """
        found = await self._session.get(User, user_id)
        if found is None:
            raise UserNotFound("There is no such user.")
        return found

    async def lock(self, user_id: int) -> User:
        """Return one user, held until the block ends.

        Raises:
            UserNotFound: there is none of that id.
        """
        found = await self._session.execute(
            select(User).where(User.id == user_id).with_for_update()
        )
        user = found.scalar_one_or_none()
        if user is None:
            raise UserNotFound("There is no such user.")
        return user

    async def find_by_name(self, username: str) -> User | None:
        """Return the user of that name, in whatever case it is written."""
        found = await self._session.execute(
            select(User).where(func.lower(User.username) == username.lower())
        )
        return found.scalar_one_or_none()

    async def page(self, after_id: int, rows_max: int) -> Sequence[User]:
        """Return the next users by id."""
        found = await self._session.execute(
            select(User).where(User.id > after_id).order_by(User.id).limit(rows_max)
        )
        return found.scalars().all()

    async def change(self, user_id: int, changes: Mapping[str, Any]) -> User:
        """Change one user and return the row as it now stands.

        Raises:
            UserNotFound: there is none of that id.
            UserExists: the e-mail address is taken.
        """
        try:
            changed = await self._session.execute(
                update(User)
                .where(User.id == user_id)
                .values(**changes, updated_at=func.now())
                .returning(User),
                execution_options={"populate_existing": True},
            )
        except exc.IntegrityError as error:
            raise _translated(error) from None
        user = changed.scalar_one_or_none()
        if user is None:
            raise UserNotFound("There is no such user.")
        return user

    async def change_login(self, user_id: int, changes: Mapping[str, Any]) -> User:
        """Change what a login rests on: every session begun before counts no more.

        Raises:
            UserNotFound: there is none of that id.
            UserExists: the e-mail address is taken.
        """
        return await self.change(user_id, {**changes, "auth_version": User.auth_version + 1})

    async def delete(self, user_id: int) -> None:
        """Delete one user and, with the row, everything that hangs on it.

        Raises:
            UserOnTheBooks: the ledger holds an account of his.
        """
        try:
            # A wallet of the venue names its account, which need not be a user's.
            wallet = exists().where(LedgerAccount.venue_account_id == user_id)
            if await self._session.scalar(select(wallet)):
                raise UserOnTheBooks(_ON_THE_BOOKS)
            await self._session.execute(delete(User).where(User.id == user_id))
        except exc.IntegrityError as error:
            if constraint_of(error) != "fk_ledger_accounts_owner_id":
                raise
            raise UserOnTheBooks(_ON_THE_BOOKS) from None

    async def lock_active_administrators(self) -> Sequence[int]:
        """Return the ids of the active administrators; nobody can demote one meanwhile."""
        found = await self._session.execute(
            select(User.id)
            .where(User.role == Role.ADMIN.value, User.is_active)
            .order_by(User.id)
            .with_for_update()
        )
        return found.scalars().all()


def _translated(error: exc.IntegrityError) -> Exception:
    if constraint_of(error) in _UNIQUE:
        return UserExists("The name or the e-mail address is already taken.")
    return error
