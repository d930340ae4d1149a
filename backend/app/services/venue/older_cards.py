"""The older card API's words for what the card service answers."""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from backend.app.schemas.card_schemas import (
    CardOrderCreate,
    CardOrderShown,
    CardOrderStatus,
    CardShown,
    CardSide,
    CardTradeShown,
)
from backend.app.schemas.older_card_schemas import (
    Many,
    Meta,
    OlderItem,
    OlderOrder,
    OlderOrderCreate,
    OlderTransaction,
    Pagination,
)

_SIDES: Final[Mapping[int, CardSide]] = {1: CardSide.BUY, 2: CardSide.SELL}
_TYPES: Final = {side: number for number, side in _SIDES.items()}
_STATUSES: Final[Mapping[CardOrderStatus, int]] = {
    CardOrderStatus.OPEN: 1,
    CardOrderStatus.FILLED: 2,
    CardOrderStatus.CANCELLED: 3,
}

_Thing = TypeVar("_Thing")


def paged(things: Sequence[_Thing], page: int, per_page: int) -> Many[_Thing]:
    """Return one page of a short list."""
    begin = (page - 1) * per_page
    pagination = Pagination(
        page=page,
        per_page=per_page,
        total_count=len(things),
        total_page=-(-len(things) // per_page),
    )
    return Many(meta=Meta(pagination=pagination), data=list(things[begin : begin + per_page]))


def as_asked(asked: OlderOrderCreate) -> CardOrderCreate:
    """Return an order of the older API as the card service takes it."""
    # Its fields were checked where it came in, in their older form.
    return CardOrderCreate.model_construct(
        card_id=asked.item_id,
        side=_SIDES[asked.order_type],
        price=asked.price,
        client_order_id=None,
    )


def older_item(card: CardShown) -> OlderItem:
    """Return a card as the older API shows it."""
    return OlderItem(id=card.id, name=card.name)


def older_order(order: CardOrderShown) -> OlderOrder:
    """Return an order as the older API shows it."""
    return OlderOrder(
        id=order.id,
        item_id=order.card_id,
        order_type=_TYPES[order.side],
        price=order.price,
        status=_STATUSES[order.status],
        created_at=order.created_at,
    )


def older_transaction(trade: CardTradeShown) -> OlderTransaction:
    """Return a trade as the older API shows it."""
    return OlderTransaction(
        id=trade.id, item_id=trade.card_id, price=trade.price, created_at=trade.traded_at
    )
