"""Adding up what several accounts hold: exactly, and every account once."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from backend.app.enums import Known
from backend.app.models.api_credential import ApiCredential
from backend.app.money import plain
from backend.app.schemas.account_schemas import PortfolioPart
from backend.app.schemas.exchange_schemas import AssetBalance
from backend.app.services.credential_rows import stored_passport

Account = tuple[str, str, Known]


def account_of(credential: ApiCredential) -> Account | None:
    """Return which account a key belongs to, where its exchange told whose it is."""
    passport = stored_passport(credential.passport)
    if passport is None or passport.owner_uid is None:
        return None
    return credential.exchange_name, passport.owner_uid, passport.is_sub_account


def counted_once(
    parts: Iterable[tuple[ApiCredential, PortfolioPart]],
) -> list[PortfolioPart]:
    """Return the parts, with each further key of one account pointing to the first."""
    first: dict[Account, int] = {}
    marked = []
    for credential, part in parts:
        account = account_of(credential)
        holder = part.credential_id if account is None else first.setdefault(account, credential.id)
        same = holder if holder != part.credential_id else None
        marked.append(part.model_copy(update={"same_account_as": same}))
    return marked


def totals(parts: Sequence[PortfolioPart]) -> list[AssetBalance]:
    """Return what the parts hold together, by asset."""
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    counted = (part for part in parts if part.same_account_as is None)
    for balance in (balance for part in counted for balance in part.balances):
        available, locked = sums.get(balance.asset, (Decimal(0), Decimal(0)))
        sums[balance.asset] = (
            available + Decimal(balance.available),
            locked + Decimal(balance.locked),
        )
    return [_sum(asset, *sums[asset]) for asset in sorted(sums)]


def _sum(asset: str, available: Decimal, locked: Decimal) -> AssetBalance:
    return AssetBalance(
        asset=asset,
        available=plain(available),
        locked=plain(locked),
        total=plain(available + locked),
    )
