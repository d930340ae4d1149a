"""What an order takes, needs and leaves: the arithmetic beneath the matching, without state."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from backend.app.exchanges.answers.base import OrderRefused
from backend.app.exchanges.market_values import Market, Order, OrderRequest, Side, TimeInForce


@dataclass(frozen=True, slots=True)
class Offer:
    """What one resting order or one house level gives: `order_id` is None for the house."""

    price: Decimal
    amount: Decimal
    order_id: int | None


def require_keepable(asked: OrderRequest, amount: Decimal, plan: Sequence[Offer]) -> bool:
    """Return whether an order's time in force lets it trade as planned and rest.

    Raises:
        OrderRefused: would_trade or not_fillable, where it asked to be refused in that case.
    """
    rule = None
    if asked.time_in_force is TimeInForce.POST_ONLY and plan:
        rule = "would_trade"
    if asked.time_in_force is TimeInForce.FOK and amount > _amount(plan):
        rule = "not_fillable"
    if rule is not None and asked.refuse_forbidden:
        raise OrderRefused(rule)
    return rule is None


def amount_of(asked: OrderRequest, plan: Sequence[Offer]) -> Decimal:
    """Return an order's amount; that of a market buy by its funds is what they buy."""
    return asked.amount or _amount(plan)


def _amount(plan: Sequence[Offer]) -> Decimal:
    return sum((take.amount for take in plan), Decimal(0))


def rank(asked: OrderRequest) -> Decimal:
    """Return the sort key of a resting order: the best price of its side is the smallest."""
    price = asked.price or Decimal(0)
    return -price if asked.side is Side.BUY else price


def resting_offer(order: Order) -> Offer:
    """Return what a resting order still gives."""
    return Offer(order.price or Decimal(0), order.amount - order.filled, order.order_id)


def is_worse(asked: OrderRequest, price: Decimal) -> bool:
    """Return whether a price is beyond the order's limit."""
    limit = asked.price or Decimal(0)
    return price > limit if asked.side is Side.BUY else price < limit


def as_much(
    market: Market, offer: Offer, wanted: Decimal | None, budget: Decimal | None
) -> Decimal:
    """Return how much of an offer to take: what is wanted, or what the budget buys."""
    if wanted is None:
        step_price = offer.price * market.step_size
        wanted = ((budget or Decimal(0)) // step_price) * market.step_size
    return min(wanted, offer.amount)


def reservation(
    market: Market, asked: OrderRequest, amount: Decimal, plan: Sequence[Offer]
) -> tuple[str, Decimal]:
    """Return which asset an order must have, and how much of it."""
    if asked.side is Side.SELL:
        return market.base, amount
    if asked.price is not None:
        return market.quote, amount * asked.price
    return market.quote, cost(plan)


def cost(plan: Sequence[Offer]) -> Decimal:
    """Return what a plan comes to, in quote."""
    return sum((take.amount * take.price for take in plan), Decimal(0))


def still_locked(order: Order) -> tuple[str, Decimal]:
    """Return which asset an open order has locked, and how much of it."""
    left = order.amount - order.filled
    if order.side is Side.SELL:
        return order.market.base, left
    return order.market.quote, left * (order.price or Decimal(0))
