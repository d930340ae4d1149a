"""Names and e-mail addresses belong to one person, whatever else happens at the same time."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from backend.app.database import Database
from backend.app.errors import UserExists
from backend.app.models.user import User
from backend.app.repositories.user_repository import UserRepository

NAMES = st.lists(
    st.tuples(st.sampled_from(["ann", "Ann", "ANN", "bob", "Bob"]), st.sampled_from("xyz")),
    min_size=1,
    max_size=5,
)


async def enter(database: Database, username: str, email: str) -> bool:
    try:
        async with database.transaction() as session:
            await UserRepository(session).add(
                User(username=username, email=email, hashed_password="h")
            )
    except UserExists:
        return False
    return True


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(asked=NAMES)
async def test_no_two_people_share_a_name_in_any_case_or_an_address(
    database: Database, asked: list[tuple[str, str]]
) -> None:
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM users"))

    entered = await asyncio.gather(
        *(enter(database, name, f"{mail}@example.com") for name, mail in asked)
    )

    async with database.snapshot() as session:
        rows = (await session.execute(text("SELECT lower(username), email FROM users"))).all()
    assert len(rows) == sum(entered)
    assert any(entered)
    assert len({row[0] for row in rows}) == len({row[1] for row in rows}) == len(rows)


async def test_a_new_row_knows_its_times(database: Database) -> None:
    async with database.transaction() as session:
        user = await UserRepository(session).add(
            User(username="ann", email="ann@example.com", hashed_password="h")
        )

    assert user.created_at.tzinfo is not None
    assert user.created_at <= user.updated_at


async def test_a_user_is_found_in_any_case_of_the_name(database: Database) -> None:
    await enter(database, "Ann", "ann@example.com")

    async with database.snapshot() as session:
        found = await UserRepository(session).find_by_name("aNN")

    assert found is not None
    assert found.username == "Ann"


async def test_names_with_marks_of_patterns_are_names(database: Database) -> None:
    await enter(database, "ann_b", "ann@example.com")

    async with database.snapshot() as session:
        users = UserRepository(session)
        assert await users.find_by_name("annxb") is None
        assert await users.find_by_name("ann%") is None
        assert await users.find_by_name("' OR 1=1 --") is None
