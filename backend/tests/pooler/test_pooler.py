"""The house through PgBouncer in transaction mode, with fewer connections than it has tasks."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from httpx2 import AsyncClient
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url

from backend.app.candle_numbers import Trade
from backend.app.clock import utc_now
from backend.app.config import DatabaseSettings, Settings
from backend.app.database import Database
from backend.app.enums import Role
from backend.app.errors import DatabaseUnavailable
from backend.app.services.market.refresher_lock import RefresherLock
from backend.app.workers.session_listener import SessionListener
from backend.tests.support import credit
from backend.tests.support.commands import strongroom
from backend.tests.support.databases import drop_database, server_connection, with_database
from backend.tests.support.live_house import LiveHouse, live_house
from backend.tests.support.people import bearer, person, registered, signed_in
from backend.tests.support.pooler import POOL_SIZE, pooler
from backend.tests.support.postgres import cluster_url as server_url
from backend.tests.support.price_alerts import change

pytestmark = pytest.mark.slow

V1 = "/api/v1"
SECONDS_MAX = 60.0


@pytest.fixture
def pooled_url(database_url: str) -> Iterator[str]:
    with pooler(server_url()) as address:
        yield with_database(address.render_as_string(False), make_url(database_url).database or "")


@pytest.fixture
def settings(settings: Settings, database_url: str, pooled_url: str) -> Settings:
    return replace(settings, database=pooled_settings(pooled_url, database_url))


@pytest.fixture
async def pooled(settings: Settings, pooled_url: str) -> AsyncIterator[Database]:
    database = Database(pooled_url, settings.database)
    yield database
    await database.close()


@pytest.fixture
async def houses(settings: Settings, pooled_url: str) -> AsyncIterator[tuple[LiveHouse, LiveHouse]]:
    """Two instances of one house, as a load balancer has them."""
    async with live_house(pooled_url, settings) as one, live_house(pooled_url, settings) as other:
        yield one, other


def pooled_settings(pooled_url: str, direct_url: str) -> DatabaseSettings:
    return DatabaseSettings(
        _env_file=None,
        database_url=SecretStr(pooled_url),
        database_direct_url=SecretStr(direct_url),
    )


def door(house: LiveHouse) -> AsyncClient:
    return AsyncClient(base_url=f"http://127.0.0.1:{house.port}", timeout=SECONDS_MAX)


class HearingGuard:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[object] = asyncio.Queue()

    def forget_session(self, session_id: UUID) -> None:
        self.heard.put_nowait(session_id)

    def forget_everything(self) -> None:
        self.heard.put_nowait("everything")

    async def next(self) -> object:
        return await asyncio.wait_for(self.heard.get(), SECONDS_MAX)


async def test_people_sign_in_bind_keys_and_use_them_at_once(
    houses: tuple[LiveHouse, LiveHouse],
) -> None:
    async with door(houses[0]) as here, door(houses[1]) as there:

        async def lives(number: int) -> list[str]:
            name = f"person{number}"
            await registered(here, name)
            told = bearer((await signed_in(there, name))["access"])
            asked = {
                "exchange_name": "binance",
                "api_key": secrets.token_hex(32),
                "api_secret": secrets.token_hex(32),
            }
            bound = await here.post(f"{V1}/credentials", json=asked, headers=told)
            assert bound.status_code == 201, bound.text
            one = f"{V1}/credentials/{bound.json()['id']}"
            tried = await there.post(f"{one}/verify", headers=told)
            listed = await there.get(f"{V1}/credentials", headers=told)
            assert (tried.status_code, listed.status_code) == (200, 200), tried.text
            return [each["api_key_masked"] for each in listed.json()]

        shown = await asyncio.gather(*(lives(number) for number in range(8)))

    assert [len(masked) for masked in shown] == [1] * 8


async def test_merchants_withdraw_at_two_instances_to_the_cent(
    houses: tuple[LiveHouse, LiveHouse],
) -> None:
    services = houses[0].services
    root = await person(services, "root", Role.ADMIN)
    await credit.fund(services, root, "300.00")
    merchants = [await credit.merchant(services, root, f"shop{n}") for n in range(10)]
    async with door(houses[0]) as here, door(houses[1]) as there:

        async def withdraw(number: int) -> int:
            client, key = (here, there)[number % 2], {"Idempotency-Key": f"key-{number // 2}"}
            merchant = merchants[(number // 2) % 10]
            while True:
                answer = await client.post(
                    f"{V1}/withdrawals",
                    json={"amount": "10.00"},
                    headers={**merchant.headers, **key},
                )
                # Too much to do at the moment: ask again, under the same key.
                if answer.status_code != 503:
                    return answer.status_code

        # Each of them twice, at the same time, once at either instance.
        statuses = Counter(await asyncio.gather(*(withdraw(number) for number in range(120))))

    assert statuses.keys() <= {201, 402, 409}, statuses
    assert await credit.available(services, root) == Decimal("0.00")
    await credit.assert_proved(services)


async def test_a_notification_is_heard_at_the_other_instance(
    houses: tuple[LiveHouse, LiveHouse],
) -> None:
    here, there = houses
    alice = await person(here.services, "alice")
    async with here.services.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(
            "INSERT INTO price_alerts (user_id, symbol, condition, threshold, reference_price,"
            " fires_from, repeats, pause_minutes, is_active, is_armed, heard_until, created_at)"
            f" VALUES ({alice.user_id}, 'BTC/USDT', 'above', 60000, 50000, 60000, false, 60,"
            " true, true, 0, now())"
        )
    async with await there.client(alice) as client:
        await client.ask("subscribe", channel="notifications")

        await change(here.services, "60001", utc_now())
        message = await client.next()

    assert message["data"]["facts"]["price"] == "60001"


async def test_the_end_of_a_session_is_heard_past_the_pooler(pooled: Database) -> None:
    guard, session_id = HearingGuard(), uuid4()
    listener = SessionListener(pooled, guard)  # type: ignore[arg-type]
    await listener.tick()
    assert await guard.next() == "everything"

    async with pooled.transaction() as session:
        await session.execute(
            text("SELECT pg_notify('strongroom_sessions', :message)"),
            {"message": f"session:{session_id}"},
        )

    assert await guard.next() == session_id
    await listener.close()


async def test_one_of_two_holds_the_refreshers_lock_past_the_pooler(pooled: Database) -> None:
    first, second = RefresherLock(pooled), RefresherLock(pooled)
    assert await first.hold()
    assert not await second.hold()

    async with pooled.transaction() as session:
        await first.confirm(session)
    first.release()

    async with asyncio.timeout(SECONDS_MAX):
        while not await second.hold():
            await asyncio.sleep(0.01)
    second.release()


async def test_trades_come_in_by_copy_on_any_connection(
    houses: tuple[LiveHouse, LiveHouse],
) -> None:
    at = datetime.now(UTC) - timedelta(minutes=5)
    trades = [
        Trade("BTC/USDT", number, at, Decimal(100), Decimal(1), Decimal(100))
        for number in range(60)
    ]
    parts = [trades[start : start + 6] for start in range(0, 60, 6)]

    taken = await asyncio.gather(
        *(houses[n % 2].services.market.candle_builder.take(part) for n, part in enumerate(parts))
    )

    assert sum(each.new for each in taken) == 60


async def test_no_statement_stays_behind_on_a_lent_connection(
    houses: tuple[LiveHouse, LiveHouse],
) -> None:
    databases = [house.services.database for house in houses]
    together = asyncio.Barrier(POOL_SIZE)

    async def prepared(number: int) -> tuple[int, int, str]:
        async with databases[number % 2].transaction() as session:
            # Nobody ends before all have begun: each has a connection of PostgreSQL's to itself.
            pid = await session.scalar(text("SELECT pg_backend_pid()"))
            async with asyncio.timeout(SECONDS_MAX):
                await together.wait()
            left = await session.scalar(text("SELECT count(*) FROM pg_prepared_statements"))
            timeout = await session.scalar(text("SHOW statement_timeout"))
            return pid, left, timeout

    found = await asyncio.gather(*(prepared(number) for number in range(POOL_SIZE)))

    assert len({pid for pid, _, _ in found}) == POOL_SIZE
    assert {(left, timeout) for _, left, timeout in found} == {(0, "15s")}


async def test_when_the_pooler_goes_away_it_is_an_outage_and_passes(
    database_url: str, cluster_url: str
) -> None:
    name = make_url(database_url).database or ""
    with pooler(cluster_url) as address:
        pooled_url = with_database(address.render_as_string(False), name)
        database = Database(pooled_url, pooled_settings(pooled_url, database_url))
        await database.ping()

    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    await (await database.own_connection()).close()
    await database.close()


@pytest.mark.parametrize("bounds", [True, False])
def test_migrations_go_past_it_and_doctor_says_what_it_lets_through(
    cluster_url: str, tmp_path: Path, *, bounds: bool
) -> None:
    name = f"test_{uuid4().hex}"
    with pooler(cluster_url, bounds=bounds) as address:
        environment = {
            "PATH": "/usr/bin:/bin",
            "DATABASE_URL": with_database(address.render_as_string(False), name),
            "DATABASE_DIRECT_URL": with_database(cluster_url, name),
            "STRONGROOM_HOME": str(tmp_path / "kept"),
        }
        asyncio.run(_make_empty(cluster_url, name))
        migrated = strongroom("migrate", cwd=tmp_path, env=environment)
        told = strongroom("doctor", cwd=tmp_path, env=environment).stdout
    asyncio.run(_drop(cluster_url, name))

    assert migrated.returncode == 0, migrated.stderr
    assert ("ok     pooler" if bounds else "WRONG  pooler") in told, told
    assert "ok     migrations" in told, told


async def _make_empty(server: str, name: str) -> None:
    async with server_connection(server) as connection:
        await connection.execute(f"CREATE DATABASE {name}")


async def _drop(server: str, name: str) -> None:
    async with server_connection(server) as connection:
        await drop_database(connection, name)
