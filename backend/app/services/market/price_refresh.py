"""One refresh of all prices: ask the sources, judge what they say, write it, tell who listens."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.channel_message import PRICES, Message
from backend.app.clock import Clock
from backend.app.database import Database
from backend.app.exchanges.market_data import BadQuote, MarketSourceUnavailable, Quote
from backend.app.logs import logger
from backend.app.models.latest_price import LatestPrice
from backend.app.money import plain
from backend.app.repositories.channel_repository import ChannelRepository
from backend.app.repositories.price_repository import PriceRepository
from backend.app.services.live.announcer import Announcer
from backend.app.services.market.price_board import PriceBoard, for_listeners
from backend.app.services.market.price_observer import PriceChange, PriceObserver
from backend.app.services.market.price_rules import (
    KnownPrice,
    StaleBecause,
    Told,
    is_jump,
    is_price,
    judge,
)
from backend.app.services.market.public_markets import PublicMarkets
from backend.app.services.market.refresher_lock import Confirm

_LOG = logger(__name__)

_Answers = Mapping[str, Quote | BadQuote]


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one source answered; None if it did not."""

    source: str
    answers: _Answers | None

    def told(self, symbol: str) -> Told | None:
        answer = (self.answers or {}).get(symbol)
        if not isinstance(answer, Quote) or not is_price(answer.price):
            return None
        return Told(answer.price, self.source, answer.as_of)


class PriceRefresh:
    """Fetches prices from the source, and from the next one where the first is not believed."""

    def __init__(
        self,
        *,
        database: Database,
        source: PublicMarkets,
        exchanges: Sequence[str],
        board: PriceBoard,
        announcer: Announcer,
        observers: Sequence[PriceObserver],
        now: Clock,
    ) -> None:
        self._database = database
        self._source = source
        self._exchanges = exchanges
        self._board = board
        self._announcer = announcer
        self._observers = observers
        self._now = now

    async def refresh(self, confirm: Confirm) -> None:
        """Bring every price up to what the sources say, or mark it as stale."""
        symbols = await self._board.configured()
        if not symbols:
            return
        heard = await self._ask(symbols)
        try:
            async with self._database.transaction() as session:
                await confirm(session)
                messages = await self._write(session, symbols, heard)
        finally:
            # However it ended: a commit that was cut off may have taken place all the same.
            await self._board.forget()
        await self._announcer.announce(messages)

    async def _ask(self, symbols: Collection[str]) -> list[_Heard]:
        """Ask one source after the other, each for what those before it left in doubt."""
        async with self._database.snapshot() as session:
            last = {row.symbol: row.price for row in await PriceRepository(session).of(symbols)}
        heard: list[_Heard] = []
        doubtful = list(symbols)
        for exchange in self._exchanges:
            found = await self._heard(exchange, doubtful)
            heard.append(found)
            doubtful = [each for each in doubtful if _is_doubtful(found.told(each), last.get(each))]
            if not doubtful:
                break
        return heard

    async def _heard(self, exchange: str, symbols: Collection[str]) -> _Heard:
        try:
            return _Heard(exchange, await self._source.quotes(exchange, symbols))
        except MarketSourceUnavailable as silence:
            _LOG.warning("price_source_away", source=exchange, fault=silence.fault.value)
            return _Heard(exchange, None)

    async def _write(
        self, session: AsyncSession, symbols: Collection[str], heard: Sequence[_Heard]
    ) -> list[Message]:
        now, repository = self._now(), PriceRepository(session)
        before = {row.symbol: _known(row) for row in await repository.of(symbols)}
        after = {symbol: _judged(symbol, before.get(symbol), heard, now) for symbol in symbols}
        kept = [each for each in after.values() if each is not None]
        await repository.keep([asdict(each) for each in kept])
        shown = [each for each in kept if _looks_new(before.get(each.symbol), each)]
        _log_doubts(before, kept)
        messages: list[Message] = []
        # Before ours: channels are locked in the order of their names.
        for observer in self._observers:
            messages.extend(await observer(session, _changes(before, kept)))
        body = {"prices": [for_listeners(each) for each in shown]}
        published = await ChannelRepository(session).publish(PRICES, [body] if shown else [])
        return [*messages, *published]


def _is_doubtful(told: Told | None, last: Decimal | None) -> bool:
    return told is None or (last is not None and is_jump(last, told.price))


def _judged(
    symbol: str, known: KnownPrice | None, heard: Sequence[_Heard], now: datetime
) -> KnownPrice | None:
    told = [found for each in heard if (found := each.told(symbol)) is not None]
    answered = any(each.answers and symbol in each.answers for each in heard)
    silence = StaleBecause.NO_PRICE if answered else StaleBecause.SOURCE_AWAY
    return judge(symbol, known, told, silence, now)


def _known(row: LatestPrice) -> KnownPrice:
    values = {field.name: getattr(row, field.name) for field in fields(KnownPrice)}
    because = row.stale_because
    return KnownPrice(**{**values, "stale_because": because and StaleBecause(because)})


def _changes(before: Mapping[str, KnownPrice], after: Sequence[KnownPrice]) -> list[PriceChange]:
    changes = []
    for each in after:
        last = before.get(each.symbol)
        if last is None or each.price != last.price:
            previous = None if last is None else last.price
            changes.append(PriceChange(each.symbol, each.price, previous, each.source, each.as_of))
    return changes


def _looks_new(before: KnownPrice | None, after: KnownPrice) -> bool:
    if before is None:
        return True
    shown = (after.price, after.source, after.stale_because)
    return shown != (before.price, before.source, before.stale_because)


def _log_doubts(before: Mapping[str, KnownPrice], after: Sequence[KnownPrice]) -> None:
    for each in after:
        last = before.get(each.symbol)
        if each.candidate_price is not None and each.candidate_count == 1:
            _LOG.warning(
                "price_quarantined",
                symbol=each.symbol,
                price=plain(each.price),
                told=plain(each.candidate_price),
            )
        elif each.stale_because is not None and (
            last is None or last.stale_because is not each.stale_because
        ):
            _LOG.warning("price_stale", symbol=each.symbol, because=each.stale_because.value)
