"""Coming in, staying in and leaving: register, log in, refresh, log out."""

from dataclasses import dataclass

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.audit_record import Act, AuditObject, AuditRecord, Outcome
from backend.app.clock import Clock
from backend.app.config import AuthSettings
from backend.app.database import Database
from backend.app.enums import Role
from backend.app.errors import LoginDelayed, LoginRefused, RefreshRefused, UserNotFound
from backend.app.models.merchant import Merchant
from backend.app.models.user import User
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.auth_session_repository import AuthSessionRepository
from backend.app.repositories.merchant_repository import MerchantRepository
from backend.app.repositories.user_repository import UserRepository
from backend.app.schemas.auth_schemas import LoginRequest, RefreshRequest, TokenPair
from backend.app.schemas.user_schemas import Registration, UserProfile
from backend.app.services.address_limit import AddressLimit
from backend.app.services.device_cookies import DeviceCookies
from backend.app.services.guards import Guards
from backend.app.services.login_throttle import LoginThrottling
from backend.app.services.password_service import Checked, PasswordService, refuse_guessable
from backend.app.services.principal import Client, Principal
from backend.app.services.session_chain import CopiedToken, SessionChain
from backend.app.services.token_service import TokenService


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a login hands out: tokens for the program, a cookie for the device."""

    tokens: TokenPair
    device_cookie: SecretStr


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What the first block of a login read; the second writes only if it still stands."""

    user: User | None
    subject: bytes
    wait_seconds: int


class AuthService:
    """The use cases of signing in."""

    def __init__(
        self,
        *,
        database: Database,
        settings: AuthSettings,
        passwords: PasswordService,
        tokens: TokenService,
        guard: Guards,
        addresses: AddressLimit,
        throttling: LoginThrottling,
        now: Clock,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._guard = guard
        self._addresses = addresses
        self._now = now
        self._chain = SessionChain(settings, tokens, now)
        self._throttling = throttling
        self._devices = DeviceCookies(settings.jwt_secret, now)

    async def register(self, asked: Registration, client: Client) -> UserProfile:
        """Enter somebody new: as a merchant who waits for approval, or as an ordinary user.

        Raises:
            AddressThrottled: too many attempts from this address.
            PasswordRefused: too easy to guess.
            PasswordQueueFull: too many wait already.
            UserExists: the name or the e-mail address is taken; which one stays untold.
        """
        await self._addresses.take("register", client.address)
        refuse_guessable(asked.password, asked.username)
        hashed = await self._passwords.hash(asked.password)
        async with self._database.transaction() as session:
            user = await UserRepository(session).add(
                User(
                    username=asked.username,
                    email=asked.email or _no_address(asked.username),
                    hashed_password=hashed,
                    full_name=asked.full_name,
                    role=_role(asked).value,
                )
            )
            await self._enter_merchant(session, user.id, asked)
            await self._record(session, Act.USER_CREATED, Outcome.DONE, client, user.id)
        return UserProfile.model_validate(user)

    async def login(self, asked: LoginRequest, client: Client) -> SignedIn:
        """Begin a session for whoever knows the name and its password.

        Raises:
            AddressThrottled: too many attempts from this address.
            LoginDelayed: too many failures under this name.
            LoginRefused: unknown name, wrong password or disabled user, told alike.
            PasswordQueueFull: too many wait already.
        """
        await self._addresses.take("login", client.address)
        async with self._database.transaction() as session:
            attempt = await self._begin_attempt(session, asked.username, client)
        if attempt.wait_seconds:
            raise LoginDelayed(
                "Too many failed logins under this name.",
                retry_after_seconds=attempt.wait_seconds,
            )
        # No transaction is open here: hashing takes tens of milliseconds and may queue.
        stored_hash = attempt.user.hashed_password if attempt.user else None
        checked = await self._passwords.check(stored_hash, asked.password)
        async with self._database.transaction() as session:
            signed_in = await self._finish_attempt(session, attempt, checked, client)
        if signed_in is None:
            raise LoginRefused("Name and password do not belong together.")
        return signed_in

    async def refresh(self, asked: RefreshRequest, client: Client) -> TokenPair:
        """Exchange a refresh token for its successor and a new access token.

        The same client asking again at once lost our answer and gets the same successor. A spent
        token that comes back otherwise was copied: its whole session ends.

        Raises:
            RefreshRefused: unknown, copied, expired, or its session has ended.
        """
        async with self._database.transaction() as session:
            outcome = await self._chain.follow(session, asked.refresh, client)
            if isinstance(outcome, CopiedToken):
                await self._record(
                    session, Act.REFRESH_REUSED, Outcome.DENIED, client, outcome.user_id
                )
        # The end of a copied token's session is committed before anybody is refused.
        if isinstance(outcome, CopiedToken):
            self._guard.forget_session(outcome.session_id)
        if not isinstance(outcome, TokenPair):
            raise RefreshRefused("This refresh token is not accepted.")
        return outcome

    async def logout(self, principal: Principal) -> None:
        """End the session that asks: its access and refresh tokens count no more."""
        async with self._database.transaction() as session:
            await AuthSessionRepository(session).revoke(
                principal.user_id, principal.session, self._now()
            )
            await self._record(session, Act.LOGOUT, Outcome.DONE, principal, principal.user_id)
        self._guard.forget_session(principal.session)

    async def _enter_merchant(
        self, session: AsyncSession, user_id: int, asked: Registration
    ) -> None:
        if asked.requested_credit is not None and asked.bank_account is not None:
            merchant = Merchant(
                user_id=user_id,
                requested_credit=asked.requested_credit,
                bank_account=asked.bank_account.get_secret_value(),
            )
            await MerchantRepository(session).add(merchant)

    async def _begin_attempt(
        self, session: AsyncSession, username: str, client: Client
    ) -> _Attempt:
        user = await UserRepository(session).find_by_name(username)
        device = self._devices.recognise(user.id, client.device_cookie) if user else None
        subject = self._throttling.subject(username, device)
        wait_seconds = await self._throttling.charge(session, subject)
        if wait_seconds:
            # What was typed as a name stays unwritten: now and then it is a password.
            await self._record(
                session, Act.LOGIN, Outcome.DENIED, client, user.id if user else None
            )
        return _Attempt(user, subject, wait_seconds)

    async def _finish_attempt(
        self, session: AsyncSession, attempt: _Attempt, checked: Checked, client: Client
    ) -> SignedIn | None:
        user = await self._still_the_same(session, attempt.user)
        if user is None or not checked.matches:
            seen = attempt.user
            await self._record(
                session, Act.LOGIN, Outcome.FAILED, client, seen.id if seen else None
            )
            return None
        if checked.better_hash is not None:
            user.hashed_password = checked.better_hash
        await self._throttling.clear(session, attempt.subject)
        tokens = await self._chain.begin(session, user)
        await self._record(session, Act.LOGIN, Outcome.DONE, client, user.id)
        return SignedIn(tokens, self._devices.issue(user.id))

    async def _still_the_same(self, session: AsyncSession, seen: User | None) -> User | None:
        """Return the user, held, if nothing a login rests on changed while we were hashing."""
        if seen is None:
            return None
        try:
            user = await UserRepository(session).lock(seen.id)
        except UserNotFound:
            return None
        unchanged = user.auth_version == seen.auth_version
        return user if unchanged and user.is_active else None

    async def _record(
        self,
        session: AsyncSession,
        act: Act,
        outcome: Outcome,
        asking: Client | Principal,
        user_id: int | None,
    ) -> None:
        record = AuditRecord(
            act=act,
            outcome=outcome,
            caller=asking.caller,
            at=self._now(),
            object=None if user_id is None else AuditObject("user", user_id, user_id),
        )
        await AuditRepository(session).append([record])


def _role(asked: Registration) -> Role:
    return Role.USER if asked.requested_credit is None else Role.MERCHANT


def _no_address(username: str) -> str:
    # RFC 2606: no mail is ever delivered there, and nobody can register it.
    return f"{username.lower()}@strongroom.invalid"
