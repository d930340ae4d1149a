"""Questions that a sound ledger answers with nothing. Each looks at all of it at once."""

from decimal import Decimal
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.money import plain
from backend.app.repositories.venue_questions import VENUE_QUESTIONS

# A proof reads everything, which takes longer than a request may.
PROOF_SECONDS_MAX: Final = 3_600

_BALANCES: Final = """
    SELECT a.id, a.kind, a.owner_id,
        coalesce('of venue account ' || a.venue_account_id || ' in ' || a.asset, a.name),
        a.balance, coalesce(l.amount, 0)
    FROM ledger_accounts AS a
    LEFT JOIN (SELECT account_id, sum(amount) AS amount FROM ledger_lines GROUP BY 1) AS l
    ON l.account_id = a.id
    WHERE a.balance <> coalesce(l.amount, 0) ORDER BY a.id LIMIT :rows
"""
_BOUNDS: Final = """
    SELECT id, kind, owner_id, name, balance,
        CASE WHEN balance < 0 AND NOT may_go_negative THEN 0 ELSE credit_limit END
    FROM ledger_accounts
    WHERE (balance < 0 AND NOT may_go_negative) OR balance > credit_limit
    ORDER BY id LIMIT :rows
"""
_SUMS: Final = """
    SELECT l.movement_id, sum(l.amount) FROM ledger_lines AS l
    LEFT JOIN ledger_accounts AS a ON a.id = l.account_id
    GROUP BY l.movement_id, a.asset HAVING sum(l.amount) <> 0 OR a.asset IS NULL
    ORDER BY 1 LIMIT :rows
"""
_EMPTY: Final = """
    SELECT m.id FROM ledger_movements AS m
    WHERE NOT EXISTS (SELECT FROM ledger_lines AS l WHERE l.movement_id = m.id)
    ORDER BY 1 LIMIT :rows
"""
_ORPHANS: Final = """
    SELECT DISTINCT l.movement_id FROM ledger_lines AS l
    WHERE NOT EXISTS (SELECT FROM ledger_movements AS m WHERE m.id = l.movement_id)
    ORDER BY 1 LIMIT :rows
"""
_REVERSALS: Final = """
    SELECT DISTINCT m.id FROM ledger_movements AS m
    LEFT JOIN LATERAL (
        SELECT account_id, sum(amount) AS amount FROM ledger_lines
        WHERE movement_id IN (m.id, m.reverses_id) GROUP BY account_id
    ) AS l ON true
    WHERE m.reverses_id IS NOT NULL AND l.amount <> 0 ORDER BY 1 LIMIT :rows
"""
# Each withdrawal is one movement of two lines, and was given back if and only if it failed.
_WITHDRAWALS: Final = """
    SELECT w.id FROM withdrawals AS w
    LEFT JOIN ledger_movements AS m
        ON m.id = w.movement_id AND m.kind = 'withdrawal' AND m.reference_id = w.id
    LEFT JOIN ledger_lines AS taken
        ON taken.movement_id = m.id AND taken.account_id = w.account_id AND taken.amount = w.amount
    LEFT JOIN ledger_lines AS given
        ON given.movement_id = m.id AND given.account_id = w.pool_id AND given.amount = -w.amount
    LEFT JOIN ledger_movements AS back
        ON back.reverses_id = w.movement_id AND back.kind = 'given_back'
        AND back.reference_id = w.id
    WHERE taken.amount IS NULL OR given.amount IS NULL
        OR (back.id IS NOT NULL) <> (w.state = 'failed')
    ORDER BY 1 LIMIT :rows
"""
_UNCLAIMED: Final = """
    SELECT m.id FROM ledger_movements AS m
    LEFT JOIN withdrawals AS w ON w.movement_id = m.id
    WHERE m.kind = 'withdrawal' AND w.id IS NULL ORDER BY 1 LIMIT :rows
"""
# What the bank paid: every settled withdrawal once, as it stands, and none that was given back.
_UNPAID: Final = """
    SELECT w.id FROM withdrawals AS w
    LEFT JOIN settlements AS s
        ON s.withdrawal_id = w.id AND s.state = 'settled' AND s.amount = w.amount
        AND s.merchant_id = w.user_id AND s.account_id = w.account_id
    WHERE w.state = 'settled' AND s.withdrawal_id IS NULL ORDER BY 1 LIMIT :rows
"""
_PAID_AND_BACK: Final = """
    SELECT w.id FROM withdrawals AS w JOIN settlements AS s ON s.withdrawal_id = w.id
    WHERE s.state = 'settled' AND (w.state = 'failed' OR EXISTS (
        SELECT FROM ledger_movements AS m WHERE m.reverses_id = w.movement_id
    )) ORDER BY 1 LIMIT :rows
"""
_STRAY: Final = """
    SELECT s.withdrawal_id FROM settlements AS s
    WHERE NOT EXISTS (SELECT FROM withdrawals AS w WHERE w.id = s.withdrawal_id)
    ORDER BY 1 LIMIT :rows
"""
# What merchants owe, added up from their withdrawals instead of from the ledger.
_MERCHANTS: Final = """
    SELECT a.id, a.kind, a.owner_id, a.name, a.balance, coalesce(w.amount, 0)
    FROM ledger_accounts AS a
    LEFT JOIN (
        SELECT account_id, sum(amount) AS amount FROM withdrawals
        WHERE state <> 'failed' GROUP BY 1
    ) AS w ON w.account_id = a.id
    WHERE a.kind = 'merchant' AND a.balance <> coalesce(w.amount, 0) ORDER BY a.id LIMIT :rows
"""
# What pools hold: what was put in, less what is drawn, added up from withdrawals too.
_POOLS: Final = """
    SELECT a.id, a.kind, a.owner_id, a.name, a.balance,
        coalesce(f.amount, 0) - coalesce(w.amount, 0)
    FROM ledger_accounts AS a
    LEFT JOIN (
        SELECT l.account_id, sum(l.amount) AS amount FROM ledger_lines AS l
        JOIN ledger_movements AS m ON m.id = l.movement_id
        WHERE m.kind IN ('topup', 'drawdown') GROUP BY 1
    ) AS f ON f.account_id = a.id
    LEFT JOIN (
        SELECT pool_id, sum(amount) AS amount FROM withdrawals WHERE state <> 'failed' GROUP BY 1
    ) AS w ON w.pool_id = a.id
    WHERE a.kind = 'pool' AND a.balance <> coalesce(f.amount, 0) - coalesce(w.amount, 0)
    ORDER BY a.id LIMIT :rows
"""
_COUNTS: Final = """
    SELECT (SELECT count(*) FROM ledger_accounts), (SELECT count(*) FROM ledger_movements),
        (SELECT count(*) FROM withdrawals)
"""

# A question, and how each of its answers reads.
_QUESTIONS: Final = (
    (_BALANCES, "{account} keeps {kept}, but its lines add up to {computed}"),
    (_BOUNDS, "{account} keeps {kept}, past its bound of {computed}"),
    (_SUMS, "movement {id} does not sum to zero, but to {rest}"),
    (_EMPTY, "movement {id} has no lines"),
    (_ORPHANS, "lines name movement {id}, which is not there"),
    (_REVERSALS, "movement {id} is not the opposite of what it reverses"),
    (_WITHDRAWALS, "withdrawal {id} does not agree with its movements"),
    (_UNCLAIMED, "movement {id} is a withdrawal that is not there"),
    (_UNPAID, "withdrawal {id} is settled, but the settlement did not pay it as it stands"),
    (_PAID_AND_BACK, "withdrawal {id} was paid out and given back"),
    (_STRAY, "the settlement was asked for withdrawal {id}, which is not there"),
    (_MERCHANTS, "{account} keeps {kept}, but its withdrawals add up to {computed}"),
    (_POOLS, "{account} keeps {kept}, but fundings less withdrawals are {computed}"),
    *VENUE_QUESTIONS,
)


class LedgerCounts(NamedTuple):
    """How much was looked at."""

    accounts: int
    movements: int
    withdrawals: int


class LedgerProofRepository:
    """Looks at the whole ledger, in one snapshot."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def allow_time(self) -> None:
        """Let the statements of this block take as long as a proof takes."""
        await self._session.execute(text(f"SET LOCAL statement_timeout = '{PROOF_SECONDS_MAX}s'"))

    async def counts(self) -> LedgerCounts:
        """Return how much there is."""
        found = await self._session.execute(text(_COUNTS))
        return LedgerCounts(*found.one())

    async def findings(self, rows_max: int) -> list[str]:
        """Return what is wrong, a sentence each; nothing if all is well."""
        found: list[str] = []
        for question, sentence in _QUESTIONS:
            rows = await self._session.execute(text(question), {"rows": rows_max})
            found.extend(_told(sentence, tuple(row)) for row in rows)
        return found[:rows_max]


def _told(sentence: str, row: tuple[object, ...]) -> str:
    if "{account}" not in sentence:
        return sentence.format(id=row[0], rest=_number(row[-1]))
    account_id, kind, owner_id, name, kept, computed = row
    whose = "" if owner_id is None else f" of user {owner_id}"
    named = f" {name}" if name else ""
    account = f"account {account_id} ({kind}{named}{whose})"
    return sentence.format(account=account, kept=_number(kept), computed=_number(computed))


def _number(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
