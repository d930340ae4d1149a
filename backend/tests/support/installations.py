"""Whole installations side by side: each its own database, root key and configuration."""

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr
from sqlalchemy import text

from backend.app.audit_record import SYSTEM
from backend.app.config import VaultSettings
from backend.app.container import Container
from backend.app.enums import Environment
from backend.app.exchanges.registry import profile, resolve
from backend.app.schemas.credential_schemas import Credential, CredentialCreate
from backend.app.services.audit_service import AuditService
from backend.app.services.credential_vault import CredentialVault
from backend.app.services.key_check import unlock_beside
from backend.app.services.key_sources import build_key_ring
from backend.app.services.transfer_export import TransferExport
from backend.app.services.transfer_file import TransferHeader
from backend.app.services.transfer_import import TransferImport
from backend.app.services.transfer_plan import Planned, planned, read_export
from backend.app.services.transfer_recipient import RecipientKey
from backend.tests.support.commands import strongroom
from backend.tests.support.databases import copy_of
from backend.tests.support.fake_connector import FakeConnector
from backend.tests.support.people import Person, person
from backend.tests.support.settings import settings_for_tests
from backend.tests.support.vault_keys import new_key

STRONGROOM = Path(sys.executable).with_name("strongroom")


class Ended(NamedTuple):
    """How a command ended, and what it said."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Installation:
    """A running house, and the command line beside it."""

    services: Container
    connector: FakeConnector
    home: Path
    variables: dict[str, str]

    async def begin(self, *words: str | Path) -> asyncio.subprocess.Process:
        """Begin a command with this installation's configuration."""
        return await asyncio.create_subprocess_exec(
            STRONGROOM,
            *map(str, words),
            cwd=self.home,
            env={"PATH": os.environ["PATH"], **self.variables},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *words: str | Path) -> Ended:
        """Run a command to its end."""
        environment = {"PATH": os.environ["PATH"], **self.variables}
        said = tuple(map(str, words))
        ended = await asyncio.to_thread(strongroom, *said, cwd=self.home, env=environment)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    async def recipient_key(self) -> RecipientKey:
        """Return what opens exports for this installation."""
        ring = build_key_ring(self.services.settings.vault)
        crypto, installation = await unlock_beside(self.services.database, ring)
        return await crypto.recipient_key(installation)

    async def exporting(self, audit: AuditService | None = None) -> TransferExport:
        """Return what exports from here, on this trail."""
        house = self.services
        vault = CredentialVault(house.database, house._crypto, audit or house.audit, house.clock)
        sender = (await self.recipient_key()).recipient.fingerprint
        return TransferExport(house.database, vault, sender, house.clock)

    async def exported(self, to: "Installation", *usernames: str) -> bytes:
        """Return the file of these users' credentials, or of everybody's, for another."""
        exporting, lines = await self.exporting(), list[bytes]()
        chosen = await exporting.chosen(usernames, ())
        recipient = (await to.recipient_key()).recipient
        async for _ in exporting.write(chosen, recipient, SYSTEM, lines.append):
            pass
        return b"".join(lines)

    async def plan(self, file: bytes, **names: str) -> tuple[list[Planned], TransferHeader]:
        """Return what an import of a file would do here."""
        read = read_export(io.BytesIO(file), await self.recipient_key())
        mode = self.services.settings.exchange.exchange_mode
        return await planned(self.services.database, read.credentials, names, mode), read.header

    def importing(self) -> TransferImport:
        """Return what imports here."""
        house = self.services
        vault = CredentialVault(house.database, house._crypto, house.audit, house.clock)
        return TransferImport(house.database, vault, house.clock)

    async def imported(self, file: bytes, **names: str) -> list[int]:
        """Import a file, and return how many credentials were stored after each owner."""
        plan, header = await self.plan(file, **names)
        importing = self.importing()
        return [stored async for stored in importing.carry_out(plan, header, SYSTEM)]

    async def somebody(self, username: str) -> Person:
        """Enter a user."""
        return await person(self.services, username)

    async def bind(self, owner: Person, exchange: str, name: str, **other: Any) -> Credential:
        """Bind a key pair whose texts are made from `name`, untried."""
        asked = CredentialCreate(
            exchange_name=exchange,
            api_key=f"{name}-api-key-of-{exchange}",
            api_secret=SecretStr(secret_of(name)),
            passphrase=SecretStr(passphrase_of(name))
            if profile(resolve(exchange)).needs_passphrase
            else None,
            **{"verify": False, **other},
        )
        return await self.services.credentials.create(owner.user_id, asked, owner.caller)

    async def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Return what the database says."""
        async with self.services.database.snapshot() as session:
            found = await session.execute(text(query), values)
            return [dict(row) for row in found.mappings()]

    async def opened(self, username: str) -> dict[str, tuple[str, str | None]]:
        """Return every pair of a user by its API key, as an exchange is shown it."""
        held = await self.rows(
            "SELECT c.id, c.user_id FROM api_credentials c JOIN users u ON u.id = c.user_id"
            " WHERE u.username = :name ORDER BY c.id",
            name=username,
        )
        self.connector.asked.clear()
        for row in held:
            await self.services.credentials.verify(row["user_id"], row["id"], SYSTEM)
        return {api_key: (secret, word) for _, api_key, secret, word in self.connector.asked}


def secret_of(name: str) -> str:
    """Return the secret that belongs to a name."""
    return f"s3cr3t+of/{name}=0123456789"


def passphrase_of(name: str) -> str:
    """Return the passphrase that belongs to a name."""
    return f"pass phrase of {name}"


async def acts(house: Installation) -> list[dict[str, Any]]:
    """Return the events of the audit trail, oldest first."""
    rows = await house.rows("SELECT payload FROM audit_events ORDER BY seq")
    return [json.loads(row["payload"]) for row in rows]


async def everything(house: Installation) -> dict[str, Any]:
    """Return all that an import could have touched."""
    tables = ("api_credentials", "deks", "audit_events", "notification_events", "credential_checks")
    return {name: await house.rows(f"SELECT * FROM {name} ORDER BY 1, 2") for name in tables}


@asynccontextmanager
async def running_installation(
    cluster_url: str, template: str, home: Path, mode: Environment = Environment.SANDBOX
) -> AsyncIterator[Installation]:
    """Run an installation with a root key of its own until the block ends."""
    home.mkdir()
    key = new_key(home.name)
    vault = VaultSettings(_env_file=None, encryption_key=SecretStr(key))
    settings = replace(settings_for_tests(exchange_mode=mode), vault=vault)
    async with copy_of(cluster_url, template) as url:
        connector = FakeConnector()
        services = Container(settings, url, connector=connector)
        await services.open()
        variables = {
            "DATABASE_URL": url,
            "ENCRYPTION_KEY": key,
            "EXCHANGE_MODE": mode.value,
            "STRONGROOM_HOME": str(home / "kept"),
            "LOG_LEVEL": "DEBUG",
            "TMPDIR": str(home),
        }
        try:
            yield Installation(services, connector, home, variables)
        finally:
            await services.stop()
