"""Old sessions and forgotten failures go; the rest stays."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from backend.app.container import Container
from backend.app.workers.login_sweeper import LoginSweeper
from backend.tests.support.people import person


async def count(services: Container, table: str) -> int:
    async with services.database.snapshot() as session:
        return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())


async def test_a_session_goes_a_day_after_its_end(services: Container, clock: Any) -> None:
    await person(services, "alice")
    sweeper = LoginSweeper(services.database, clock)

    clock.advance(days=91)
    await sweeper.tick()
    kept = await count(services, "auth_sessions")
    clock.advance(seconds=1)
    await sweeper.tick()

    assert (kept, await count(services, "auth_sessions")) == (1, 0)
    assert await count(services, "users") == 1


async def test_failures_go_after_a_quiet_day(services: Container, clock: Any) -> None:
    async with services.database.transaction() as session:
        for name, quiet_for in (("old", timedelta(hours=25)), ("new", timedelta(hours=23))):
            at = clock() - quiet_for
            await session.execute(
                text("INSERT INTO login_throttles VALUES (:subject, 9, :at, :at)"),
                {"subject": name.encode(), "at": at},
            )

    await LoginSweeper(services.database, clock).tick()

    async with services.database.snapshot() as session:
        left = (await session.execute(text("SELECT subject FROM login_throttles"))).scalars()
        assert [bytes(subject) for subject in left] == [b"new"]
