"""What `strongroom vault` does: on DATABASE_URL, or on the database that `up` keeps.

No secret is printed, logged or given as an argument, and none touches the disk in clear.
"""

import hashlib
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.app.clock import utc_now
from backend.app.commands.key_operations import OPERATOR, command_settings
from backend.app.commands.private_file import new_private_file
from backend.app.commands.progress import passing_progress
from backend.app.config import Settings, home_directory
from backend.app.database import Database
from backend.app.errors import ConfigurationError, TransferRefused
from backend.app.launch import reachable_database
from backend.app.logs import configure_logging
from backend.app.masking import mask_api_key
from backend.app.repositories.audit_appender import AuditAppender
from backend.app.services.audit_service import AuditService
from backend.app.services.credential_vault import CredentialVault
from backend.app.services.key_check import unlock_beside
from backend.app.services.key_sources import build_key_ring
from backend.app.services.transfer_export import Exported, TransferExport
from backend.app.services.transfer_import import TransferImport
from backend.app.services.transfer_plan import Export, Fate, Planned, planned, read_export
from backend.app.services.transfer_recipient import Recipient, RecipientKey, in_groups


@dataclass(frozen=True)
class _House:
    """The database, the open vault, and who we are to others."""

    settings: Settings
    database: Database
    vault: CredentialVault
    key: RecipientKey


async def show_recipient() -> int:
    """Print this installation's recipient; how to use it goes beside."""
    async with _house() as house:
        recipient = house.key.recipient
    _say(recipient.text)
    _tell(
        f"Its fingerprint is {in_groups(recipient.fingerprint)}.\n"
        "On the other installation: strongroom vault export FILE --to with the text above. "
        "Compare the fingerprint it shows with this one, over a line you trust."
    )
    return 0


async def export(file: Path, to: str, users: Sequence[str], exchanges: Sequence[str]) -> int:
    """Write the file; 1 if something that was chosen is not in it."""
    recipient = Recipient.from_text(to)
    _tell(f"For the recipient {in_groups(recipient.fingerprint)}.")
    async with _house() as house:
        done, sha256 = await _exported(house, file, recipient, users, exchanges)
    for held, why in done.left_out:
        _say(f"credential {held.credential_id} of {held.username} {why}")
    _say(f"{done.count} credentials in {file}, SHA-256 {sha256}")
    return 1 if done.left_out else 0


async def import_(file: Path, user_map: Sequence[str], sha256: str | None, *, check: bool) -> int:
    """Store what is new; 1 if something of the file is not here afterwards."""
    names = _names(user_map)
    async with _house() as house:
        read = _read(file, house.key)
        _tell(
            f"Made on {read.header.created_at:%Y-%m-%d %H:%M} UTC by "
            f"{in_groups(read.header.sender)}, SHA-256 {read.sha256}."
        )
        if sha256 is not None and sha256.lower() != read.sha256:
            raise TransferRefused("The file does not have the SHA-256 that was asked for.")
        environment = house.settings.exchange.exchange_mode
        plan = await planned(house.database, read.credentials, names, environment)
        if not check:
            await _imported(house, plan, read)
    return _told(plan, check=check)


async def _exported(
    house: _House, file: Path, to: Recipient, users: Sequence[str], exchanges: Sequence[str]
) -> tuple[Exported, str]:
    sender = house.key.recipient.fingerprint
    exporting = TransferExport(house.database, house.vault, sender, utc_now)
    digest, done = hashlib.sha256(), Exported()
    # Before anything is looked at: a name that is taken is told at once.
    with new_private_file(file) as lines:
        chosen = await exporting.chosen(users, exchanges)

        def write(line: bytes) -> None:
            digest.update(line)
            lines.write(line)

        with passing_progress() as progress:
            task = progress.add_task("credentials", total=len(chosen))
            async with aclosing(exporting.write(chosen, to, OPERATOR, write)) as going:
                async for done in going:
                    progress.update(task, completed=done.count + len(done.left_out))
    return done, digest.hexdigest()


async def _imported(house: _House, plan: Sequence[Planned], read: Export) -> None:
    importing = TransferImport(house.database, house.vault, utc_now)
    with passing_progress() as progress:
        new = sum(each.fate is Fate.NEW for each in plan)
        task = progress.add_task("credentials", total=new)
        async with aclosing(importing.carry_out(plan, read.header, OPERATOR)) as going:
            async for stored in going:
                progress.update(task, completed=stored)


def _read(file: Path, key: RecipientKey) -> Export:
    try:
        with file.open("rb") as lines:
            return read_export(lines, key)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read ({error.strerror}).") from None


def _names(user_map: Sequence[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in user_map]
    if not all(there and here for there, _, here in pairs):
        raise ConfigurationError("--user-map takes THERE=HERE, once for each user.")
    names = {there: here for there, _, here in pairs}
    if len({there.lower() for there in names}) < len(pairs):
        raise ConfigurationError("--user-map names somebody twice.")
    return names


def _told(plan: Sequence[Planned], *, check: bool) -> int:
    words = _FUTURE if check else _PAST
    for each in plan:
        if check or each.fate is not Fate.NEW:
            _say(f"{_described(each)}: {words[each.fate]}")
    count = Counter(each.fate for each in plan)
    _say(
        f"{count[Fate.NEW]} {words[Fate.NEW]}, {count[Fate.HELD]} {words[Fate.HELD]}, "
        f"{count[Fate.OTHER_ENVIRONMENT]} {words[Fate.OTHER_ENVIRONMENT]}."
    )
    if not check and count[Fate.NEW]:
        _tell("Lists that a running instance remembers show it within five minutes.")
    return 1 if count[Fate.OTHER_ENVIRONMENT] else 0


def _described(planned: Planned) -> str:
    given = planned.credential
    there = given.username
    owner = there if there == planned.owner else f"{planned.owner} ({there} in the file)"
    label = f" {given.label}" if given.label is not None else ""
    return f"{owner} {given.exchange_name} {given.environment} {mask_api_key(given.api_key)}{label}"


@asynccontextmanager
async def _house() -> AsyncIterator[_House]:
    home = home_directory()
    settings = command_settings(home)
    configure_logging(settings.server)
    key_ring = build_key_ring(settings.vault)
    async with reachable_database(settings, home) as url:
        database = Database(url, settings.database)
        audit = AuditService(AuditAppender(database))
        try:
            crypto, installation = await unlock_beside(database, key_ring)
            await audit.start()
            vault = CredentialVault(database, crypto, audit, utc_now)
            yield _House(settings, database, vault, await crypto.recipient_key(installation))
        finally:
            await audit.stop()
            await database.close()


def _say(words: str) -> None:
    print(words)  # noqa: T201 - the verb's result


def _tell(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201 - beside the result, where a pipe does not take it


_FUTURE: Final[Mapping[Fate, str]] = {
    Fate.NEW: "would be stored",
    Fate.HELD: "here already",
    Fate.OTHER_ENVIRONMENT: "left out: EXCHANGE_MODE is another",
}
_PAST: Final[Mapping[Fate, str]] = {**_FUTURE, Fate.NEW: "stored"}
