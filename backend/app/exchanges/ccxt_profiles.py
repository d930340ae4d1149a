"""Which calls of CCXT tell a key's balance and rights, and where each exchange lives.

Only CCXT's implicit methods are named here: one method, one request. They need no markets, no
currencies and no account detection, so no private call is made that the question did not need.

Source: docs/ARCHITECTURE.md, "The eight exchanges".
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from backend.app.exchanges.exchange_clock import TimeCall
from backend.app.exchanges.raw_answer import RawAnswer
from backend.app.exchanges.registry import ExchangeId


class Ask(Protocol):
    """Make one signed call by CCXT's name for it."""

    def __call__(self, method: str, **params: str) -> Awaitable[RawAnswer]:
        """Raise NoAnswer where nothing usable came back."""


BalancePlan = Callable[[Ask, Sequence[RawAnswer]], Awaitable[list[RawAnswer]]]
"""Makes the balance calls; is given the answers about the key where those were asked first."""
KeyPlan = Callable[[Ask, str], Awaitable[list[RawAnswer]]]
"""Makes the key-information calls; is given the key's own name."""


@dataclass(frozen=True, slots=True)
class DryRunOrder:
    """An order the exchange checks and never places, and how it says that it would take it."""

    method: str
    order: Mapping[str, str]
    passed: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class CcxtProfile:
    """How one exchange is asked."""

    live_origin: str
    balances: BalancePlan
    key_information: KeyPlan
    key_information_first: bool = False
    """The balance call depends on what the key call says; otherwise both go out at once."""
    time: TimeCall | None = None
    """None where key information takes two calls already: there the HTTP date has to do."""
    dry_run_order: DryRunOrder | None = None
    """An order that is checked and never placed, for when the key's rights are not told."""


def _balance_call(method: str) -> BalancePlan:
    async def plan(ask: Ask, _known: Sequence[RawAnswer]) -> list[RawAnswer]:
        return [await ask(method)]

    return plan


def _key_calls(*methods: str) -> KeyPlan:
    async def plan(ask: Ask, _api_key: str) -> list[RawAnswer]:
        return [await ask(method) for method in methods]

    return plan


async def _bybit_balances(ask: Ask, known: Sequence[RawAnswer]) -> list[RawAnswer]:
    # A key that may not say what it is most likely belongs to a unified account, as all new ones.
    classic = bool(known) and _member(known[0].value, "result", "uta") in (0, "0")
    kind = "SPOT" if classic else "UNIFIED"
    return [await ask("privateGetV5AccountWalletBalance", accountType=kind)]


async def _htx_balances(ask: Ask, _known: Sequence[RawAnswer]) -> list[RawAnswer]:
    accounts = await ask("spotPrivateGetV1AccountAccounts")
    account_id = _htx_spot_account(accounts.value)
    if account_id is None:
        return [accounts]
    method = "spotPrivateGetV1AccountAccountsAccountIdBalance"
    return [accounts, await ask(method, **{"account-id": account_id})]


async def _htx_key_information(ask: Ask, api_key: str) -> list[RawAnswer]:
    user = await ask("spotPrivateGetV2UserUid")
    uid = _digits(_member(user.value, "data"))
    if uid is None:
        return [user]
    return [user, await ask("spotPrivateGetV2UserApiKey", uid=uid, accessKey=api_key)]


async def _mexc_key_information(ask: Ask, api_key: str) -> list[RawAnswer]:
    return [await ask("spotPrivateGetApiKeyInfo", accessKey=api_key)]


def _dry_run_by_symbol(method: str) -> DryRunOrder:
    # At the market and by cost: no price that could leave a band, no amount below a step.
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "20"}
    return DryRunOrder(method, order, lambda value: isinstance(value, dict) and "code" not in value)


def _htx_spot_account(value: Any) -> str | None:
    accounts = _member(value, "data")
    for account in accounts if isinstance(accounts, list) else ():
        if _member(account, "type") == "spot":
            return _digits(_member(account, "id"))
    return None


def _member(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _digits(value: Any) -> str | None:
    # The number goes into a path or a query of the next call, so nothing else may be in it.
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    return text if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX else None


_DIGITS_MAX = 20

CCXT_PROFILES: dict[str, CcxtProfile] = {
    ExchangeId.BINANCE: CcxtProfile(
        live_origin="https://api.binance.com",
        balances=_balance_call("privateGetAccount"),
        key_information=_key_calls("sapiGetAccountApiRestrictions"),
        time=TimeCall("publicGetTime", ("serverTime",)),
        dry_run_order=_dry_run_by_symbol("privatePostOrderTest"),
    ),
    ExchangeId.OKX: CcxtProfile(
        live_origin="https://www.okx.com",
        balances=_balance_call("privateGetAccountBalance"),
        key_information=_key_calls("privateGetAccountConfig"),
        time=TimeCall("publicGetPublicTime", ("data", 0, "ts")),
    ),
    ExchangeId.BYBIT: CcxtProfile(
        live_origin="https://api.bybit.com",
        balances=_bybit_balances,
        key_information=_key_calls("privateGetV5UserQueryApi"),
        key_information_first=True,
        time=TimeCall("publicGetV5MarketTime", ("time",)),
    ),
    ExchangeId.HTX: CcxtProfile(
        live_origin="https://api.huobi.pro",
        balances=_htx_balances,
        key_information=_htx_key_information,
    ),
    ExchangeId.KUCOIN: CcxtProfile(
        live_origin="https://api.kucoin.com",
        # Without a type: an account on the high-frequency engine looks empty under "trade".
        balances=_balance_call("privateGetAccounts"),
        key_information=_key_calls("privateGetUserApiKey"),
        time=TimeCall("publicGetTimestamp", ("data",)),
        dry_run_order=DryRunOrder(
            "privatePostOrdersTest",
            {
                "clientOid": "strongroom-dry-run",
                "symbol": "BTC-USDT",
                "side": "buy",
                "type": "market",
                "funds": "20",
            },
            lambda value: _member(value, "code") == "200000",
        ),
    ),
    ExchangeId.GATE: CcxtProfile(
        live_origin="https://api.gateio.ws",
        balances=_balance_call("privateSpotGetAccounts"),
        # The second is for main accounts only; refused, the rights stay unknown.
        key_information=_key_calls("privateAccountGetDetail", "privateAccountGetMainKeys"),
    ),
    ExchangeId.BITGET: CcxtProfile(
        live_origin="https://api.bitget.com",
        balances=_balance_call("privateSpotGetV2SpotAccountAssets"),
        key_information=_key_calls("privateSpotGetV2SpotAccountInfo"),
        time=TimeCall("publicCommonGetV2PublicTime", ("data", "serverTime")),
    ),
    ExchangeId.MEXC: CcxtProfile(
        live_origin="https://api.mexc.com",
        balances=_balance_call("spotPrivateGetAccount"),
        key_information=_mexc_key_information,
        time=TimeCall("spotPublicGetTime", ("serverTime",)),
        dry_run_order=_dry_run_by_symbol("spotPrivatePostOrderTest"),
    ),
}
