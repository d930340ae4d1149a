"""What one hot pool costs: 500 withdrawals waiting, 1,000 merchants, one pool.

    python -m bench.withdrawals [url of a PostgreSQL server]

Without a URL (or `STRONGROOM_TEST_POSTGRES`) it brings a server along. The reference is what one
would write without thinking: the ORM, `SELECT ... FOR UPDATE` on pool and merchant, a transaction
each. It writes the same rows of the same tables, but for the audit trail, which only ours keeps.
Both are run at a tenth of the callers too.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from itertools import count
from pathlib import Path
from statistics import quantiles
from uuid import uuid4

from sqlalchemy import insert, select, text
from uvicorn.loops.auto import auto_loop_factory

from backend.app.clock import utc_now
from backend.app.config import DatabaseSettings
from backend.app.credit_container import CreditContainer
from backend.app.database import Database
from backend.app.embedded import EmbeddedPostgres
from backend.app.enums import MovementKind, Role, WithdrawalState
from backend.app.models.idempotency_key import IdempotencyKey
from backend.app.models.ledger import LedgerAccount
from backend.app.models.merchant import Merchant
from backend.app.models.withdrawal import Withdrawal
from backend.app.repositories.ledger_repository import LedgerRepository, Line
from backend.app.schemas.withdrawal_schemas import WithdrawalRequest, WithdrawalShown
from backend.app.services.idempotency.keyed import fingerprint
from backend.app.services.ledger.ledger_proof import prove_ledger
from backend.app.services.principal import Principal
from backend.app.serving import set_aside
from backend.tests.support.databases import copy_of, make_template

_MERCHANTS = 1_000
_WAITING = (500, 50)
_CONNECTIONS = 20
_OURS_EACH = 60
_REFERENCE_EACH = 3
_RATE_GOAL = 60.0
_P99_GOAL = 1 / 40
_KEYS = count(1)
_AMOUNT = WithdrawalRequest(amount="1.00")

_PEOPLE = f"""
    INSERT INTO users (username, email, hashed_password, role)
    SELECT 'm' || n, 'm' || n || '@example.com', 'x', 'merchant'
    FROM generate_series(1, {_MERCHANTS}) AS n
"""
_ACCOUNTS = """
    INSERT INTO ledger_accounts (kind, owner_id, asset, credit_limit, created_at)
    SELECT 'merchant', id, 'USD', 1000000, now() FROM users
"""
_APPROVED = """
    INSERT INTO merchants
        (user_id, state, requested_credit, bank_account, account_id, pool_id, approved_at)
    SELECT a.owner_id, 'active', 1000, 'DE89370400440532013000', a.id, pool.id, now()
    FROM ledger_accounts AS a, ledger_accounts AS pool
    WHERE a.kind = 'merchant' AND pool.kind = 'pool'
"""

Withdraw = Callable[[Principal], Awaitable[None]]


async def _opened(database: Database) -> None:
    """Hold a connection long enough for all of them to be opened."""
    async with database.transaction() as session:
        await session.execute(text("SELECT pg_sleep(2)"))


async def _seed(database: Database) -> list[Principal]:
    async with database.transaction() as session:
        for statement in (_PEOPLE, _ACCOUNTS, _APPROVED):
            await session.execute(text(statement))
        ledger = LedgerRepository(session)
        pool, bank = await ledger.pool("default"), await ledger.bank()
        funded = Decimal(100_000_000)
        lines = [Line(pool.id, funded), Line(bank.id, -funded)]
        await ledger.move(MovementKind.TOPUP, lines, utc_now())
        await session.execute(text("ANALYZE"))
        ids = (await session.scalars(text("SELECT user_id FROM merchants ORDER BY 1"))).all()
    return [Principal(user_id, f"m{user_id}", Role.MERCHANT, uuid4()) for user_id in ids]


async def _with_row_locks(database: Database, asked: Principal) -> None:
    """Withdraw as the reference does."""
    now, key, mark = utc_now(), f"bench-{next(_KEYS)}", fingerprint(_AMOUNT)
    async with database.transaction() as session:
        if await session.get(IdempotencyKey, (asked.user_id, "withdrawals", key)) is not None:
            return
        merchant = await session.get_one(Merchant, asked.user_id)
        for account_id in (merchant.pool_id, merchant.account_id):
            await session.execute(
                select(LedgerAccount).where(LedgerAccount.id == account_id).with_for_update()
            )
        pool = await session.get_one(LedgerAccount, merchant.pool_id)
        account = await session.get_one(LedgerAccount, merchant.account_id)
        assert account.credit_limit is not None
        assert _AMOUNT.amount <= min(pool.balance, account.credit_limit - account.balance)
        withdrawal_id = await session.scalar(text("SELECT nextval('withdrawals_id_seq')"))
        movement_id = await LedgerRepository(session).move(
            MovementKind.WITHDRAWAL,
            [Line(account.id, _AMOUNT.amount), Line(pool.id, -_AMOUNT.amount)],
            now,
            reference_id=withdrawal_id,
        )
        withdrawal = Withdrawal(
            id=withdrawal_id,
            user_id=asked.user_id,
            account_id=account.id,
            pool_id=pool.id,
            movement_id=movement_id,
            amount=_AMOUNT.amount,
            state=WithdrawalState.REQUESTED.value,
            requested_at=now,
            changed_at=now,
        )
        session.add(withdrawal)
        await session.flush()
        body = WithdrawalShown.model_validate(withdrawal).model_dump_json().encode()
        await session.execute(
            insert(IdempotencyKey).values(
                user_id=asked.user_id,
                route="withdrawals",
                key=key,
                fingerprint=mark,
                status=201,
                body=body,
                created_at=now,
            )
        )


async def _together(
    withdraw: Withdraw, people: list[Principal], waiting: int, each: int
) -> tuple[float, float, float]:
    """Return how many a second, and p50 and p99 in ms, of a closed loop with so many callers."""
    waits: list[float] = []

    async def caller(first: int) -> None:
        for n in range(each):
            started = time.perf_counter()
            await withdraw(people[(first + n * waiting) % len(people)])
            waits.append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    await asyncio.gather(*(caller(n) for n in range(waiting)))
    elapsed = time.perf_counter() - started
    cuts = quantiles(waits, n=100)
    return len(waits) / elapsed, cuts[49], cuts[98]


async def _measure(server_url: str) -> None:
    template = await make_template(server_url)
    async with copy_of(server_url, template) as url:
        # Connections that stay: opening some anew for each burst would cost the reference more.
        settings = DatabaseSettings(
            _env_file=None,
            database_pool_size=_CONNECTIONS,
            database_max_overflow=0,
            database_pool_timeout_seconds=60,
            database_statement_timeout_seconds=60,
        )
        database = Database(url, settings)
        await asyncio.gather(*(_opened(database) for _ in range(_CONNECTIONS)))
        people = await _seed(database)
        credit = CreditContainer(database, utc_now)
        await credit.start()

        async def ours(asked: Principal) -> None:
            answer = await credit.withdrawals.withdraw(asked, _AMOUNT, f"bench-{next(_KEYS)}")
            assert answer.status == 201, answer.body

        # Waiting for a connection is part of it, but the pool would give up on it.
        connections = asyncio.Semaphore(_CONNECTIONS)

        async def reference(asked: Principal) -> None:
            async with connections:
                await _with_row_locks(database, asked)

        await _together(ours, people, 50, 10)
        await _together(reference, people, 50, 2)
        print(f"{'':<26} {'a second':>10} {'p50 ms':>9} {'p99 ms':>9}")
        # As a served process does.
        with set_aside():
            for waiting in _WAITING:
                await _compare(ours, reference, people, waiting)
        proof = await prove_ledger(database)
        print(f"ledger: {proof.counts.withdrawals} withdrawals, findings: {proof.findings}")
        await credit.stop()
        await database.close()


async def _compare(
    ours: Withdraw, reference: Withdraw, people: list[Principal], waiting: int
) -> None:
    slow = await _together(reference, people, waiting, _REFERENCE_EACH)
    fast = await _together(ours, people, waiting, _OURS_EACH)
    print(f"{f'row locks, {waiting} waiting':<26} {slow[0]:>10.0f} {slow[1]:>9.1f} {slow[2]:>9.1f}")
    print(f"{f'ours, {waiting} waiting':<26} {fast[0]:>10.0f} {fast[1]:>9.1f} {fast[2]:>9.1f}")
    rate, p99 = fast[0] / slow[0], fast[2] / slow[2]
    is_goal = waiting == _WAITING[0]
    told = f"goal >= {_RATE_GOAL}x {'met' if rate >= _RATE_GOAL else 'MISSED'}" if is_goal else ""
    print(f"{'  rate':<26} {rate:>9.1f}x  {told}")
    told = f"goal <= 1/40 {'met' if p99 <= _P99_GOAL else 'MISSED'}" if is_goal else ""
    print(f"{'  p99':<26} {f'1/{1 / p99:.0f}':>10}  {told}")


async def main() -> None:
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("STRONGROOM_TEST_POSTGRES")
    if given:
        await _measure(given)
        return
    with tempfile.TemporaryDirectory(prefix="strongroom-bench-") as directory:
        server = EmbeddedPostgres(Path(directory) / "postgres")
        try:
            await _measure(await server.start())
        finally:
            await server.stop()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(main())
