"""How a merchant stands: what the rows say, as it is shown."""

from decimal import Decimal
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.enums import MerchantState
from backend.app.masking import mask_api_key
from backend.app.models.ledger import LedgerAccount
from backend.app.repositories.ledger_repository import LedgerRepository
from backend.app.repositories.merchant_repository import MerchantOnBook, MerchantRepository
from backend.app.schemas.merchant_schemas import MerchantShown, MerchantStanding
from backend.app.services.ledger.entries import shown as entry_shown

RECENT_MOVEMENTS_MAX: Final = 10


async def own_standing(session: AsyncSession, user_id: int) -> MerchantStanding | None:
    """Return how one stands as a merchant, with the latest movements; None if one is none."""
    found = await MerchantRepository(session).find(user_id)
    if found is None:
        return None
    merchant, account = found.merchant, found.account
    entries = (
        []
        if account is None
        else await LedgerRepository(session).latest_entries(account.id, RECENT_MOVEMENTS_MAX)
    )
    return MerchantStanding(
        state=MerchantState(merchant.state),
        requested_credit=merchant.requested_credit,
        bank_account=mask_api_key(merchant.bank_account),
        account_id=merchant.account_id,
        approved_at=merchant.approved_at,
        recent_movements=[entry_shown(entry) for entry in entries],
        **_credit(account),
    )


def merchant_shown(found: MerchantOnBook) -> MerchantShown:
    """Return a merchant as an administrator sees him."""
    merchant = found.merchant
    return MerchantShown(
        merchant_id=merchant.user_id,
        username=found.username,
        state=MerchantState(merchant.state),
        requested_credit=merchant.requested_credit,
        bank_account=mask_api_key(merchant.bank_account),
        account_id=merchant.account_id,
        pool=found.pool,
        created_at=merchant.created_at,
        approved_at=merchant.approved_at,
        **_credit(found.account),
    )


def _credit(account: LedgerAccount | None) -> dict[str, Decimal | None]:
    if account is None or account.credit_limit is None:
        return dict.fromkeys(("credit_limit", "utilised", "available"))
    return {
        "credit_limit": account.credit_limit,
        "utilised": account.balance,
        "available": account.credit_limit - account.balance,
    }
