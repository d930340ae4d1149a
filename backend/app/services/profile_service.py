"""What people do with their own entry: see it, change it, replace their password."""

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import LoginDelayed, PasswordWrong
from backend.app.models.user import User
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.auth_session_repository import AuthSessionRepository
from backend.app.repositories.user_repository import UserRepository
from backend.app.schemas.user_schemas import Me, PasswordChange, ProfileUpdate, UserProfile
from backend.app.services.credit.standing import own_standing
from backend.app.services.guards import Guards
from backend.app.services.login_throttle import LoginThrottling
from backend.app.services.password_service import PasswordService, refuse_guessable
from backend.app.services.principal import Principal


class ProfileService:
    """The use cases of looking after oneself."""

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

    async def get(self, user_id: int) -> Me:
        """Return one's own entry, and how one stands as a merchant."""
        async with self._database.snapshot() as session:
            profile = UserProfile.model_validate(await UserRepository(session).get(user_id))
            return Me(merchant=await own_standing(session, user_id), **dict(profile))

    async def update(self, principal: Principal, asked: ProfileUpdate) -> UserProfile:
        """Change one's own e-mail address or full name.

        Raises:
            UserExists: the e-mail address is taken.
        """
        async with self._database.transaction() as session:
            user = await UserRepository(session).change(principal.user_id, asked.changes())
            await self._record(session, Act.USER_CHANGED, Outcome.DONE, principal)
        return UserProfile.model_validate(user)

    async def change_password(self, principal: Principal, asked: PasswordChange) -> None:
        """Replace one's own password. Every other session ends; the one that asks goes on.

        Raises:
            PasswordRefused: the new one is too easy to guess.
            PasswordWrong: the current one is not right, or changed meanwhile.
            LoginDelayed: it was wrong too often.
            PasswordQueueFull: too many wait already.
        """
        refuse_guessable(asked.new_password, principal.username)
        # A stolen access token must not become a place to guess the password.
        subject = self._throttling.subject(principal.username, str(principal.session))
        async with self._database.transaction() as session:
            seen = await UserRepository(session).get(principal.user_id)
            wait_seconds = await self._throttling.charge(session, subject)
            if wait_seconds:
                await self._record(session, Act.PASSWORD_CHANGED, Outcome.DENIED, principal)
        if wait_seconds:
            raise LoginDelayed(retry_after_seconds=wait_seconds)
        # No transaction is open here: hashing takes tens of milliseconds and may queue.
        checked = await self._passwords.check(seen.hashed_password, asked.current_password)
        if not checked.matches:
            await self._record_failure(principal)
            raise PasswordWrong
        hashed = await self._passwords.hash(asked.new_password)
        async with self._database.transaction() as session:
            await self._replace_password(session, principal, seen, hashed)
            await self._throttling.clear(session, subject)
            await self._record(session, Act.PASSWORD_CHANGED, Outcome.DONE, principal)
        self._guard.forget_user(principal.user_id)

    async def _replace_password(
        self, session: AsyncSession, principal: Principal, seen: User, hashed: str
    ) -> None:
        users, sessions = UserRepository(session), AuthSessionRepository(session)
        user = await users.lock(principal.user_id)
        if user.auth_version != seen.auth_version:
            raise PasswordWrong("The password changed meanwhile.")
        changed = await users.change_login(user.id, {"hashed_password": hashed})
        await sessions.keep(user.id, principal.session, changed.auth_version)
        await sessions.announce_user_changed(user.id)

    async def _record_failure(self, principal: Principal) -> None:
        async with self._database.transaction() as session:
            await self._record(session, Act.PASSWORD_CHANGED, Outcome.FAILED, principal)

    async def _record(
        self, session: AsyncSession, act: Act, outcome: Outcome, principal: Principal
    ) -> None:
        record = AuditRecord(
            act=act,
            outcome=outcome,
            caller=principal.caller,
            at=self._now(),
            object=AuditObject("user", principal.user_id, principal.user_id),
        )
        await AuditRepository(session).append([record])
