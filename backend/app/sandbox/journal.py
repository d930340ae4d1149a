"""What is remembered of every account's past: its deposits, its fills and its ledger.

The ledger counts for itself what every account holds, beside the wallets: that the two agree is
what its tests ask.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import Deposit, Fill, LedgerLine, Order, Side
from backend.app.sandbox.wallets import Wallets

FILLS_PER_ACCOUNT_MAX: Final = 1_000
LEDGER_LINES_PER_ACCOUNT_MAX: Final = 2 * FILLS_PER_ACCOUNT_MAX
_FIRST_ID: Final = 5_000_000_001


class Journal:
    """Fills and ledger lines by account; the oldest are forgotten first."""

    def __init__(self, wallets: Wallets) -> None:
        self._wallets = wallets
        self._deposits: defaultdict[str, list[Deposit]] = defaultdict(list)
        self._fills: defaultdict[str, deque[Fill]] = defaultdict(
            lambda: deque(maxlen=FILLS_PER_ACCOUNT_MAX)
        )
        self._lines: defaultdict[str, deque[LedgerLine]] = defaultdict(
            lambda: deque(maxlen=LEDGER_LINES_PER_ACCOUNT_MAX)
        )
        self._held: defaultdict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self._next_id = _FIRST_ID

    def endow(self, account_id: str, balances: Iterable[Balance], now_ms: int) -> None:
        """Give an account what it begins with, as deposits."""
        given = tuple(balances)
        self._wallets.endow(account_id, given)
        for balance in given:
            deposit = Deposit(self._new_id(), balance.asset, balance.available, now_ms)
            self._deposits[account_id].append(deposit)
            self._write(account_id, deposit.asset, deposit.amount, now_ms, None)

    def record(
        self,
        account_id: str,
        order: Order,
        *,
        price: Decimal,
        amount: Decimal,
        is_maker: bool,
        now_ms: int,
    ) -> None:
        """Remember one side of a trade whose money has just moved."""
        fill = Fill(
            fill_id=self._new_id(),
            order_id=order.order_id,
            market=order.market,
            side=order.side,
            price=price,
            amount=amount,
            is_maker=is_maker,
            at_ms=now_ms,
        )
        self._fills[account_id].append(fill)
        sign = 1 if fill.side is Side.BUY else -1
        self._write(account_id, fill.market.base, sign * fill.amount, now_ms, fill)
        self._write(account_id, fill.market.quote, -sign * fill.cost, now_ms, fill)

    def deposits(self, account_id: str, asset: str | None) -> Sequence[Deposit]:
        """Return what an account was given, the oldest first."""
        known = self._deposits.get(account_id, ())
        return tuple(deposit for deposit in known if asset in (None, deposit.asset))

    def fills(self, account_id: str, symbol: str | None) -> Sequence[Fill]:
        """Return an account's fills, the oldest first."""
        known = self._fills.get(account_id, ())
        return tuple(fill for fill in known if symbol in (None, fill.market.symbol))

    def lines(self, account_id: str, asset: str | None) -> Sequence[LedgerLine]:
        """Return an account's ledger, the oldest line first."""
        known = self._lines.get(account_id, ())
        return tuple(line for line in known if asset in (None, line.asset))

    def _write(
        self, account_id: str, asset: str, change: Decimal, now_ms: int, fill: Fill | None
    ) -> None:
        self._held[account_id, asset] += change
        balance = self._held[account_id, asset]
        line = LedgerLine(self._new_id(), asset, change, balance, now_ms, fill)
        self._lines[account_id].append(line)

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1
