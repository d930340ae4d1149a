"""Everybody, for an administrator; and the two ways in that need no login."""

from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import SYSTEM, Act, AuditObject, AuditRecord, Caller, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import Role
from backend.app.errors import LastAdministrator, UserNotFound
from backend.app.models.user import User
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.auth_session_repository import AuthSessionRepository
from backend.app.repositories.dek_repository import DekRepository
from backend.app.repositories.user_repository import UserRepository
from backend.app.schemas.user_schemas import UserCreate, UserPage, UserProfile, UserUpdate
from backend.app.services.guards import Guards
from backend.app.services.login_throttle import LoginThrottling
from backend.app.services.password_service import PasswordService, new_password, refuse_guessable
from backend.app.services.principal import Principal

FIRST_ADMINISTRATOR: Final = "admin"
# RFC 2606: no mail is ever delivered there. The administrator sets a real one.
_FIRST_ADDRESS: Final = "admin@strongroom.invalid"


class UserService:
    """The use cases of looking after everybody."""

    def __init__(
        self,
        *,
        database: Database,
        passwords: PasswordService,
        guard: Guards,
        throttling: LoginThrottling,
        now: Clock,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._guard = guard
        self._throttling = throttling
        self._now = now

    async def page(self, administrator: Principal, limit: int, after_id: int) -> UserPage:
        """Return the next people by id, and where to go on. That they were shown is recorded."""
        async with self._database.transaction() as session:
            users = await UserRepository(session).page(after_id, limit + 1)
            await self._record(session, Act.USER_READ, administrator.caller, n=len(users[:limit]))
        shown = [UserProfile.model_validate(user) for user in users[:limit]]
        more = len(users) > limit
        return UserPage(items=shown, next_cursor=str(shown[-1].id) if more else None)

    async def get(self, administrator: Principal, user_id: int) -> UserProfile:
        """Return one person. That it was shown is recorded.

        Raises:
            UserNotFound: there is none of that id.
        """
        async with self._database.transaction() as session:
            user = await UserRepository(session).get(user_id)
            await self._record(session, Act.USER_READ, administrator.caller, user_id)
        return UserProfile.model_validate(user)

    async def create(self, administrator: Principal, asked: UserCreate) -> UserProfile:
        """Enter somebody with any role.

        Raises:
            PasswordRefused: too easy to guess.
            PasswordQueueFull: too many wait already.
            UserExists: the name or the e-mail address is taken.
        """
        refuse_guessable(asked.password, asked.username)
        hashed = await self._passwords.hash(asked.password)
        async with self._database.transaction() as session:
            user = await UserRepository(session).add(
                User(
                    username=asked.username,
                    email=asked.email,
                    hashed_password=hashed,
                    full_name=asked.full_name,
                    role=asked.role.value,
                )
            )
            await self._record(session, Act.USER_CREATED, administrator.caller, user.id)
        return UserProfile.model_validate(user)

    async def update(
        self, administrator: Principal, user_id: int, asked: UserUpdate
    ) -> UserProfile:
        """Change somebody. A new role, or being disabled, ends all of that person's sessions.

        Raises:
            UserNotFound: there is none of that id.
            UserExists: the e-mail address is taken.
            LastAdministrator: nobody could administer the house any more.
        """
        async with self._database.transaction() as session:
            users = UserRepository(session)
            administrators = await users.lock_active_administrators()
            login_changes = _login_changes(asked, await users.lock(user_id))
            if login_changes and list(administrators) == [user_id]:
                raise LastAdministrator
            if login_changes:
                await self._change_login(session, user_id, login_changes)
            user = await users.change(user_id, asked.changes())
            act = Act.ROLE_CHANGED if "role" in login_changes else Act.USER_CHANGED
            await self._record(session, act, administrator.caller, user_id)
        self._guard.forget_user(user_id)
        return UserProfile.model_validate(user)

    async def delete(self, administrator: Principal, user_id: int) -> None:
        """Delete somebody with everything that is theirs, and destroy the keys that open it.

        Raises:
            UserNotFound: there is none of that id.
            LastAdministrator: nobody could administer the house any more.
            UserOnTheBooks: the ledger holds an account of his.
        """
        async with self._database.transaction() as session:
            users = UserRepository(session)
            if list(await users.lock_active_administrators()) == [user_id]:
                raise LastAdministrator
            await users.lock(user_id)
            # The keys outlive their credentials as empty lines: nothing in a dump opens any more.
            shredded = await DekRepository(session).shred_all(user_id, self._now())
            await users.delete(user_id)
            await AuthSessionRepository(session).announce_user_changed(user_id)
            await self._record(session, Act.USER_DELETED, administrator.caller, user_id, n=shredded)
        self._guard.forget_user(user_id)

    async def ensure_administrator(self, password: SecretStr) -> bool:
        """Enter the first administrator unless there is one; tell whether it was needed.

        Raises:
            UserExists: the name `admin` belongs to somebody who is none.
        """
        hashed = await self._passwords.hash(password)
        async with self._database.transaction() as session:
            users = UserRepository(session)
            if await users.lock_active_administrators():
                return False
            user = await users.add(
                User(
                    username=FIRST_ADMINISTRATOR,
                    email=_FIRST_ADDRESS,
                    hashed_password=hashed,
                    role=Role.ADMIN.value,
                )
            )
            await self._record(session, Act.USER_CREATED, SYSTEM, user.id)
        return True

    async def reset_password(self, username: str) -> SecretStr:
        """Give somebody a new random password, and end all of that person's sessions.

        Raises:
            UserNotFound: nobody has that name.
        """
        password = new_password()
        hashed = await self._passwords.hash(password)
        async with self._database.transaction() as session:
            user = await UserRepository(session).find_by_name(username)
            if user is None:
                raise UserNotFound("Nobody has that name.")
            await self._change_login(session, user.id, {"hashed_password": hashed})
            await self._throttling.clear(session, self._throttling.subject(username, None))
            await self._record(session, Act.PASSWORD_CHANGED, SYSTEM, user.id)
        self._guard.forget_user(user.id)
        return password

    async def _change_login(
        self, session: AsyncSession, user_id: int, changes: dict[str, Any]
    ) -> None:
        await UserRepository(session).change_login(user_id, changes)
        await AuthSessionRepository(session).announce_user_changed(user_id)

    async def _record(
        self,
        session: AsyncSession,
        act: Act,
        caller: Caller,
        user_id: int | None = None,
        *,
        n: int | None = None,
    ) -> None:
        record = AuditRecord(
            act=act,
            outcome=Outcome.DONE,
            caller=caller,
            at=self._now(),
            object=None if user_id is None else AuditObject("user", user_id, user_id),
            n=n,
        )
        await AuditRepository(session).append([record])


def _login_changes(asked: UserUpdate, user: User) -> dict[str, Any]:
    """Return what changes of the role and of being active."""
    changes: dict[str, Any] = {}
    if asked.role is not None and asked.role != user.role:
        changes["role"] = asked.role.value
    if asked.is_active is not None and asked.is_active != user.is_active:
        changes["is_active"] = asked.is_active
    return changes
