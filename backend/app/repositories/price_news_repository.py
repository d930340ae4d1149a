"""SQL that holds prices against everybody's alerts, some at a time. Nothing commits.

A price is news until every alert that it fires has fired; then the next one comes. The work is
found by ranges of two indexes, whatever the number of alerts, and done by one process at a time.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    String,
    and_,
    case,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    union,
    update,
    values,
)
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.enums import AlertCondition
from backend.app.models.columns import AMOUNT
from backend.app.models.price_alert import PriceAlert, PriceNews
from backend.app.models.user import User

# Of one symbol. More wait only while no API runs; what comes then is held against alerts later.
NEWS_WAITING_MAX: Final = 1_000
# "alrt" in ASCII.
_ONE_AT_A_TIME: Final = 0x616C7274
_AMOUNT_MAX: Final = Decimal(10) ** 20 - 1


class ChangedPrice(NamedTuple):
    """A price that was believed, and of when it is."""

    symbol: str
    price: Decimal
    at: datetime


class PriceNewsRepository:
    """Prices that alerts have not heard yet."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, changed: Sequence[ChangedPrice]) -> None:
        """Write down prices for the alerts of their symbols; who has none, costs nothing.

        Called in the transaction that wrote the prices: their rows put the numbers in order.
        """
        if not changed:
            return
        told = values(
            column("symbol", String),
            column("price", AMOUNT),
            column("at", PriceNews.at.type),
            name="told",
        ).data([tuple(each) for each in sorted(changed)])
        somebody_waits = exists().where(PriceAlert.symbol == told.c.symbol, PriceAlert.is_active)
        waiting = select(func.count()).where(PriceNews.symbol == told.c.symbol).scalar_subquery()
        await self._session.execute(
            insert(PriceNews).from_select(
                ["symbol", "price", "at"],
                select(told.c.symbol, told.c.price, told.c.at).where(
                    somebody_waits, waiting < NEWS_WAITING_MAX
                ),
            )
        )

    async def take_turn(self) -> bool:
        """Return whether it is ours to hold prices against alerts until the block ends."""
        return bool(
            await self._session.scalar(select(func.pg_try_advisory_xact_lock(_ONE_AT_A_TIME)))
        )

    async def oldest(self) -> PriceNews | None:
        """Return the price that comes next."""
        found: PriceNews | None = await self._session.scalar(
            select(PriceNews).order_by(PriceNews.number).limit(1)
        )
        return found

    async def fire(self, news: PriceNews, rows_max: int) -> Sequence[PriceAlert]:
        """Let some alerts fire that this price makes fire; return them as they were before.

        Whoever is being changed or deleted just now is left for the next time.
        """
        due = await self._free(_fires(news), rows_max)
        found = await self._session.scalars(
            select(PriceAlert)
            .where(PriceAlert.id.in_(due), _is_due(news))
            .order_by(PriceAlert.user_id, PriceAlert.id)
            .with_for_update(key_share=True)
            .execution_options(populate_existing=True)
        )
        alerts = found.all()
        await self._session.execute(
            update(PriceAlert)
            .where(PriceAlert.id.in_([alert.id for alert in alerts]))
            .values(_fired(news))
            .execution_options(synchronize_session=False)
        )
        return alerts

    async def arm_again(self, news: PriceNews, rows_max: int) -> int:
        """Arm some alerts again that this price is on the other side of; return how many."""
        free = await self._free(_arms_again(news), rows_max)
        armed = await self._session.execute(
            update(PriceAlert)
            .where(PriceAlert.id.in_(free), PriceAlert.is_active)
            .values(is_armed=True, heard_until=news.number)
            .returning(PriceAlert.id)
            .execution_options(synchronize_session=False)
        )
        return len(armed.all())

    async def is_heard(self, news: PriceNews) -> bool:
        """Return whether no alert is left that this price fires or arms again."""
        left = await self._session.scalar(
            select(
                or_(
                    exists().where(or_(*_fires(news))),
                    exists().where(or_(*_arms_again(news))),
                )
            )
        )
        return not left

    async def remove(self, news: PriceNews) -> None:
        """Let the next price come."""
        await self._session.execute(delete(PriceNews).where(PriceNews.number == news.number))

    async def _free(self, ranges: Sequence[ColumnElement[bool]], rows_max: int) -> Sequence[int]:
        """Return alerts of some ranges that nobody is changing, held together with their users."""
        some = union(*(select(PriceAlert.id).where(each).limit(rows_max) for each in ranges))
        found = await self._session.scalars(
            select(PriceAlert.id)
            .join(User, User.id == PriceAlert.user_id)
            .where(PriceAlert.id.in_(some))
            .limit(rows_max)
            # Users too: whoever is deleted holds that row first, and waits for nobody after.
            .with_for_update(read=True, key_share=True, skip_locked=True, of=(PriceAlert, User))
        )
        return found.all()


def _is_due(news: PriceNews) -> ColumnElement[bool]:
    return and_(
        PriceAlert.is_active,
        PriceAlert.is_armed,
        PriceAlert.symbol == news.symbol,
        PriceAlert.heard_until < news.number,
        or_(PriceAlert.silent_until.is_(None), PriceAlert.silent_until <= news.at),
    )


def _fires(news: PriceNews) -> tuple[ColumnElement[bool], ...]:
    return (
        and_(_is_due(news), PriceAlert.fires_from <= news.price),
        and_(_is_due(news), PriceAlert.fires_to >= news.price),
    )


def _arms_again(news: PriceNews) -> tuple[ColumnElement[bool], ...]:
    rests = and_(
        PriceAlert.is_active,
        PriceAlert.is_armed.is_(False),
        PriceAlert.symbol == news.symbol,
        PriceAlert.heard_until < news.number,
    )
    return (
        and_(rests, PriceAlert.fires_from > news.price),
        and_(rests, PriceAlert.fires_to < news.price),
    )


def _fired(news: PriceNews) -> dict[str, object]:
    price, at = literal(news.price, AMOUNT), literal(news.at, PriceNews.at.type)
    share = PriceAlert.threshold / 100
    # A percent alert that repeats waits for as much again, from here on.
    goes_on = and_(PriceAlert.condition == AlertCondition.PERCENT.value, PriceAlert.repeats)
    fires_to = price * (1 - share)
    return {
        "is_active": PriceAlert.repeats,
        "is_armed": goes_on,
        "heard_until": news.number,
        "triggered_at": at,
        "triggered_price": price,
        "silent_until": at + PriceAlert.pause_minutes * text("interval '1 minute'"),
        "reference_price": case((goes_on, price), else_=PriceAlert.reference_price),
        "fires_from": case(
            (goes_on, func.least(price * (1 + share), _AMOUNT_MAX)), else_=PriceAlert.fires_from
        ),
        "fires_to": case(
            (and_(goes_on, fires_to > 0), fires_to),
            (goes_on, None),
            else_=PriceAlert.fires_to,
        ),
    }
