"""Signing in against guessers, and refresh tokens against thieves, with time in our hand."""

import asyncio
from typing import Any

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import text

from backend.app.container import Container
from backend.app.errors import (
    LoginDelayed,
    LoginRefused,
    RefreshRefused,
    StrongroomError,
    Unauthenticated,
)
from backend.app.schemas.auth_schemas import LoginRequest, RefreshRequest, TokenPair
from backend.app.schemas.user_schemas import PasswordChange, Registration
from backend.app.services.auth_service import SignedIn
from backend.app.services.login_throttle import DELAY_SECONDS_MAX
from backend.app.services.principal import Client, Principal
from backend.tests.support.people import PASSWORD, audited

LAPTOP = Client(address="192.0.2.1", user_agent="laptop")
THIEF = Client(address="198.51.100.9", user_agent="laptop")


class Login:
    """Alice's doings, in few words."""

    def __init__(self, services: Container, clock: Any) -> None:
        self.services, self.clock = services, clock
        self.addresses = 0

    async def register(self) -> None:
        await self.services.auth.register(
            Registration.model_validate(
                {"username": "alice", "email": "alice@example.com", "password": PASSWORD}
            ),
            LAPTOP,
        )

    async def try_password(
        self, password: str = PASSWORD, cookie: str | None = None, username: str = "alice"
    ) -> SignedIn:
        # From a new address each time: the limit per address is another test's.
        self.addresses += 1
        client = Client(f"10.0.{self.addresses // 250}.{self.addresses % 250}", "any", cookie)
        asked = LoginRequest(username=username, password=SecretStr(password))
        return await self.services.auth.login(asked, client)

    async def outcome(self, *args: Any, **kwargs: Any) -> str:
        try:
            await self.try_password(*args, **kwargs)
        except StrongroomError as refused:
            return type(refused).__name__
        return "SignedIn"

    async def refresh(self, token: str, client: Client = LAPTOP) -> TokenPair:
        asked = RefreshRequest(refresh=SecretStr(token))
        return await self.services.auth.refresh(asked, client)

    async def sign_in(self) -> TokenPair:
        asked = LoginRequest(username="alice", password=SecretStr(PASSWORD))
        return (await self.services.auth.login(asked, LAPTOP)).tokens

    async def admit(self, pair: TokenPair) -> Principal:
        return await self.services.guards.sessions.admit(
            f"Bearer {pair.access}", request_id=None, address=None
        )


@pytest.fixture
async def alice(services: Container, clock: Any) -> Login:
    # What guessing costs is another test's story; here hundreds of guesses are made.
    services._passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    login = Login(services, clock)
    await login.register()
    return login


async def test_waits_grow_to_five_minutes_and_no_further(alice: Login) -> None:
    waits = []
    for _ in range(5):
        assert await alice.outcome("wrong") == "LoginRefused"
    while len(waits) < 12:
        with pytest.raises(LoginDelayed) as delayed:
            await alice.try_password("wrong")
        wait_seconds = delayed.value.retry_after_seconds or 0
        waits.append(wait_seconds)
        alice.clock.advance(seconds=wait_seconds)
        assert await alice.outcome("wrong") == "LoginRefused"

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


async def test_nobody_is_locked_out_for_good(alice: Login) -> None:
    for _ in range(20):
        await alice.outcome("wrong")
        alice.clock.advance(seconds=DELAY_SECONDS_MAX)

    assert await alice.outcome() == "SignedIn"


async def test_during_a_wait_even_the_right_password_waits_and_is_not_counted(
    alice: Login,
) -> None:
    for _ in range(5):
        await alice.outcome("wrong")

    for _ in range(3):
        assert await alice.outcome() == "LoginDelayed"
    alice.clock.advance(seconds=1)

    assert await alice.outcome() == "SignedIn"


async def test_a_right_password_clears_the_count(alice: Login) -> None:
    for _ in range(4):
        await alice.outcome("wrong")
    await alice.try_password()

    assert [await alice.outcome("wrong") for _ in range(5)] == ["LoginRefused"] * 5


async def test_failures_are_forgotten_after_a_quiet_day(alice: Login) -> None:
    for _ in range(4):
        await alice.outcome("wrong")
    alice.clock.advance(hours=25)

    assert [await alice.outcome("wrong") for _ in range(5)] == ["LoginRefused"] * 5


async def test_guesses_sent_at_once_are_counted_one_by_one(alice: Login) -> None:
    outcomes = await asyncio.gather(*(alice.outcome("wrong") for _ in range(12)))

    assert outcomes.count("LoginRefused") == 5
    assert outcomes.count("LoginDelayed") == 7


async def test_a_known_device_signs_in_while_others_keep_guessing(alice: Login) -> None:
    cookie = (await alice.try_password()).device_cookie.get_secret_value()
    for _ in range(8):
        await alice.outcome("wrong")

    assert await alice.outcome() == "LoginDelayed"
    assert await alice.outcome(cookie=cookie) == "SignedIn"


async def test_a_stolen_device_cookie_buys_five_guesses_only(alice: Login) -> None:
    cookie = (await alice.try_password()).device_cookie.get_secret_value()

    outcomes = [await alice.outcome("wrong", cookie=cookie) for _ in range(6)]

    assert outcomes == ["LoginRefused"] * 5 + ["LoginDelayed"]


async def test_anothers_device_cookie_helps_nobody(alice: Login, services: Container) -> None:
    cookie = (await alice.try_password()).device_cookie.get_secret_value()

    outcomes = [await alice.outcome("wrong", None, "ghost") for _ in range(5)]

    assert outcomes == ["LoginRefused"] * 5
    assert await alice.outcome("wrong", cookie, "ghost") == "LoginDelayed"


async def test_a_password_changed_while_we_hash_signs_nobody_in(
    alice: Login, services: Container
) -> None:
    principal = await alice.admit(await alice.sign_in())
    change = PasswordChange(
        current_password=SecretStr(PASSWORD), new_password=SecretStr("another long sentence")
    )
    attempt = await _first_half_of_a_login(alice)

    await services.profiles.change_password(principal, change)

    assert await attempt() is None


async def test_the_same_client_that_lost_our_answer_gets_the_same_successor(
    alice: Login,
) -> None:
    first = await alice.sign_in()
    second = await alice.refresh(first.refresh)

    alice.clock.advance(seconds=10)
    again = await alice.refresh(first.refresh)

    assert again.refresh == second.refresh
    assert (await alice.refresh(again.refresh)).refresh != second.refresh


async def test_refreshes_sent_at_once_lead_to_one_successor(alice: Login) -> None:
    first = await alice.sign_in()

    pairs = await asyncio.gather(*(alice.refresh(first.refresh) for _ in range(5)))

    assert len({pair.refresh for pair in pairs}) == 1


@pytest.mark.parametrize(("client", "seconds"), [(THIEF, 1), (LAPTOP, 11)])
async def test_a_copied_refresh_token_ends_its_whole_session(
    alice: Login, services: Container, client: Client, seconds: int
) -> None:
    first = await alice.sign_in()
    second = await alice.refresh(first.refresh)
    await alice.admit(second)

    alice.clock.advance(seconds=seconds)
    with pytest.raises(RefreshRefused):
        await alice.refresh(first.refresh, client)

    with pytest.raises(RefreshRefused):
        await alice.refresh(second.refresh)
    with pytest.raises(Unauthenticated):
        await alice.admit(second)
    trail = await audited(services)
    assert any("refresh_reused" in line and f'"ip":"{client.address}"' in line for line in trail)


async def test_a_copied_token_ends_one_session_and_no_other(alice: Login) -> None:
    first, other = await alice.sign_in(), await alice.sign_in()
    await alice.refresh(first.refresh)

    with pytest.raises(RefreshRefused):
        await alice.refresh(first.refresh, THIEF)

    await alice.refresh(other.refresh)


async def test_an_idle_week_ends_a_refresh_token(alice: Login) -> None:
    first = await alice.sign_in()
    alice.clock.advance(days=7, seconds=-1)
    second = await alice.refresh(first.refresh)

    alice.clock.advance(days=7)

    with pytest.raises(RefreshRefused):
        await alice.refresh(second.refresh)


async def test_no_session_outlives_ninety_days_however_often_it_is_refreshed(
    alice: Login,
) -> None:
    pair = await alice.sign_in()
    for _ in range(14):
        alice.clock.advance(days=6)
        pair = await alice.refresh(pair.refresh)
    alice.clock.advance(days=6, seconds=-1)
    pair = await alice.refresh(pair.refresh)
    await alice.admit(pair)

    alice.clock.advance(seconds=1)

    with pytest.raises(Unauthenticated):
        await alice.admit(pair)
    with pytest.raises(RefreshRefused):
        await alice.refresh(pair.refresh)


async def test_the_stored_hash_is_no_refresh_token(alice: Login, services: Container) -> None:
    first = await alice.sign_in()
    async with services.database.snapshot() as session:
        stored = (await session.execute(text("SELECT token_hash FROM refresh_tokens"))).scalar_one()

    assert first.refresh.encode() not in bytes(stored)
    for spelled in (stored.hex()[:43], first.refresh.swapcase()):
        with pytest.raises(RefreshRefused):
            await alice.refresh(spelled)


async def test_the_oldest_session_makes_room_for_the_fifty_first(
    alice: Login, services: Container
) -> None:
    first = await alice.sign_in()
    async with services.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO auth_sessions (id, user_id, auth_version, created_at, expires_at) "
                "SELECT gen_random_uuid(), user_id, 1, created_at + interval '1 second', "
                "expires_at FROM auth_sessions, generate_series(1, 49)"
            )
        )
    await alice.admit(first)

    alice.clock.advance(minutes=1)
    await alice.sign_in()
    services.guards.sessions.forget_everything()

    with pytest.raises(Unauthenticated):
        await alice.admit(first)


async def test_login_is_refused_the_same_way_for_every_reason(alice: Login) -> None:
    said = []
    for username in ("alice", "ghost"):
        with pytest.raises(LoginRefused) as refused:
            await alice.try_password("wrong", username=username)
        said.append((refused.value.detail, refused.value.facts, refused.value.title))

    assert said[0] == said[1]


async def _first_half_of_a_login(alice: Login) -> Any:
    """Stop a login where it would wait for the hash, and return its second half."""
    auth = alice.services.auth
    async with alice.services.database.transaction() as session:
        attempt = await auth._begin_attempt(session, "alice", LAPTOP)
    assert attempt.user is not None
    checked = await alice.services._passwords.check(
        attempt.user.hashed_password, SecretStr(PASSWORD)
    )

    async def second_half() -> SignedIn | None:
        async with alice.services.database.transaction() as session:
            return await auth._finish_attempt(session, attempt, checked, LAPTOP)

    return second_half
