"""What is in a file, and what an import would do with each credential of it. Nothing is written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

from backend.app.database import Database
from backend.app.enums import Environment
from backend.app.errors import (
    ConfigurationError,
    TooManyCredentials,
    TransferRefused,
)
from backend.app.exchanges.registry import SUPPORTED
from backend.app.repositories.transfer_repository import HeldKey, TransferRepository
from backend.app.schemas.transfer_schemas import Transferred
from backend.app.services.key_policy import require_room
from backend.app.services.transfer_export import refuse_unknown
from backend.app.services.transfer_file import TransferHeader, TransferReader
from backend.app.services.transfer_recipient import RecipientKey
from backend.app.services.transfer_record import read_record


@dataclass(frozen=True, slots=True)
class Export:
    """A file that was read and proved to its end."""

    header: TransferHeader
    sha256: str
    credentials: Sequence[Transferred]


class Fate(StrEnum):
    """What becomes of a credential of the file."""

    NEW = "new"
    HELD = "held"
    OTHER_ENVIRONMENT = "other environment"


@dataclass(frozen=True, slots=True)
class Planned:
    """A credential of the file, whose it becomes, and whether it does."""

    owner_id: int
    owner: str
    credential: Transferred
    fate: Fate


def read_export(file: BinaryIO, key: RecipientKey) -> Export:
    """Read a whole file.

    Raises:
        TransferRefused: it is not for us, or not as it was written.
    """
    reader = TransferReader(file, key)
    read = [read_record(record, number) for number, record in enumerate(reader.records(), start=1)]
    return Export(reader.header, reader.sha256, read)


async def planned(
    database: Database,
    credentials: Sequence[Transferred],
    names: Mapping[str, str],
    environment: Environment,
) -> list[Planned]:
    """Decide on every credential; `names` says who is called otherwise here than in the file.

    Raises:
        ConfigurationError: `names` speaks of somebody who is not in the file.
        UserNotFound: nobody here has one of the names.
        TransferRefused: a credential is of an exchange this release does not know.
        TooManyCredentials: somebody would hold more than one user may.
    """
    _refuse_unknown_exchanges(credentials)
    owners = _renamed(credentials, names)
    async with database.snapshot() as session:
        transfers = TransferRepository(session)
        known = await transfers.users(owners.values())
        refuse_unknown(owners.values(), known)
        held = set(await transfers.bound([user_id for user_id, _ in known.values()]))
    counts = Counter(key.owner_id for key in held)
    plan = []
    for credential in credentials:
        owner_id, owner = known[owners[credential.username.lower()].lower()]
        key = HeldKey(owner_id, credential.exchange_name, credential.api_key)
        fate = _fate(credential, key, held, environment)
        plan.append(Planned(owner_id, owner, credential, fate))
        if fate is Fate.NEW:
            held.add(key)
    _refuse_full(plan, counts)
    return plan


def _fate(
    credential: Transferred, key: HeldKey, held: set[HeldKey], environment: Environment
) -> Fate:
    if credential.environment is not environment:
        return Fate.OTHER_ENVIRONMENT
    return Fate.HELD if key in held else Fate.NEW


def _renamed(credentials: Sequence[Transferred], names: Mapping[str, str]) -> dict[str, str]:
    """Return who each user of the file, in lower case, is here."""
    renamed = {old.lower(): new for old, new in names.items()}
    owners = {each.username.lower(): each.username for each in credentials}
    strangers = sorted(renamed.keys() - owners.keys())
    if strangers:
        raise ConfigurationError(f"Nobody in the file is called {', '.join(strangers)}.")
    return owners | renamed


def _refuse_unknown_exchanges(credentials: Sequence[Transferred]) -> None:
    unknown = [
        number
        for number, each in enumerate(credentials, start=1)
        if each.exchange_name not in SUPPORTED
    ]
    if unknown:
        raise TransferRefused(
            f"Record {unknown[0]} of the file is of an exchange this release does not know."
        )


def _refuse_full(plan: Sequence[Planned], counts: Mapping[int, int]) -> None:
    new = Counter((each.owner_id, each.owner) for each in plan if each.fate is Fate.NEW)
    for (owner_id, owner), more in new.items():
        held = counts.get(owner_id, 0)
        try:
            require_room(held, more)
        except TooManyCredentials as refusal:
            raise TooManyCredentials(
                f"{owner} holds {held} and would get {more}. {refusal.detail}"
            ) from None
