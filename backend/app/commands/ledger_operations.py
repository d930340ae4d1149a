"""What `strongroom ledger` does: on DATABASE_URL, or on the database that `up` keeps."""

from backend.app.commands.key_operations import command_settings
from backend.app.config import home_directory
from backend.app.database import Database
from backend.app.launch import reachable_database
from backend.app.services.ledger.ledger_proof import LedgerProof, prove_ledger


async def prove() -> int:
    """Prove the ledger and say how it went; 1 if anything is wrong."""
    home = home_directory()
    settings = command_settings(home)
    async with reachable_database(settings, home) as url:
        database = Database(url, settings.database)
        try:
            proof = await prove_ledger(database)
        finally:
            await database.close()
    print(_verdict(proof))  # noqa: T201 - the verb's result
    return 1 if proof.findings else 0


def _verdict(proof: LedgerProof) -> str:
    accounts, movements, withdrawals = proof.counts
    seen = f"{accounts} accounts, {movements} movements, {withdrawals} withdrawals"
    if not proof.findings:
        return f"The ledger agrees to the cent: {seen}."
    return "\n".join([f"The ledger does NOT agree ({seen}):", *proof.findings])
