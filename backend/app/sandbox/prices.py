"""A price that wanders by itself: a pure function of a seed and the time, in whole numbers.

The path is fixed at every full minute and straight between two of them, so the highest and the
lowest price of any span lie at its ends or on a minute, and every candle, ticker and trade that
is read off the path agrees with every other one. Prices are integers in parts per billion of the
market's middle price until `PricePath.price` rounds them to a tick.
"""

import hashlib
from array import array
from collections import OrderedDict
from decimal import Decimal
from typing import Final

from backend.app.exchanges.market_values import Candle
from backend.app.sandbox.listings import Listing

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

LISTED_AT_MS: Final = 1_704_067_200_000
"""The first moment of 2024. No candle is older."""

_MIDDLE: Final = 1_000_000_000
_SWINGS: Final = (
    (40 * DAY_MS, 250_000_000),
    (7 * DAY_MS, 80_000_000),
    (DAY_MS, 25_000_000),
    (4 * HOUR_MS, 9_000_000),
    (HOUR_MS, 4_000_000),
)
"""How far the price swings over which span. All spans are whole hours: see `_hour_price`."""
_MINUTE_SWING: Final = 700_000
_MINUTES_PER_HOUR: Final = 60
_HOURS_PER_DAY: Final = 24
_HOURS_REMEMBERED_MAX: Final = 2_048
_DAYS_REMEMBERED_MAX: Final = 4_096
_VOLUME_SCALE: Final = 1_000_000


class PricePath:
    """One market's price at every moment."""

    def __init__(self, seed: bytes, listing: Listing) -> None:
        self._key = hashlib.sha256(b"price path|" + listing.market.symbol.encode() + seed).digest()
        self._listing = listing
        self._hours: OrderedDict[int, array[int]] = OrderedDict()
        self._days: OrderedDict[int, tuple[int, int]] = OrderedDict()

    def price(self, at_ms: int) -> Decimal:
        """Return the price at a moment, on a tick."""
        return self._in_ticks(self._point(at_ms))

    def lowest_and_highest(self, start_ms: int, end_ms: int) -> tuple[Decimal, Decimal]:
        """Return the extremes of the path from start to end, both included."""
        lowest, highest = self._extremes(start_ms, end_ms)
        return self._in_ticks(lowest), self._in_ticks(highest)

    def volume(self, start_ms: int, end_ms: int) -> Decimal:
        """Return what traded between two moments, in base. Adjacent spans add up exactly."""
        steps = self._steps_traded_until(end_ms) - self._steps_traded_until(start_ms)
        return steps * self._listing.market.step_size

    def candle(self, open_ms: int, interval_ms: int, now_ms: int) -> Candle:
        """Return one candle; the one that is still growing ends now."""
        end_ms = min(open_ms + interval_ms, now_ms)
        low, high = self.lowest_and_highest(open_ms, end_ms)
        first, last = self.price(open_ms), self.price(end_ms)
        volume = self.volume(open_ms, end_ms)
        return Candle(
            open_ms=open_ms,
            interval_ms=interval_ms,
            open=first,
            high=high,
            low=low,
            close=last,
            volume=volume,
            quote_volume=volume * (first + high + low + last) / 4,
        )

    def _in_ticks(self, parts: int) -> Decimal:
        tick = self._listing.market.tick_size
        ticks = int(self._listing.middle_price / tick) * parts // _MIDDLE
        return max(1, ticks) * tick

    def _noise(self, span_ms: int, index: int) -> int:
        """Return a fixed number from -1,000,000 to 1,000,000 for one knot of one swing."""
        text = b"%d|%d" % (span_ms, index)
        digest = hashlib.blake2b(text, key=self._key, digest_size=8).digest()
        return int.from_bytes(digest) % 2_000_001 - 1_000_000

    def _hour_price(self, hour: int) -> int:
        # Each swing is a line between knots that lie on full hours, so their sum is straight
        # within every hour and its extremes over a day lie on full hours.
        at_ms = hour * HOUR_MS
        parts = _MIDDLE
        for span_ms, swing in _SWINGS:
            knot, past_ms = divmod(at_ms, span_ms)
            left, right = self._noise(span_ms, knot), self._noise(span_ms, knot + 1)
            parts += (left * (span_ms - past_ms) + right * past_ms) * swing // (span_ms * 1_000_000)
        return parts

    def _minutes(self, hour: int) -> "array[int]":
        """Return the 61 prices from one full hour to the next."""
        found = self._hours.get(hour)
        if found is None:
            found = self._make_minutes(hour)
            self._hours[hour] = found
            if len(self._hours) > _HOURS_REMEMBERED_MAX:
                self._hours.popitem(last=False)
        return found

    def _make_minutes(self, hour: int) -> "array[int]":
        left, right = self._hour_price(hour), self._hour_price(hour + 1)
        lowest, highest = self._day_extremes(hour // _HOURS_PER_DAY)
        noise = hashlib.shake_256(self._key + b"%d" % hour).digest(_MINUTES_PER_HOUR)
        between = (
            (left * (_MINUTES_PER_HOUR - minute) + right * minute) // _MINUTES_PER_HOUR
            + (noise[minute] - 128) * _MINUTE_SWING // 128
            for minute in range(1, _MINUTES_PER_HOUR)
        )
        # Held within the day's full hours, so that a day's extremes need 25 points, not 1,441.
        held = (min(max(parts, lowest), highest) for parts in between)
        return array("q", (left, *held, right))

    def _day_extremes(self, day: int) -> tuple[int, int]:
        found = self._days.get(day)
        if found is None:
            first = day * _HOURS_PER_DAY
            points = [self._hour_price(first + hour) for hour in range(_HOURS_PER_DAY + 1)]
            found = min(points), max(points)
            self._days[day] = found
            if len(self._days) > _DAYS_REMEMBERED_MAX:
                self._days.popitem(last=False)
        return found

    def _point(self, at_ms: int) -> int:
        hour, past_ms = divmod(at_ms, HOUR_MS)
        if not past_ms:
            return self._hour_price(hour)
        minute, into_ms = divmod(past_ms, MINUTE_MS)
        minutes = self._minutes(hour)
        left, right = minutes[minute], minutes[minute + 1]
        return left + (right - left) * into_ms // MINUTE_MS

    def _extremes(self, start_ms: int, end_ms: int) -> tuple[int, int]:
        ends = (self._point(start_ms), self._point(end_ms))
        lowest, highest = min(ends), max(ends)
        at_ms = -(-start_ms // MINUTE_MS) * MINUTE_MS
        while at_ms <= end_ms:
            low, high, at_ms = self._stretch(at_ms, end_ms)
            lowest, highest = min(lowest, low), max(highest, high)
        return lowest, highest

    def _stretch(self, at_ms: int, end_ms: int) -> tuple[int, int, int]:
        """Return the extremes from a full minute on, and the minute to go on from."""
        if at_ms % DAY_MS == 0 and at_ms + DAY_MS <= end_ms:
            return *self._day_extremes(at_ms // DAY_MS), at_ms + DAY_MS
        hour, past_ms = divmod(at_ms, HOUR_MS)
        hour_end_ms = (hour + 1) * HOUR_MS
        last = (min(end_ms, hour_end_ms) - hour * HOUR_MS) // MINUTE_MS
        points = self._minutes(hour)[past_ms // MINUTE_MS : last + 1]
        return min(points), max(points), hour_end_ms

    def _steps_traded_until(self, at_ms: int) -> int:
        # A steadily growing line, bent by less than half a minute's trade: it never falls.
        minute, into_ms = divmod(at_ms, MINUTE_MS)
        left, right = self._noise(MINUTE_MS, minute), self._noise(MINUTE_MS, minute + 1)
        bend = (left * (MINUTE_MS - into_ms) + right * into_ms) * 2 // (MINUTE_MS * 5)
        traded = minute * _VOLUME_SCALE + into_ms * _VOLUME_SCALE // MINUTE_MS + bend
        steps_per_minute = int(self._listing.volume_per_minute / self._listing.market.step_size)
        return traded * steps_per_minute // _VOLUME_SCALE
