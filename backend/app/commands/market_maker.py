"""`strongroom venue make-market`: a two-sided book around the price, for others to trade with.

It asks a running house over HTTP as any program would. What it has open is taken back when it ends;
where it cannot know what became of a question, it takes everything back and begins anew.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final
from urllib.parse import quote

from backend.app.commands.house_client import (
    HouseAway,
    HouseClient,
    HouseRefused,
    Login,
    house_session,
)
from backend.app.commands.market_quotes import Plan, QuotedMarket, Quoter
from backend.app.errors import ConfigurationError

KEY_VARIABLE: Final = "STRONGROOM_API_KEY"
FUNDS_OF_EACH: Final = "1000000"
"""Test funds of each asset, deposited under one name: once for an account."""
AWAY_SECONDS_MAX: Final = 300.0
"""A house that has been away for so long is not waited for any more."""
CANCEL_SECONDS_MAX: Final = 10.0
_AWAY_PAUSE_SECONDS: Final = 1.0
_AWAY_PAUSE_SECONDS_MAX: Final = 15.0
_OPEN_ORDERS_A_PAGE: Final = 200
_KEY_BYTES_MAX: Final = 1_024

Say = Callable[[str], None]


async def make_market(url: str, key: str | None, plan: Plan) -> int:
    """Quote until it is told to stop (Ctrl-C), and take everything back."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for told in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(told, stopping.set)
    login = Login(key) if key else Login.new_user("market-maker")
    async with house_session() as session:
        return await MarketMaker(HouseClient(session, url, login), url, plan, _say).run(stopping)


def read_key(file: Path | None, environment: Mapping[str, str]) -> str | None:
    """Return the platform key to ask with: from a file, or the environment; None if there is none.

    Raises:
        ConfigurationError: the file cannot be read, or holds none.
    """
    if file is None:
        return environment.get(KEY_VARIABLE, "").strip() or None
    try:
        with file.open(encoding="ascii") as lines:
            key = lines.read(_KEY_BYTES_MAX).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read ({type(error).__name__}).") from None
    if not key or not key.isprintable():
        raise ConfigurationError(f"{file} holds no platform key.")
    return key


class MarketMaker:
    """One account that quotes some markets."""

    def __init__(
        self,
        house: HouseClient,
        url: str,
        plan: Plan,
        say: Say,
        away_seconds_max: float = AWAY_SECONDS_MAX,
    ) -> None:
        self._house = house
        self._url = url
        self._plan = plan
        self._say = say
        self._away_seconds_max = away_seconds_max
        self._quoters: dict[str, Quoter] = {}
        self._quoted: dict[str, Decimal] = {}
        self._placed: Counter[str] = Counter()
        self._unpriced: set[str] = set()

    async def run(self, stopping: asyncio.Event) -> int:
        """Quote until the event is set; 0 if nothing is left open.

        Raises:
            ConfigurationError: the house is not there, or refuses; the text says what to do.
        """
        try:
            await self._begin()
        except HouseAway:
            raise ConfigurationError(
                f"Nothing answers at {self._url}, or it has no engine for its markets. "
                "Start it first: make run"
            ) from None
        try:
            await self._quote_until(stopping)
        finally:
            is_clear = await self._take_all_back()
        return 0 if is_clear else 1

    async def _begin(self) -> None:
        house = self._house
        await house.enter()
        markets = [QuotedMarket.told(each) for each in await house.ask("GET", "/markets")]
        by_symbol = {each.symbol: each for each in markets}
        wanted = self._plan.symbols or tuple(by_symbol)
        unknown = [symbol for symbol in wanted if symbol not in by_symbol]
        if unknown:
            raise ConfigurationError(
                f"No market of the name {unknown[0]} is there. There are: {', '.join(by_symbol)}."
            )
        chosen = [by_symbol[symbol] for symbol in wanted]
        self._quoters = {each.symbol: Quoter(each, self._plan) for each in chosen}
        for asset in sorted({asset for each in chosen for asset in _assets(each)}):
            await house.ask(
                *("POST", "/wallets/deposits"),
                {"asset": asset, "amount": FUNDS_OF_EACH},
                {"Idempotency-Key": f"strongroom-make-market-{asset}"},
            )
        # What an earlier run was killed over.
        await self._cancel_all()
        self._say(f"Quoting {', '.join(self._quoters)} at {self._url}; Ctrl-C ends it.")

    async def _quote_until(self, stopping: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        away_since: float | None = None
        pause = _AWAY_PAUSE_SECONDS
        while not stopping.is_set():
            try:
                if away_since is not None:
                    # Nobody knows what became of the last question.
                    await self._cancel_all()
                    self._say("The house is back.")
                    away_since, pause = None, _AWAY_PAUSE_SECONDS
                await self._keep_quotes()
                await _rest(stopping, self._plan.every_seconds)
            except HouseAway:
                if away_since is None:
                    away_since = loop.time()
                    self._say(f"{self._url} does not answer, or has no prices; waiting for it.")
                if loop.time() - away_since >= self._away_seconds_max:
                    raise ConfigurationError(
                        f"{self._url} has not answered for {self._away_seconds_max:.0f} seconds."
                    ) from None
                await _rest(stopping, pause)
                pause = min(2 * pause, _AWAY_PAUSE_SECONDS_MAX)

    async def _keep_quotes(self) -> None:
        """Quote anew where the price has moved, or others have taken most of a side."""
        prices = await self._prices()
        opened = await self._open_orders() if self._quoted else Counter[tuple[str, str]]()
        for symbol, quoter in self._quoters.items():
            price, quoted = prices.get(symbol), self._quoted.get(symbol)
            if price is None:
                self._tell_unpriced(symbol)
                continue
            self._unpriced.discard(symbol)
            is_thin = (
                2 * min(opened[symbol, side] for side in ("buy", "sell")) < self._placed[symbol]
            )
            if quoted is None or is_thin or quoter.has_moved(price, quoted):
                await self._quote(symbol, quoter, price)

    async def _quote(self, symbol: str, quoter: Quoter, price: Decimal) -> None:
        # First back, then anew: so it never meets itself.
        await self._cancel(symbol)
        answer = await self._house.ask("POST", "/orders/batch", {"orders": quoter.orders(price)})
        sides = Counter(each["order"]["side"] for each in answer["items"] if "order" in each)
        refused = Counter(each["problem"]["code"] for each in answer["items"] if "problem" in each)
        self._quoted[symbol] = price
        self._placed[symbol] = min(sides["buy"], sides["sell"])
        told = "".join(f", {count} refused ({code})" for code, count in sorted(refused.items()))
        self._say(f"{symbol} around {price:f}: {sides['buy']} bids, {sides['sell']} asks{told}")

    async def _prices(self) -> dict[str, Decimal]:
        """Return the prices that are fresh; where one is not, what is quoted stays as it is."""
        listed = await self._house.ask("GET", "/prices")
        return {
            each["symbol"]: Decimal(each["price"])
            for each in listed["prices"]
            if each["symbol"] in self._quoters and not each["stale"]
        }

    async def _open_orders(self) -> Counter[tuple[str, str]]:
        page = await self._house.ask("GET", f"/orders?status=open&limit={_OPEN_ORDERS_A_PAGE}")
        return Counter((each["symbol"], each["side"]) for each in page["items"])

    async def _cancel(self, symbol: str) -> int:
        told = await self._house.ask("DELETE", f"/orders?symbol={quote(symbol, safe='')}")
        self._quoted.pop(symbol, None)
        return len(told["cancelled"])

    async def _cancel_all(self) -> int:
        # Market by market: what its owner has on others is none of our business.
        return sum([await self._cancel(symbol) for symbol in self._quoters])

    async def _take_all_back(self) -> bool:
        try:
            async with asyncio.timeout(CANCEL_SECONDS_MAX):
                cancelled = await self._cancel_all()
        except (HouseAway, HouseRefused, TimeoutError):
            self._say("The house does not answer: what was open may still be. Run this again, or")
            self._say("take it back: DELETE /api/v1/orders?symbol=...")
            return False
        self._say(f"{cancelled} orders taken back; none is left open.")
        return True

    def _tell_unpriced(self, symbol: str) -> None:
        if symbol not in self._unpriced:
            self._unpriced.add(symbol)
            self._say(f"{symbol}: no fresh price; what is quoted stays as it is.")


def _assets(market: QuotedMarket) -> tuple[str, str]:
    return market.base_asset, market.quote_asset


async def _rest(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - how far it is
