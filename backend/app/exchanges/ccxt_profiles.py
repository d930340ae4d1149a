"""Which calls of CCXT tell a key's balance and rights, and where each exchange lives.

Only CCXT's implicit methods are named here: one method, one request. They need no markets, no
currencies and no account detection, so no private call is made that the question did not need.

Source: docs/ARCHITECTURE.md, "The eight exchanges".
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.app.exchanges import market_names, order_calls
from backend.app.exchanges.asking import Ask, digits, htx_spot_account, member
from backend.app.exchanges.exchange_clock import TimeCall
from backend.app.exchanges.market_names import NamesCall
from backend.app.exchanges.order_calls import OrderPlan
from backend.app.exchanges.raw_answer import RawAnswer
from backend.app.exchanges.registry import ExchangeId

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
    open_orders: OrderPlan
    key_information: KeyPlan
    key_information_first: bool = False
    """The balance call depends on what the key call says; otherwise both go out at once."""
    time: TimeCall | None = None
    """None where key information takes two calls already: there the HTTP date has to do."""
    dry_run_order: DryRunOrder | None = None
    """An order that is checked and never placed, for when the key's rights are not told."""
    market_names: NamesCall | None = None
    """None where a market's name itself tells base and quote."""


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
    classic = bool(known) and member(known[0].value, "result", "uta") in (0, "0")
    kind = "SPOT" if classic else "UNIFIED"
    return [await ask("privateGetV5AccountWalletBalance", accountType=kind)]


async def _htx_balances(ask: Ask, _known: Sequence[RawAnswer]) -> list[RawAnswer]:
    accounts = await ask("spotPrivateGetV1AccountAccounts")
    account_id = htx_spot_account(accounts.value)
    if account_id is None:
        return [accounts]
    method = "spotPrivateGetV1AccountAccountsAccountIdBalance"
    return [accounts, await ask(method, **{"account-id": account_id})]


async def _htx_key_information(ask: Ask, api_key: str) -> list[RawAnswer]:
    user = await ask("spotPrivateGetV2UserUid")
    uid = digits(member(user.value, "data"))
    if uid is None:
        return [user]
    return [user, await ask("spotPrivateGetV2UserApiKey", uid=uid, accessKey=api_key)]


async def _mexc_key_information(ask: Ask, api_key: str) -> list[RawAnswer]:
    return [await ask("spotPrivateGetApiKeyInfo", accessKey=api_key)]


def _dry_run_by_symbol(method: str) -> DryRunOrder:
    # At the market and by cost: no price that could leave a band, no amount below a step.
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "20"}
    return DryRunOrder(method, order, lambda value: isinstance(value, dict) and "code" not in value)


CCXT_PROFILES: dict[str, CcxtProfile] = {
    ExchangeId.BINANCE: CcxtProfile(
        live_origin="https://api.binance.com",
        balances=_balance_call("privateGetAccount"),
        open_orders=order_calls.BINANCE,
        market_names=market_names.BINANCE,
        key_information=_key_calls("sapiGetAccountApiRestrictions"),
        time=TimeCall("publicGetTime", ("serverTime",)),
        dry_run_order=_dry_run_by_symbol("privatePostOrderTest"),
    ),
    ExchangeId.OKX: CcxtProfile(
        live_origin="https://www.okx.com",
        balances=_balance_call("privateGetAccountBalance"),
        open_orders=order_calls.OKX,
        key_information=_key_calls("privateGetAccountConfig"),
        time=TimeCall("publicGetPublicTime", ("data", 0, "ts")),
    ),
    ExchangeId.BYBIT: CcxtProfile(
        live_origin="https://api.bybit.com",
        balances=_bybit_balances,
        open_orders=order_calls.BYBIT,
        market_names=market_names.BYBIT,
        key_information=_key_calls("privateGetV5UserQueryApi"),
        key_information_first=True,
        time=TimeCall("publicGetV5MarketTime", ("time",)),
    ),
    ExchangeId.HTX: CcxtProfile(
        live_origin="https://api.huobi.pro",
        balances=_htx_balances,
        open_orders=order_calls.HTX,
        market_names=market_names.HTX,
        key_information=_htx_key_information,
    ),
    ExchangeId.KUCOIN: CcxtProfile(
        live_origin="https://api.kucoin.com",
        # Without a type: an account on the high-frequency engine looks empty under "trade".
        balances=_balance_call("privateGetAccounts"),
        open_orders=order_calls.KUCOIN,
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
            lambda value: member(value, "code") == "200000",
        ),
    ),
    ExchangeId.GATE: CcxtProfile(
        live_origin="https://api.gateio.ws",
        balances=_balance_call("privateSpotGetAccounts"),
        open_orders=order_calls.GATE,
        # The second is for main accounts only; refused, the rights stay unknown.
        key_information=_key_calls("privateAccountGetDetail", "privateAccountGetMainKeys"),
    ),
    ExchangeId.BITGET: CcxtProfile(
        live_origin="https://api.bitget.com",
        balances=_balance_call("privateSpotGetV2SpotAccountAssets"),
        open_orders=order_calls.BITGET,
        market_names=market_names.BITGET,
        key_information=_key_calls("privateSpotGetV2SpotAccountInfo"),
        time=TimeCall("publicCommonGetV2PublicTime", ("data", "serverTime")),
    ),
    ExchangeId.MEXC: CcxtProfile(
        live_origin="https://api.mexc.com",
        balances=_balance_call("spotPrivateGetAccount"),
        open_orders=order_calls.MEXC,
        market_names=market_names.MEXC,
        key_information=_mexc_key_information,
        time=TimeCall("spotPublicGetTime", ("serverTime",)),
        dry_run_order=_dry_run_by_symbol("spotPrivatePostOrderTest"),
    ),
}
