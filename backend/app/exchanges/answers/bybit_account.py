"""Bybit's answers about an account: the key itself, the unified wallet, the coins.

Source: https://bybit-exchange.github.io/docs/v5/user/apikey-info and .../account/wallet-balance
"""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.enums import Known
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.bybit_market import answered
from backend.app.exchanges.answers.rendering import DAY_MS, assets, days_left, home_chain, time_text
from backend.app.exchanges.key_information import Balance, KeyInformation
from backend.app.money import plain

_UNIFIED_STATUS: Final = 6


def _query_api(call: Call) -> Any:
    told = call.world.key_information(call.account_id)
    now_ms = call.world.now_ms()
    is_sub = told.is_sub_account is Known.YES
    answer = {
        "id": told.owner_uid,
        "note": "sandbox",
        "apiKey": call.api_key,
        "readOnly": int(Known.YES not in (told.can_trade, told.can_withdraw, told.can_transfer)),
        "secret": "",
        "permissions": _permissions(told),
        "ips": list(told.ip_addresses or ("*",)),
        "type": 1,
        "deadlineDay": -2,
        "expiredAt": "1970-01-01T00:00:00Z",
        "createdAt": time_text(now_ms - DAY_MS),
        "unified": 0,
        "uta": 1,
        "userID": int(told.owner_uid or 0),
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": not is_sub,
        "parentUid": "1" if is_sub else "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
    }
    if told.expires_at is not None:
        answer["deadlineDay"] = days_left(told.expires_at, now_ms)
        answer["expiredAt"] = f"{told.expires_at:%Y-%m-%dT%H:%M:%SZ}"
    return answered(call, answer)


def _permissions(told: KeyInformation) -> Any:
    wallet = {
        "AccountTransfer": told.can_transfer,
        "SubMemberTransfer": told.can_transfer,
        "Withdraw": told.can_withdraw,
    }
    return {
        "ContractTrade": [],
        "Spot": ["SpotTrade"] if told.can_trade is Known.YES else [],
        "Wallet": [name for name, right in wallet.items() if right is Known.YES],
        "Options": [],
        "Derivatives": [],
        "CopyTrading": [],
        "BlockTrade": [],
        "Exchange": [],
        "NFT": [],
        "Affiliate": [],
        "Earn": [],
    }


def _account_info(call: Call) -> Any:
    return answered(
        call,
        {
            "unifiedMarginStatus": _UNIFIED_STATUS,
            "marginMode": "REGULAR_MARGIN",
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
            "updatedTime": str(call.world.now_ms() - DAY_MS),
        },
    )


async def _wallet_balance(call: Call) -> Any:
    wanted = call.query.get("coin")
    coins = [
        _coin(balance)
        for balance in await call.world.balances(call.account_id)
        if not wanted or balance.asset in wanted.split(",")
    ]
    account = {
        "accountType": "UNIFIED",
        "accountLTV": "",
        "accountIMRate": "",
        "accountMMRate": "",
        "totalEquity": "",
        "totalWalletBalance": "",
        "totalMarginBalance": "",
        "totalAvailableBalance": "",
        "totalPerpUPL": "",
        "totalInitialMargin": "",
        "totalMaintenanceMargin": "",
        "coin": coins,
    }
    return answered(call, {"list": [account]})


def _coin(balance: Balance) -> Any:
    return {
        "coin": balance.asset,
        "equity": plain(balance.total),
        "usdValue": "",
        "walletBalance": plain(balance.total),
        "free": "",
        "locked": plain(balance.locked),
        "borrowAmount": "0",
        "availableToBorrow": "",
        "availableToWithdraw": "",
        "accruedInterest": "0",
        "totalOrderIM": "0",
        "totalPositionIM": "0",
        "totalPositionMM": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "0",
        "bonus": "0",
        "marginCollateral": True,
        "collateralSwitch": False,
        "spotHedgingQty": "0",
    }


def _coins(call: Call) -> Any:
    rows = [
        {
            "name": asset,
            "coin": asset,
            "remainAmount": "1000000",
            "chains": [_chain(home_chain(asset))],
        }
        for asset in assets(call.world)
    ]
    return answered(call, {"rows": rows})


def _chain(chain: str) -> Any:
    return {
        "chain": chain,
        "chainType": chain,
        "confirmation": "1",
        "withdrawFee": "0",
        "depositMin": "0",
        "withdrawMin": "0.0001",
        "minAccuracy": "8",
        "chainDeposit": "0",
        "chainWithdraw": "0",
        "withdrawPercentageFee": "0",
    }


ACCOUNT_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/v5/user/query-api"): _query_api,
    ("GET", "/v5/account/info"): _account_info,
    ("GET", "/v5/account/wallet-balance"): _wallet_balance,
    ("GET", "/v5/asset/coin/query-info"): _coins,
}
