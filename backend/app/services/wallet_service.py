"""Wallets of the venue: what an account has, how it came to that, and test funds."""

from decimal import Decimal
from hashlib import sha256
from typing import Final

from backend.app.database import Database
from backend.app.enums import Environment
from backend.app.errors import (
    FundsTransferRefused,
    IdempotencyKeyMissing,
    NoTestFunds,
    StrongroomError,
    TransferReferenceTaken,
)
from backend.app.money import plain
from backend.app.repositories.wallet_repository import DatedHolding, WalletLine, WalletRepository
from backend.app.schemas.wallet_schemas import (
    Pocket,
    TransferKind,
    TransferRequest,
    TransferShown,
    Wallet,
    WalletMovement,
    WalletMovementPage,
)
from backend.app.services.idempotency.keyed import reused
from backend.app.services.venue.amounts import in_full, in_short, whole_units
from backend.app.services.venue.desk import VenueDesk
from backend.app.services.venue.places import cursor_of, place_of
from backend.app.services.venue.spot_markets import ShardMarkets
from backend.app.venue.batch import Done
from backend.app.venue.commands import MoveFunds
from backend.app.venue.instruments import ATOMS_PER_UNIT

TRANSFER_AMOUNT_MAX: Final = Decimal(1_000_000_000)


class WalletService:
    """What an account may do with its money, and see of it."""

    def __init__(
        self, database: Database, markets: ShardMarkets, desk: VenueDesk, environment: Environment
    ) -> None:
        self._database = database
        self._markets = markets
        self._desk = desk
        self._environment = environment

    async def list_wallets(self, account_id: int) -> list[Wallet]:
        """Return what the account has of each asset it ever had."""
        async with self._database.snapshot() as session:
            found = await WalletRepository(session).dated_holdings(account_id)
        return [_wallet(each) for each in found]

    async def deposit(
        self, account_id: int, asked: TransferRequest, key: str | None
    ) -> TransferShown:
        """Put test funds in; the same key does so once.

        Raises:
            as `withdraw`, but that there is no end of test funds.
        """
        return await self._move(account_id, asked, key, TransferKind.DEPOSIT)

    async def withdraw(
        self, account_id: int, asked: TransferRequest, key: str | None
    ) -> TransferShown:
        """Take test funds out; the same key does so once.

        Raises:
            IdempotencyKeyMissing: without a key nobody could ask again safely.
            NoTestFunds: this is no rehearsal.
            FundsTransferRefused: it breaks the rule that the facts name.
            InsufficientFunds: not so much is available.
            IdempotencyKeyReused: the key came with another transfer before.
            EngineElsewhere, VenueBusy: nothing was moved.
            OrderOutcomeUnknown: it may have been moved, or not; the key will tell.
        """
        return await self._move(account_id, asked, key, TransferKind.WITHDRAWAL)

    async def movements(
        self, account_id: int, asset: str | None, limit: int, cursor: str | None
    ) -> WalletMovementPage:
        """Return what happened to the account's wallets, the newest first.

        Raises:
            BadRequest: the cursor is none of ours.
        """
        async with self._database.snapshot() as session:
            found = await WalletRepository(session).lines(
                account_id, asset=asset, before=place_of(cursor), rows_max=limit + 1
            )
        last = found[limit - 1] if len(found) > limit else None
        return WalletMovementPage(
            items=[_movement(each) for each in found[:limit]],
            next_cursor=cursor_of(last.movement_id, last.pocket_id) if last else None,
        )

    async def _move(
        self, account_id: int, asked: TransferRequest, key: str | None, kind: TransferKind
    ) -> TransferShown:
        if key is None:
            raise IdempotencyKeyMissing("Send a header Idempotency-Key, a new one per transfer.")
        if self._environment is not Environment.SANDBOX:
            raise NoTestFunds
        atoms = await self._atoms(asked)
        signed = atoms if kind is TransferKind.DEPOSIT else -atoms
        move = MoveFunds(account_id, asked.asset, signed, _reference(key))
        [answer] = await self._desk.carry_out((move,))
        if isinstance(answer, TransferReferenceTaken):
            raise reused()
        if isinstance(answer, StrongroomError):
            raise answer
        assert isinstance(answer, Done)  # noqa: S101 - only a new order is answered otherwise
        return TransferShown(
            id=answer.number,
            kind=kind,
            asset=asked.asset,
            amount=in_short(atoms, ATOMS_PER_UNIT),
        )

    async def _atoms(self, asked: TransferRequest) -> int:
        if asked.asset not in (await self._markets.all()).assets:
            raise FundsTransferRefused(
                "No market here trades this asset.", facts={"rule": "unknown_asset"}
            )
        if asked.amount > TRANSFER_AMOUNT_MAX:
            most = plain(TRANSFER_AMOUNT_MAX)
            facts = {"rule": "amount_range", "amount_max": most}
            raise FundsTransferRefused(f"A transfer is at most {most}.", facts=facts)
        atoms = whole_units(asked.amount, ATOMS_PER_UNIT)
        if atoms is None:
            step = in_full(1, ATOMS_PER_UNIT)
            facts = {"rule": "amount_step", "step_size": step}
            raise FundsTransferRefused(f"Amounts are multiples of {step}.", facts=facts)
        return atoms


def _reference(key: str) -> str:
    # A key may be longer than a reference: its digest is as long as one.
    return sha256(key.encode()).hexdigest()


def _wallet(holding: DatedHolding) -> Wallet:
    return Wallet(
        asset=holding.asset,
        available=plain(holding.available),
        locked=plain(holding.locked),
        total=plain(holding.available + holding.locked),
        updated_at=holding.updated_at,
    )


def _movement(line: WalletLine) -> WalletMovement:
    return WalletMovement(
        movement_id=line.movement_id,
        kind=line.kind,
        asset=line.asset,
        pocket=Pocket(line.pocket),
        amount=plain(line.amount),
        at=line.at,
    )
