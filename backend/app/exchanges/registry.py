"""The eight exchanges by name: who they are, how they speak, and what their refusals mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from backend.app.errors import ExchangeUnknown
from backend.app.exchanges.dialects.base import Dialect
from backend.app.exchanges.dialects.binance import BinanceDialect
from backend.app.exchanges.dialects.bitget import BitgetDialect
from backend.app.exchanges.dialects.bybit import BybitDialect
from backend.app.exchanges.dialects.gate import GateDialect
from backend.app.exchanges.dialects.htx import HtxDialect
from backend.app.exchanges.dialects.kucoin import KucoinDialect
from backend.app.exchanges.dialects.mexc import MexcDialect
from backend.app.exchanges.dialects.okx import OkxDialect
from backend.app.exchanges.general_rule import by_shape
from backend.app.exchanges.reasons import Reason, Refusal


class ExchangeId(StrEnum):
    """The canonical ids, the same as CCXT's."""

    BINANCE = "binance"
    OKX = "okx"
    BYBIT = "bybit"
    HTX = "htx"
    KUCOIN = "kucoin"
    GATE = "gate"
    BITGET = "bitget"
    MEXC = "mexc"


@dataclass(frozen=True, slots=True)
class ExchangeProfile:
    """What a person needs to know to make a key at this exchange.

    `rights_to_tick` are the words as they stand on `key_page`, for a key that reads and trades
    spot and can move nothing out.
    """

    exchange: ExchangeId
    name: str
    needs_passphrase: bool
    key_page: str
    rights_to_tick: tuple[str, ...]
    aliases: tuple[str, ...] = ()


_PROFILES = {
    profile.exchange: profile
    for profile in (
        ExchangeProfile(
            exchange=ExchangeId.BINANCE,
            name="Binance",
            needs_passphrase=False,
            key_page="https://www.binance.com/en/my/settings/api-management",
            rights_to_tick=("Enable Reading", "Enable Spot & Margin Trading"),
        ),
        ExchangeProfile(
            exchange=ExchangeId.OKX,
            name="OKX",
            needs_passphrase=True,
            key_page="https://www.okx.com/account/my-api",
            rights_to_tick=("Read", "Trade"),
            aliases=("okex", "okex5"),
        ),
        ExchangeProfile(
            exchange=ExchangeId.BYBIT,
            name="Bybit",
            needs_passphrase=False,
            key_page="https://www.bybit.com/app/user/api-management",
            rights_to_tick=("Read-Write", "SPOT: Trade"),
        ),
        ExchangeProfile(
            exchange=ExchangeId.HTX,
            name="HTX",
            needs_passphrase=False,
            key_page="https://www.htx.com/en-us/apikey/",
            rights_to_tick=("Read", "Trade"),
            aliases=("huobi", "huobipro", "huobi global"),
        ),
        ExchangeProfile(
            exchange=ExchangeId.KUCOIN,
            name="KuCoin",
            needs_passphrase=True,
            key_page="https://www.kucoin.com/account/api",
            rights_to_tick=("General", "Spot Trading"),
        ),
        ExchangeProfile(
            exchange=ExchangeId.GATE,
            name="Gate",
            needs_passphrase=False,
            key_page="https://www.gate.com/myaccount/api_key_manage",
            rights_to_tick=("Spot Trade: Read and Write", "Account: Read Only"),
            aliases=("gateio", "gate.io", "gate-io"),
        ),
        ExchangeProfile(
            exchange=ExchangeId.BITGET,
            name="Bitget",
            needs_passphrase=True,
            key_page="https://www.bitget.com/account/newapi",
            rights_to_tick=("Read-write", "Spot: Trade"),
        ),
        ExchangeProfile(
            exchange=ExchangeId.MEXC,
            name="MEXC",
            needs_passphrase=False,
            key_page="https://www.mexc.com/user/openapi",
            rights_to_tick=("SPOT: Account - View account details", "SPOT: Trade - Order placing"),
            aliases=("mexc global", "mxc"),
        ),
    )
}

# Dialects hold no state, so one of each serves the whole process.
_DIALECTS: Mapping[str, Dialect] = {
    spoken.exchange: spoken
    for spoken in (
        BinanceDialect(),
        OkxDialect(),
        BybitDialect(),
        HtxDialect(),
        KucoinDialect(),
        GateDialect(),
        BitgetDialect(),
        MexcDialect(),
    )
}

SUPPORTED: tuple[str, ...] = tuple(exchange.value for exchange in _PROFILES)

_NAMES: Mapping[str, ExchangeId] = {
    name: profile.exchange
    for profile in _PROFILES.values()
    for name in (profile.exchange.value, *profile.aliases)
}


def resolve(name: str) -> str:
    """Return the canonical id for a name or an alias, in any case, with any space around it.

    Raises:
        ExchangeUnknown: it names none of the eight. The input is not repeated in the answer.
    """
    exchange = _NAMES.get(name.strip().lower())
    if exchange is None:
        message = f"The exchange must be one of: {', '.join(SUPPORTED)}."
        error = {"loc": ["body", "exchange_name"], "type": "exchange_unknown", "msg": message}
        raise ExchangeUnknown(message, facts={"supported": list(SUPPORTED), "errors": [error]})
    return exchange.value


def profile(exchange: str) -> ExchangeProfile:
    """Return what is known of an exchange.

    Raises:
        ExchangeUnknown: the name is none of the eight, nor an alias of one.
    """
    return _PROFILES[ExchangeId(resolve(exchange))]


def dialect(exchange: str) -> Dialect:
    """Return how an exchange speaks; one object per exchange for the life of the process.

    Raises:
        ExchangeUnknown: the name is none of the eight, nor an alias of one.
    """
    return _DIALECTS[resolve(exchange)]


def classify_refusal(exchange: str, http_status: int, body: str) -> Refusal:
    """Read why an exchange refused, from its status and body alone. Never raises on an answer.

    The exchange's own codes and texts decide; where they are silent, the status and the shape.

    Raises:
        ExchangeUnknown: the name is none of the eight, nor an alias of one.
    """
    own = dialect(exchange).classify(http_status, body)
    if own is None or own.reason is Reason.UNKNOWN:
        return by_shape(http_status, body, own.code if own else None)
    return own
