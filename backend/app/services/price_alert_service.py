"""The use cases of price alerts: make, list, pause, delete. When they fire: `price_alert_watch`."""

from decimal import Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.enums import AlertCondition
from backend.app.errors import PriceAlertAlreadyTrue, PriceUnknown, TooManyPriceAlerts
from backend.app.models.price_alert import PriceAlert
from backend.app.money import plain
from backend.app.repositories.price_alert_repository import PriceAlertRepository
from backend.app.repositories.user_repository import UserRepository
from backend.app.schemas.price_alert_schemas import (
    PriceAlertCreate,
    PriceAlertShown,
    PriceAlertUpdate,
)
from backend.app.services.market.symbol_names import SymbolNames
from backend.app.services.principal import Principal

ALERTS_PER_USER_MAX: Final = 100


class _Bounds(NamedTuple):
    fires_from: Decimal | None
    fires_to: Decimal | None


class PriceAlertService:
    """What people want to be told of prices."""

    def __init__(self, *, database: Database, names: SymbolNames, now: Clock) -> None:
        self._database = database
        self._names = names
        self._now = now

    async def create(self, principal: Principal, asked: PriceAlertCreate) -> PriceAlertShown:
        """Wait for a price, from now on.

        Raises:
            SymbolUnknown: no market of that name is kept here.
            MarketDataUnavailable: none is kept yet.
            PriceUnknown: no price of it was ever told, so nothing says which way it has to go.
            PriceAlertAlreadyTrue: the price is there already.
            TooManyPriceAlerts: there are as many already as one user may have.
        """
        symbol, owner_id = await self._names.resolve(asked.symbol), principal.user_id
        alert = PriceAlert(
            user_id=owner_id,
            symbol=symbol,
            condition=asked.condition.value,
            threshold=asked.threshold,
            repeats=asked.repeats,
            pause_minutes=asked.pause_minutes,
            note=asked.note,
            created_at=self._now(),
        )
        async with self._database.transaction() as session:
            # Whoever makes another alert of this user waits here, so that the count holds.
            await UserRepository(session).lock(owner_id)
            alerts = PriceAlertRepository(session)
            if await alerts.count(owner_id) >= ALERTS_PER_USER_MAX:
                raise TooManyPriceAlerts(
                    f"A user has {ALERTS_PER_USER_MAX} price alerts at the most. Delete one."
                )
            for name, value in (await _armed(session, alert)).items():
                setattr(alert, name, value)
            await alerts.add(alert)
        return PriceAlertShown.model_validate(alert)

    async def list_own(self, principal: Principal) -> list[PriceAlertShown]:
        """Return one's own alerts, the newest first, also those that have fired."""
        async with self._database.snapshot() as session:
            alerts = await PriceAlertRepository(session).list(principal.user_id)
        return [PriceAlertShown.model_validate(alert) for alert in alerts]

    async def get(self, principal: Principal, alert_id: int) -> PriceAlertShown:
        """Return one of one's own alerts.

        Raises:
            PriceAlertNotFound: absent, or another user's.
        """
        async with self._database.snapshot() as session:
            alert = await PriceAlertRepository(session).get(principal.user_id, alert_id)
        return PriceAlertShown.model_validate(alert)

    async def update(
        self, principal: Principal, alert_id: int, asked: PriceAlertUpdate
    ) -> PriceAlertShown:
        """Pause an alert, or let it wait again, from the price of now.

        Raises:
            PriceAlertNotFound: absent, or another user's.
            PriceAlertAlreadyTrue: the price is there already.
        """
        owner_id = principal.user_id
        async with self._database.transaction() as session:
            # The owner first, as whoever deletes somebody does it.
            await UserRepository(session).lock(owner_id)
            alerts = PriceAlertRepository(session)
            alert = await alerts.get(owner_id, alert_id)
            if asked.is_active != alert.is_active:
                changes = await _armed(session, alert) if asked.is_active else _PAUSED
                alert = await alerts.change(owner_id, alert_id, changes)
        return PriceAlertShown.model_validate(alert)

    async def delete(self, principal: Principal, alert_id: int) -> None:
        """Wait for a price no more.

        Raises:
            PriceAlertNotFound: absent, or another user's.
        """
        async with self._database.transaction() as session:
            await UserRepository(session).lock(principal.user_id)
            await PriceAlertRepository(session).delete(principal.user_id, alert_id)


_PAUSED: Final[dict[str, Any]] = {"is_active": False, "is_armed": False}


async def _armed(session: AsyncSession, alert: PriceAlert) -> dict[str, Any]:
    """Return what lets an alert wait from the price of now, which is held until the block ends."""
    alerts = PriceAlertRepository(session)
    latest = await alerts.hold_price(alert.symbol)
    if latest is None:
        raise PriceUnknown("Nobody has told a price of this symbol yet.")
    bounds = _bounds(AlertCondition(alert.condition), alert.threshold, latest.price)
    if _fires_at(latest.price, bounds):
        raise PriceAlertAlreadyTrue(
            "The price is there already, so nothing would tell you when it gets there.",
            facts={"price": plain(latest.price), "as_of": latest.as_of.isoformat()},
        )
    return {
        "reference_price": latest.price,
        "fires_from": bounds.fires_from,
        "fires_to": bounds.fires_to,
        "is_active": True,
        "is_armed": True,
        "heard_until": await alerts.next_number(),
        "silent_until": None,
    }


def _bounds(condition: AlertCondition, threshold: Decimal, price: Decimal) -> _Bounds:
    if condition is AlertCondition.ABOVE:
        return _Bounds(threshold, None)
    if condition is AlertCondition.BELOW:
        return _Bounds(None, threshold)
    share = threshold / 100
    down = price * (1 - share)
    return _Bounds(price * (1 + share), down if down > 0 else None)


def _fires_at(price: Decimal, bounds: _Bounds) -> bool:
    above = bounds.fires_from is not None and price >= bounds.fires_from
    return above or (bounds.fires_to is not None and price <= bounds.fires_to)
