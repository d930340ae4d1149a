"""The proof of the ledger: every balance recomputed, every movement weighed, all withdrawals found.

See docs/ARCHITECTURE.md, "Merchant credit and the ledger".
"""

from dataclasses import dataclass
from typing import Final

from backend.app.database import Database
from backend.app.repositories.ledger_proof_repository import LedgerCounts, LedgerProofRepository

FINDINGS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class LedgerProof:
    """What was looked at, and what is wrong with it."""

    counts: LedgerCounts
    findings: list[str]


async def prove_ledger(database: Database) -> LedgerProof:
    """Prove one moment of the whole ledger; at most `FINDINGS_MAX` findings are named.

    Raises:
        DatabaseUnavailable: it does not answer.
    """
    async with database.snapshot() as session:
        repository = LedgerProofRepository(session)
        await repository.allow_time()
        return LedgerProof(await repository.counts(), await repository.findings(FINDINGS_MAX))
