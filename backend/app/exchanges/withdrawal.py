"""How to take the right to withdraw off a key, exchange by exchange."""

from collections.abc import Mapping
from typing import Final

from backend.app.exchanges.registry import ExchangeId, profile

# What carries the right, in the words the key-information call or the key page uses.
_CARRIED_BY: Final[Mapping[ExchangeId, str]] = {
    ExchangeId.BINANCE: '"Enable Withdrawals"',
    ExchangeId.OKX: '"Withdraw"',
    ExchangeId.BYBIT: '"Withdrawal", under the rights of the wallet',
    ExchangeId.HTX: '"Withdraw"',
    ExchangeId.KUCOIN: '"Transfer" and "Withdrawal"',
    ExchangeId.GATE: '"Withdraw", and writing to "Wallet"',
    ExchangeId.BITGET: '"Withdraw"',
    ExchangeId.MEXC: '"Withdraw"',
}


def withdrawal_advice(exchange: str) -> str:
    """Return the steps after which a key of this exchange can take nothing out.

    Raises:
        ExchangeUnknown: the name is none of the eight, nor an alias of one.
    """
    about = profile(exchange)
    needed = " and ".join(f'"{right}"' for right in about.rights_to_tick)
    return (
        f"1. Open {about.key_page}. 2. Edit this key, or make a new one, without "
        f"{_CARRIED_BY[about.exchange]}; {needed} is enough. 3. Bind it again. If this key must "
        "be able to withdraw, send `allow_withdrawal: true`; that is recorded."
    )
