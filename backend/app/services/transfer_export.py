"""Credentials on their way out, to one recipient and in no other form.

Whoever exports is recorded with the recipient before anything is opened, and each credential is
recorded before it is opened, as every use of one is. What is opened goes under the file's seal in
the same expression. A pair that waits in a rotation, or is kept from one, stays.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from backend.app.audit_record import Act, AuditObject, AuditRecord, Caller, Outcome
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.errors import (
    CredentialChanged,
    CredentialNotFound,
    CredentialUnreadable,
    TransferRefused,
    UserNotFound,
)
from backend.app.exchanges.registry import resolve
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.credential_repository import CredentialRepository
from backend.app.repositories.transfer_repository import Held, TransferRepository
from backend.app.services.credential_vault import CredentialVault
from backend.app.services.transfer_file import RECORDS_MAX, TransferHeader, TransferSealer
from backend.app.services.transfer_recipient import Recipient
from backend.app.services.transfer_record import written_record

# So many uses are recorded in one commit, and so many questions at once go to a key service.
_AT_ONCE: Final = 16
_NAMES_TOLD_MAX: Final = 20
Write = Callable[[bytes], object]


@dataclass(slots=True)
class Exported:
    """How many credentials went into the file, and which did not although they were chosen."""

    count: int = 0
    left_out: list[tuple[Held, str]] = field(default_factory=list)


class TransferExport:
    """Writes chosen credentials for one recipient."""

    def __init__(self, database: Database, vault: CredentialVault, sender: str, now: Clock) -> None:
        self._database = database
        self._vault = vault
        self._sender = sender
        self._now = now

    async def chosen(
        self, usernames: Collection[str], exchanges: Collection[str]
    ) -> Sequence[Held]:
        """Return what is to be exported, of these users and exchanges; of all where none is named.

        Raises:
            UserNotFound: nobody has one of these names.
            ExchangeUnknown: one of the exchanges is none of ours.
            TransferRefused: there is nothing to export, or more than one file takes.
        """
        canonical = {resolve(exchange) for exchange in exchanges}
        async with self._database.snapshot() as session:
            transfers = TransferRepository(session)
            known = await transfers.users(usernames)
            refuse_unknown(usernames, known)
            owners = [user_id for user_id, _ in known.values()]
            held = await transfers.held(owners, canonical, RECORDS_MAX + 1)
        if not held:
            raise TransferRefused("There is no credential to export.")
        if len(held) > RECORDS_MAX:
            raise TransferRefused(f"One file takes {RECORDS_MAX} credentials. Choose with --user.")
        return held

    async def write(
        self, chosen: Sequence[Held], recipient: Recipient, caller: Caller, write: Write
    ) -> AsyncGenerator[Exported, None]:
        """Hand the lines of the file to `write`, telling how far it is after every few credentials.

        The file is whole, and may be given away, when this has ended.

        Raises:
            AuditUnavailable: a use could not be recorded; nothing was opened for it.
            VaultUnavailable: the root key's provider is away, slow or refuses.
        """
        await self._record(recipient, caller, Outcome.ALLOWED, len(chosen))
        header = TransferHeader(self._now(), self._sender, recipient.fingerprint)
        sealer, done, some = TransferSealer(header, recipient), Exported(), iter(chosen)
        write(sealer.beginning())
        while several := list(islice(some, _AT_ONCE)):
            opened = await asyncio.gather(*(self._plaintext(held, caller) for held in several))
            for held, record in zip(several, opened, strict=True):
                if isinstance(record, str):
                    done.left_out.append((held, record))
                else:
                    write(sealer.sealed(record))
                    done.count += 1
            yield done
        write(sealer.end())
        await self._record(recipient, caller, Outcome.DONE, done.count)

    async def _plaintext(self, held: Held, caller: Caller) -> bytes | str:
        """Return a record, or why there is none."""
        try:
            async with self._database.snapshot() as session:
                seen = await CredentialRepository(session).get(held.owner_id, held.credential_id)
            keys = await self._vault.open(seen, "export", caller)
        except (CredentialNotFound, CredentialChanged):
            return "was changed or removed meanwhile"
        except CredentialUnreadable:
            return "does not open"
        return written_record(held.username, seen, keys)

    async def _record(
        self, recipient: Recipient, caller: Caller, outcome: Outcome, count: int
    ) -> None:
        record = AuditRecord(
            act=Act.VAULT_EXPORTED,
            outcome=outcome,
            caller=caller,
            at=self._now(),
            object=AuditObject("installation", recipient.fingerprint),
            n=count,
        )
        async with self._database.transaction() as session:
            await AuditRepository(session).append([record])


def refuse_unknown(names: Collection[str], known: Collection[str]) -> None:
    """Refuse names that nobody has, and say which.

    Raises:
        UserNotFound: there are some.
    """
    missing = sorted({name for name in names if name.lower() not in known})
    if missing:
        more = ", ..." if len(missing) > _NAMES_TOLD_MAX else ""
        raise UserNotFound(f"Nobody here is called {', '.join(missing[:_NAMES_TOLD_MAX])}{more}.")
