"""What rotations need that nobody asks for: bringing refused ones back, ending old pairs."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from backend.app.audit_record import SYSTEM, Act
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import Environment, NotificationKind
from backend.app.errors import (
    BadRequest,
    CredentialChanged,
    CredentialExists,
    CredentialNotFound,
    CredentialUnreadable,
    ExchangeThrottled,
    ExchangeUnreachable,
)
from backend.app.models.credential_key_version import CredentialKeyVersion
from backend.app.repositories.audit_repository import AuditRepository
from backend.app.repositories.credential_repository import CredentialRepository
from backend.app.repositories.key_version_repository import KeyVersionRepository
from backend.app.services.credential_audit import written
from backend.app.services.credential_history import tell_owner
from backend.app.services.key_switch import KeySwitch, take
from backend.app.services.passport_changes import Change

EXPIRED_PER_TICK_MAX: Final = 100
ROLL_BACKS_PER_TICK_MAX: Final = 20
ROLL_BACKS_APART: Final = timedelta(minutes=5)


class RotationUpkeepService:
    """Does what is due; what is due stands in the database, whoever's verdict put it there."""

    def __init__(
        self, database: Database, switch: KeySwitch, environment: Environment, now: Clock
    ) -> None:
        self._database = database
        self._switch = switch
        self._environment = environment
        self._now = now

    async def roll_back_due(self) -> None:
        """Put previous pairs back whose successor was refused soon after the switch.

        A refusal counts only if it says that the key itself is wrong: that is what the count of
        invalid verdicts in the credential's row rests on.
        """
        async with self._database.transaction() as session:
            due = await KeyVersionRepository(session).claim_due(
                self._environment, self._now(), ROLL_BACKS_APART, ROLL_BACKS_PER_TICK_MAX
            )
        for previous in due:
            await self._roll_back(previous)

    async def expire_due(self) -> None:
        """Destroy pairs whose time is over."""
        async with self._database.snapshot() as session:
            due = await KeyVersionRepository(session).expired(self._now(), EXPIRED_PER_TICK_MAX)
        for version in due:
            try:
                await self._expire(version)
            except (CredentialNotFound, CredentialChanged):
                # Somebody was faster, or the next round will do.
                continue

    async def _roll_back(self, previous: CredentialKeyVersion) -> None:
        try:
            async with self._database.snapshot() as session:
                seen = await CredentialRepository(session).get(
                    previous.user_id, previous.credential_id
                )
            if seen.rev == previous.replaced_by_rev and seen.invalid_counted_at is not None:
                await self._switch.put_back(
                    seen, previous, NotificationKind.KEY_ROLLED_BACK, SYSTEM
                )
        except (CredentialChanged, CredentialNotFound):
            return  # A person was faster.
        except (ExchangeUnreachable, ExchangeThrottled):
            return  # Tried again, after ROLL_BACKS_APART.
        except (BadRequest, CredentialExists, CredentialUnreadable):
            async with self._database.transaction() as session:
                await KeyVersionRepository(session).disarm(previous)

    async def _expire(self, version: CredentialKeyVersion) -> None:
        at = self._now()
        async with self._database.transaction() as session:
            credentials = CredentialRepository(session)
            held = await credentials.hold(
                await credentials.get(version.user_id, version.credential_id)
            )
            await take(session, version, at)
            change = Change(NotificationKind.KEY_VERSION_EXPIRED, {"state": version.state})
            await tell_owner(session, held, [change], at)
            record = written(Act.ROTATION_EXPIRED, held, SYSTEM, at)
            await AuditRepository(session).append([replace(record, field=version.state)])
