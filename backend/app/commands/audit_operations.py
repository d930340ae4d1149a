"""What `strongroom audit` does: on DATABASE_URL, or on the database that `up` keeps."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from backend.app.clock import utc_now
from backend.app.commands.key_operations import command_settings
from backend.app.commands.progress import passing_progress
from backend.app.config import Settings, home_directory
from backend.app.database import Database
from backend.app.errors import ConfigurationError
from backend.app.launch import ANCHOR_FILE, reachable_database
from backend.app.repositories.dek_repository import DekRepository
from backend.app.schemas.audit_schemas import AuditFilter
from backend.app.services.anchor_file import anchors_in
from backend.app.services.anchor_key import AnchorVerifier
from backend.app.services.audit_export import as_csv as in_csv
from backend.app.services.audit_export import as_json_lines, csv_header
from backend.app.services.audit_trail_service import AuditTrailService
from backend.app.services.audit_verification import AuditVerification, Proof
from backend.app.services.crypto_service import CryptoService, WrappedDek
from backend.app.services.envelope import EnvelopeError
from backend.app.services.key_check import INSTALLATION_DEK_ID, INSTALLATION_OWNER_ID
from backend.app.services.key_sources import build_key_ring


async def verify(anchors: Path | None, public_key: str | None, *, deep: bool) -> int:
    """Prove the trail and say how it went, in a line; 1 if anything is wrong."""
    home = home_directory()
    settings = command_settings(home)
    pinned = None if public_key is None else AnchorVerifier.from_text(public_key)
    kept = anchors or _own_anchors(settings, home)
    async with _database(settings, home) as database:
        verifier = pinned or await _vault_verifier(database, settings)
        with passing_progress() as progress:
            task = progress.add_task("events", total=None)
            proof = await AuditVerification(
                database,
                verifier,
                anchors_in(kept) if kept is not None else (),
                deep=deep,
                progress=lambda done, of: progress.update(task, completed=done, total=of),
            ).run()
    print(_verdict(proof, verifier))  # noqa: T201 - the verb's result
    return 0 if proof.finding is None else 1


async def export(*, as_csv: bool, asked: dict[str, Any]) -> int:
    """Write the events looked for to standard output."""
    wanted = _filter(asked)
    home = home_directory()
    settings = command_settings(home)
    async with _database(settings, home) as database:
        if as_csv:
            sys.stdout.write(csv_header())
        async for events in AuditTrailService(database, utc_now).export(wanted):
            sys.stdout.write(in_csv(events) if as_csv else as_json_lines(events))
    sys.stdout.flush()
    return 0


@asynccontextmanager
async def _database(settings: Settings, home: Path) -> AsyncIterator[Database]:
    async with reachable_database(settings, home) as url:
        database = Database(url, settings.database)
        try:
            yield database
        finally:
            await database.close()


def _own_anchors(settings: Settings, home: Path) -> Path | None:
    """Return the anchors this installation keeps itself, if they are here."""
    path = settings.audit.audit_anchor_file or home / ANCHOR_FILE
    return path if path.exists() else None


async def _vault_verifier(database: Database, settings: Settings) -> AnchorVerifier | None:
    """Return the vault's own key for anchors; None while there is no vault yet.

    Raises:
        ConfigurationError: the root keys at hand do not open the vault.
    """
    async with database.snapshot() as session:
        row = await DekRepository(session).find(INSTALLATION_OWNER_ID, INSTALLATION_DEK_ID)
    if row is None:
        return None
    try:
        crypto = CryptoService(build_key_ring(settings.vault))
        await crypto.unlock(WrappedDek.of(row))
    except EnvelopeError:
        raise ConfigurationError(_NO_KEY) from None
    return crypto.anchor_key().verifier


def _filter(asked: dict[str, Any]) -> AuditFilter:
    given = {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        for name, value in asked.items()
    }
    try:
        return AuditFilter(**given)
    except ValidationError as error:
        names = sorted({str(problem["loc"][0]) for problem in error.errors(include_input=False)})
        raise ConfigurationError(
            f"Cannot look for this {' and '.join(names)}. Expected: --act credential.used, "
            "--actor user:7, --object credential:42"
        ) from None


def _verdict(proof: Proof, verifier: AnchorVerifier | None) -> str:
    if proof.finding is not None:
        return f"The audit trail is NOT as it was written: {proof.finding}"
    compared = "" if proof.credentials is None else f", {proof.credentials} credentials"
    signed = "nobody yet" if verifier is None else verifier.fingerprint
    return (
        f"The audit trail is as it was written: {proof.events} events, "
        f"{proof.anchors} anchors{compared}. Anchors are signed by {signed}"
    )


_NO_KEY: Final = (
    "The root keys at hand do not open this vault, so the anchors' signatures cannot be checked. "
    "Set ENCRYPTION_KEY, or name who must have signed: --public-key"
)
