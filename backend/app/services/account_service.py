"""What lies behind stored keys: one account's balances and open orders, and all accounts together.

Every opening of a secret is recorded first. Nothing an exchange says here changes a stored key.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from backend.app.audit_record import Caller
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import Environment
from backend.app.errors import (
    CredentialChanged,
    CredentialRefused,
    CredentialUnreadable,
    ExchangeThrottled,
    ExchangeUnreachable,
)
from backend.app.exchanges.reasons import Reason
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.models.api_credential import ApiCredential
from backend.app.repositories.credential_repository import CredentialRepository
from backend.app.schemas.account_schemas import (
    AccountBalances,
    AccountOpenOrders,
    Portfolio,
    PortfolioGap,
    PortfolioPart,
)
from backend.app.services.credential_vault import CredentialVault
from backend.app.services.exchange_service import ExchangeService
from backend.app.services.key_policy import require_environment
from backend.app.services.portfolio import counted_once, totals

ASKED_AT_ONCE_MAX: Final = 8
PORTFOLIO_SECONDS_MAX: Final = 20.0
_TOO_LATE: Final = "No answer came in time. What the others hold is here; ask again for the rest."
_CHANGED: Final = "The key was replaced or removed while this was being asked. Ask again."
_UNREADABLE: Final = "The stored secret does not open. Bind this key again."

_Answer = PortfolioPart | PortfolioGap


class AccountService:
    """Shows a user what the accounts behind the stored keys hold and have open."""

    def __init__(
        self,
        *,
        database: Database,
        vault: CredentialVault,
        exchanges: ExchangeService,
        environment: Environment,
        now: Clock,
        portfolio_seconds_max: float = PORTFOLIO_SECONDS_MAX,
    ) -> None:
        self._database = database
        self._vault = vault
        self._exchanges = exchanges
        self._environment = environment
        self._now = now
        self._portfolio_seconds_max = portfolio_seconds_max

    async def balances(self, owner_id: int, credential_id: int, caller: Caller) -> AccountBalances:
        """Return what the account behind a key holds now.

        Raises:
            CredentialNotFound: absent, or another user's.
            CredentialOfOtherEnvironment: its exchange is not the one reached from here.
            CredentialChanged: replaced or deleted meanwhile.
            CredentialUnreadable: its secret does not open.
            CredentialRefused: the exchange refused the key.
            ExchangeUnreachable, ExchangeThrottled: no verdict.
            AuditUnavailable: the use could not be recorded; nothing was opened.
        """
        seen, keys = await self._opened(owner_id, credential_id, "balances", caller)
        balances = await self._exchanges.get_account_balance(seen.exchange_name, keys)
        return AccountBalances(**self._about(seen), balances=balances)

    async def open_orders(
        self, owner_id: int, credential_id: int, caller: Caller
    ) -> AccountOpenOrders:
        """Return which orders of the account behind a key rest in a book now.

        Raises:
            CredentialNotFound: absent, or another user's.
            CredentialOfOtherEnvironment: its exchange is not the one reached from here.
            CredentialChanged: replaced or deleted meanwhile.
            CredentialUnreadable: its secret does not open.
            CredentialRefused: the exchange refused the key.
            ExchangeUnreachable, ExchangeThrottled: no verdict.
            AuditUnavailable: the use could not be recorded; nothing was opened.
        """
        seen, keys = await self._opened(owner_id, credential_id, "open_orders", caller)
        orders, is_complete = await self._exchanges.get_open_orders(seen.exchange_name, keys)
        return AccountOpenOrders(**self._about(seen), orders=orders, is_complete=is_complete)

    async def portfolio(self, owner_id: int, caller: Caller) -> Portfolio:
        """Return what all active keys of this environment hold, and name what is missing.

        All are asked at once, a bounded number at a time, until one common deadline.

        Raises:
            AuditUnavailable: a use could not be recorded; that secret stayed closed.
            VaultSealed, VaultUnavailable: no secret can be opened at all.
        """
        async with self._database.snapshot() as session:
            stored = await CredentialRepository(session).list(owner_id)
        ours = [c for c in stored if c.is_active and c.environment == self._environment]
        answers = await self._ask_all(ours, caller)
        told = [(c, a) for c, a in zip(ours, answers, strict=True) if isinstance(a, PortfolioPart)]
        parts = counted_once(told)
        return Portfolio(
            environment=self._environment,
            as_of=self._now(),
            totals=totals(parts),
            parts=parts,
            missing=[answer for answer in answers if isinstance(answer, PortfolioGap)],
        )

    async def _opened(
        self, owner_id: int, credential_id: int, purpose: str, caller: Caller
    ) -> tuple[ApiCredential, ExchangeKeys]:
        async with self._database.snapshot() as session:
            seen = await CredentialRepository(session).get(owner_id, credential_id)
        require_environment(seen.environment, self._environment)
        return seen, await self._vault.open(seen, purpose, caller)

    def _about(self, seen: ApiCredential) -> dict[str, Any]:
        return {
            "credential_id": seen.id,
            "exchange_name": seen.exchange_name,
            "environment": self._environment,
            "as_of": self._now(),
        }

    async def _ask_all(self, asked: Sequence[ApiCredential], caller: Caller) -> list[_Answer]:
        """Ask for all parts; return one answer for each, in order."""
        places = asyncio.Semaphore(ASKED_AT_ONCE_MAX)
        tasks = [asyncio.create_task(self._part(seen, caller, places)) for seen in asked]
        try:
            if tasks:
                await asyncio.wait(
                    tasks,
                    timeout=self._portfolio_seconds_max,
                    return_when=asyncio.FIRST_EXCEPTION,
                )
            # What failed here is ours, not an exchange's: then there is no portfolio.
            return [
                task.result() if task.done() else _gap(seen, Reason.EXCHANGE_UNAVAILABLE, _TOO_LATE)
                for seen, task in zip(asked, tasks, strict=True)
            ]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _part(
        self, seen: ApiCredential, caller: Caller, places: asyncio.Semaphore
    ) -> _Answer:
        async with places:
            try:
                keys = await self._vault.open(seen, "portfolio", caller)
                balances = await self._exchanges.get_account_balance(seen.exchange_name, keys)
            except (CredentialRefused, ExchangeUnreachable, ExchangeThrottled) as refused:
                return _gap(seen, refused.facts["reason"], refused.facts["advice"])
            except CredentialChanged:
                return _gap(seen, CredentialChanged.slug, _CHANGED)
            except CredentialUnreadable:
                return _gap(seen, CredentialUnreadable.slug, _UNREADABLE)
        return PortfolioPart(
            credential_id=seen.id,
            exchange_name=seen.exchange_name,
            label=seen.label,
            as_of=self._now(),
            balances=balances,
            same_account_as=None,
        )


def _gap(seen: ApiCredential, reason: Reason | str, advice: str) -> PortfolioGap:
    return PortfolioGap(
        credential_id=seen.id,
        exchange_name=seen.exchange_name,
        label=seen.label,
        reason=reason,
        advice=advice,
    )
