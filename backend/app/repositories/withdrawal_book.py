"""Withdrawals by the hundred: one connection, one lock, one statement, one commit.

A batch holds the pools it draws on before it reads anything else. So what it reads of merchants
and keys stands until its commit, whatever other processes do: they wait for the same lock.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import asyncpg

from backend.app.audit_record import WrittenRecord
from backend.app.database import Database, outages_translated
from backend.app.errors import DatabaseUnavailable
from backend.app.repositories.array_text import array_text, decimal_array_text
from backend.app.repositories.audit_appender import append_within

ROUTE: Final = "withdrawals"
_RETRY_AFTER_SECONDS: Final = 2

# Plans made while the tables were small must stay good when they are not: rows by their keys.
_BY_KEYS: Final = """
SET enable_seqscan = off; SET enable_hashjoin = off;
SET enable_mergejoin = off; SET enable_material = off; SET plan_cache_mode = force_generic_plan
"""
# A merchant's pool never changes, so it can be read before anything is held.
_HOLD_POOLS: Final = """
SELECT id, balance FROM ledger_accounts
WHERE id = ANY (ARRAY(SELECT pool_id FROM merchants WHERE user_id = ANY ($1::text::bigint[])))
ORDER BY id FOR UPDATE
"""
_MERCHANTS: Final = """
SELECT m.user_id, m.state, m.account_id, m.pool_id, a.balance, a.credit_limit
FROM merchants AS m LEFT JOIN ledger_accounts AS a ON a.id = m.account_id
WHERE m.user_id = ANY ($1::text::bigint[])
"""
_KEPT: Final = f"""
SELECT kept.user_id, kept.key, kept.fingerprint, kept.status, kept.body
FROM unnest($1::text::bigint[], $2::text[]) AS asked (user_id, key) CROSS JOIN LATERAL (
    SELECT * FROM idempotency_keys AS k
    WHERE k.user_id = asked.user_id AND k.route = '{ROUTE}' AND k.key = asked.key OFFSET 0
) AS kept
"""  # noqa: S608 - a constant of ours
_NEW_IDS: Final = """
SELECT nextval('withdrawals_id_seq'), nextval('ledger_movements_id_seq')
FROM generate_series(1, $1)
"""
# Everything a batch changes. Balances follow from the lines, by the trigger that books them.
_WRITE: Final = f"""
WITH booked AS (
    SELECT * FROM unnest(
        $2::text::bigint[], $3::text::bigint[], $4::text::bigint[], $5::text::bigint[],
        $6::text::bigint[], $7::text::numeric[]
    ) AS booking (id, movement_id, user_id, account_id, pool_id, amount)
), kept AS (
    INSERT INTO idempotency_keys (user_id, route, key, fingerprint, status, body, created_at)
    SELECT user_id, '{ROUTE}', key, fingerprint, status, body, $1 FROM unnest(
        $8::text::bigint[], $9::text[], $10::bytea[], $11::text::smallint[], $12::bytea[]
    ) AS answer (user_id, key, fingerprint, status, body)
), moved AS (
    INSERT INTO ledger_movements (id, kind, reference_id, at)
    SELECT movement_id, 'withdrawal', id, $1 FROM booked
), drawn AS (
    INSERT INTO withdrawals (
        id, user_id, account_id, pool_id, movement_id, amount, state, requested_at, changed_at,
        next_try_at
    )
    SELECT id, user_id, account_id, pool_id, movement_id, amount, 'requested', $1, $1, $1
    FROM booked
)
INSERT INTO ledger_lines (movement_id, account_id, amount)
SELECT movement_id, account_id, amount FROM booked
UNION ALL SELECT movement_id, pool_id, -amount FROM booked
"""  # noqa: S608 - a constant of ours


class MerchantLine(NamedTuple):
    """A merchant as a batch finds him; what only an approved one has may be None."""

    user_id: int
    state: str
    account_id: int | None
    pool_id: int | None
    utilised: Decimal | None
    credit_limit: Decimal | None


class KeptLine(NamedTuple):
    """What was answered under a key before."""

    user_id: int
    key: str
    fingerprint: bytes
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything a batch has to know, as it stands until the batch is over."""

    pools: dict[int, Decimal]
    merchants: dict[int, MerchantLine]
    kept: dict[tuple[int, str], KeptLine]
    new_ids: Iterator[tuple[int, int]]


class Booking(NamedTuple):
    """A withdrawal to write, with the movement that it is."""

    id: int
    movement_id: int
    user_id: int
    account_id: int
    pool_id: int
    amount: Decimal


class OpenBook:
    """A batch under way, for as long as its transaction lasts."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def read(self, scopes: Sequence[tuple[int, str]]) -> Standing:
        """Hold the pools behind these users, and return what stands for them and their keys."""
        fetch = self.connection.fetch
        user_ids = array_text(user_id for user_id, _ in scopes)
        pools = await fetch(_HOLD_POOLS, user_ids)
        merchants = await fetch(_MERCHANTS, user_ids)
        kept = await fetch(_KEPT, user_ids, [key for _, key in scopes])
        new_ids = await fetch(_NEW_IDS, len(scopes))
        return Standing(
            pools={row[0]: row[1] for row in pools},
            merchants={row[0]: MerchantLine(*row) for row in merchants},
            kept={(row[0], row[1]): KeptLine(*row) for row in kept},
            new_ids=((row[0], row[1]) for row in new_ids),
        )

    async def write(
        self,
        at: datetime,
        bookings: Sequence[Booking],
        answers: Sequence[KeptLine],
        records: Sequence[WrittenRecord],
    ) -> None:
        """Write what was decided: withdrawals, movements, keys and, last, the trail."""
        *numbers, amounts = _columns(bookings, Booking)
        user_ids, keys, fingerprints, statuses, bodies = _columns(answers, KeptLine)
        await self.connection.execute(
            *(_WRITE, at, *map(array_text, numbers), decimal_array_text(amounts)),
            *(array_text(user_ids), keys, fingerprints, array_text(statuses), bodies),
        )
        await append_within(self.connection, records)


class WithdrawalBook:
    """Opens batches on a connection of its own. For one task at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: Any = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[OpenBook]:
        """Open a batch that is committed whole, or leaves nothing behind.

        Raises:
            DatabaseUnavailable: it is not committed, or not known to be.
        """
        with self._letting_go():
            async with outages_translated():
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._database.own_connection()
                    await self._connection.execute(_BY_KEYS)
                async with self._connection.transaction():
                    yield OpenBook(self._connection)

    def close(self) -> None:
        """Let go of the connection; the next batch opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closing politely could wait for a server that is gone.
            connection.terminate()

    @contextmanager
    def _letting_go(self) -> Iterator[None]:
        try:
            yield
        except asyncpg.InterfaceError:
            # What asyncpg says when it finds the connection gone; or a value it cannot send.
            is_gone = self._connection is not None and self._connection.is_closed()
            self.close()
            if not is_gone:
                raise
            raise DatabaseUnavailable(retry_after_seconds=_RETRY_AFTER_SECONDS) from None
        except BaseException:
            # What was under way may still be answered, and not to the next batch.
            self.close()
            raise


def _columns(rows: Sequence[tuple[Any, ...]], kind: type[Booking | KeptLine]) -> list[list[Any]]:
    if not rows:
        return [[] for _ in kind._fields]
    return [list(column) for column in zip(*rows, strict=True)]
