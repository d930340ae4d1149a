"""An account's ledger in the doors' words: every change of what it holds, and what it held then."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from backend.app.exchanges.key_information import Balance
from backend.app.exchanges.market_values import Deposit, Fill, LedgerLine, Side

_LINES_A_COMMAND: Final = 2**20


class _Change(NamedTuple):
    at_ms: int
    line_id: int
    asset: str
    change: Decimal
    fill: Fill | None


def ledger_lines(
    held: Iterable[Balance], deposits: Iterable[Deposit], fills: Iterable[Fill]
) -> Sequence[LedgerLine]:
    """Return the lines, the oldest first, reckoned back from what is held now.

    So a history that was cut short is right all the same.
    """
    balances = defaultdict(Decimal, {balance.asset: balance.total for balance in held})
    lines: list[LedgerLine] = []
    for each in sorted((*_given(deposits), *_traded(fills)), reverse=True):
        lines.append(
            LedgerLine(
                each.line_id, each.asset, each.change, balances[each.asset], each.at_ms, each.fill
            )
        )
        balances[each.asset] -= each.change
    return lines[::-1]


def _given(deposits: Iterable[Deposit]) -> Iterator[_Change]:
    for deposit in deposits:
        line_id = _LINES_A_COMMAND * deposit.deposit_id
        yield _Change(deposit.at_ms, line_id, deposit.asset, deposit.amount, None)


def _traded(fills: Iterable[Fill]) -> Iterator[_Change]:
    for fill in fills:
        # A command of the venue is an order or a deposit, so their numbers never meet.
        line_id = _LINES_A_COMMAND * fill.order_id + 2 * fill.fill_id % _LINES_A_COMMAND
        is_buy = fill.side is Side.BUY
        got = (fill.amount if is_buy else fill.cost) - fill.fee
        gave = fill.cost if is_buy else fill.amount
        assets = fill.market.base, fill.market.quote
        received, given = assets if is_buy else assets[::-1]
        yield _Change(fill.at_ms, line_id, received, got, fill)
        yield _Change(fill.at_ms, line_id + 1, given, -gave, fill)
