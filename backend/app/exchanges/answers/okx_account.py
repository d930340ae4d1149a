"""OKX's answers about an account: the key itself, the trading balance, the currencies.

Source: https://www.okx.com/docs-v5/en/ (Trading Account, Funding Account)
"""

from collections.abc import Mapping
from typing import Any, Final

from backend.app.enums import Known
from backend.app.exchanges.answers.base import Call, Handler
from backend.app.exchanges.answers.okx_market import answered
from backend.app.exchanges.answers.rendering import assets, home_chain
from backend.app.exchanges.key_information import Balance
from backend.app.money import plain


def _config(call: Call) -> Any:
    told = call.world.key_information(call.account_id)
    rights = {
        "read_only": told.can_read,
        "trade": told.can_trade,
        "withdraw": told.can_withdraw,
    }
    is_sub = told.is_sub_account is Known.YES
    return answered(
        [
            {
                "uid": told.owner_uid,
                "mainUid": f"{told.owner_uid}0" if is_sub else told.owner_uid,
                "label": "sandbox",
                "perm": ",".join(name for name, right in rights.items() if right is Known.YES),
                "ip": ",".join(told.ip_addresses or ()),
                "acctLv": "1",
                "posMode": "net_mode",
                "autoLoan": False,
                "kycLv": "2",
                "level": "Lv1",
                "levelTmp": "",
                "roleType": "0",
                "type": "1" if is_sub else "0",
            }
        ]
    )


async def _balance(call: Call) -> Any:
    at = str(call.world.now_ms())
    wanted = call.query.get("ccy")
    return answered(
        [
            {
                "uTime": at,
                "totalEq": "",
                "adjEq": "",
                "isoEq": "",
                "ordFroz": "",
                "details": [
                    _detail(balance, at)
                    for balance in await call.world.balances(call.account_id)
                    if not wanted or balance.asset in wanted.split(",")
                ],
            }
        ]
    )


def _detail(balance: Balance, at: str) -> Any:
    return {
        "ccy": balance.asset,
        "eq": plain(balance.total),
        "cashBal": plain(balance.total),
        "availBal": plain(balance.available),
        "availEq": "",
        "frozenBal": plain(balance.locked),
        "ordFrozen": plain(balance.locked),
        "spotBal": "",
        "uTime": at,
    }


def _currencies(call: Call) -> Any:
    return answered(
        [
            {
                "ccy": asset,
                "name": asset,
                "chain": f"{asset}-{home_chain(asset)}",
                "canDep": False,
                "canWd": False,
                "canInternal": False,
                "mainNet": True,
                "needTag": False,
                "minDep": "0.0001",
                "minWd": "0.0001",
                "maxWd": "1000000",
                "wdTickSz": "8",
                "fee": "0",
                "minFee": "0",
                "maxFee": "0",
            }
            for asset in assets(call.world)
        ]
    )


ACCOUNT_HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v5/account/config"): _config,
    ("GET", "/api/v5/account/balance"): _balance,
    ("GET", "/api/v5/asset/balances"): lambda _: answered([]),
    ("GET", "/api/v5/asset/currencies"): _currencies,
}
