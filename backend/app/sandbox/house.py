"""The house: a small book around the wandering price that takes the other side of any order."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from backend.app.exchanges.market_values import Level, Side
from backend.app.sandbox.listings import LISTINGS, Listing
from backend.app.sandbox.prices import MINUTE_MS, PricePath

LEVELS: Final = 50
_GAP_PARTS: Final = 20_000
"""One level lies this part of the middle price from the next (half a basis point)."""
_AMOUNT_PARTS: Final = 20
"""A level holds up to this part of an average minute's volume, times two."""


class House:
    """One market's house book: a pure function of the time, never used up between two orders."""

    def __init__(self, seed: bytes, listing: Listing) -> None:
        self.listing = listing
        self.path = PricePath(seed, listing)
        tick = listing.market.tick_size
        self.gap = max(1, int(listing.middle_price / _GAP_PARTS / tick)) * tick
        self._key = hashlib.sha256(b"house|" + listing.market.symbol.encode() + seed).digest()

    def levels(self, side: Side, at_ms: int) -> Iterator[Level]:
        """Yield what the house offers on one side, the best first."""
        price = self.path.price(at_ms)
        away = self.gap if side is Side.SELL else -self.gap
        for number in range(1, LEVELS):
            yield Level(price + number * away, self._amount(side, number, at_ms))
        # The last one is as deep as the largest order, so a market order always fills.
        yield Level(price + LEVELS * away, self.listing.market.max_amount)

    def _amount(self, side: Side, number: int, at_ms: int) -> Decimal:
        text = f"{side}|{number}|{at_ms // MINUTE_MS}".encode()
        noise = hashlib.blake2b(text, key=self._key, digest_size=1).digest()[0]
        market = self.listing.market
        usual = int(self.listing.volume_per_minute / _AMOUNT_PARTS / market.step_size)
        return max(market.min_amount, (1 + usual * (64 + noise) // 192) * market.step_size)


def houses(seed: bytes, fee: Decimal = Decimal(0)) -> Sequence[House]:
    """Return the house of every market; `fee` is what a trade costs there, made or taken."""
    return [
        House(seed, replace(line, market=replace(line.market, maker_fee=fee, taker_fee=fee)))
        for line in LISTINGS
    ]
