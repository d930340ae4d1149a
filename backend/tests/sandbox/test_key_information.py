"""What each exchange tells of a key is what the sandbox knows of it, or stays unknown."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from backend.app.enums import Known
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.registry import dialect
from backend.app.sandbox.accounts import EXCHANGES, SeededAccount
from backend.tests.support.sandbox import RunningSandbox

CALLS = {
    "binance": ("/sapi/v1/account/apiRestrictions",),
    "okx": ("/api/v5/account/config",),
    "bybit": ("/v5/user/query-api",),
    "htx": ("/v2/user/uid", "/v2/user/api-key?uid={uid}&accessKey={key}"),
    "kucoin": ("/api/v1/user/api-key",),
    "gate": ("/api/v4/account/detail", "/api/v4/account/main_keys"),
    "bitget": ("/api/v2/spot/account/info",),
    "mexc": ("/api/v3/apiKeyInfo?accessKey={key}",),
}
NAMES = (
    "full",
    "read_only",
    "withdrawal_enabled",
    "transfer_enabled",
    "bound_here",
    "expiring_soon",
    "no_read",
    "sub_account",
)
# What an exchange has no field for.
NEVER_TOLD: dict[str, dict[str, Any]] = {
    "binance": {"ip_addresses": None, "is_sub_account": Known.UNKNOWN, "owner_uid": None},
    "htx": {"is_sub_account": Known.UNKNOWN},
    "mexc": {"is_sub_account": Known.UNKNOWN, "owner_uid": None},
}
_GATE_SUB = dict.fromkeys(
    ("can_read", "can_trade", "can_withdraw", "can_transfer", "is_sub_account"), Known.UNKNOWN
)
# What one account's key is told differently, because the exchange's own words say less or more.
TOLD_OTHERWISE: dict[tuple[str, str], dict[str, Any]] = {
    # A trade right there moves funds between own accounts.
    **{
        (exchange, name): {"can_transfer": Known.YES}
        for exchange in ("okx", "htx")
        for name in ("full", "bound_here", "expiring_soon", "no_read", "sub_account")
    },
    # There, any key reads.
    ("bybit", "no_read"): {"can_read": Known.YES},
    ("gate", "no_read"): {"can_read": Known.YES},
    ("bitget", "no_read"): {"can_read": Known.YES},
    # Gate's wallet right says that money can move, not whether out of the house.
    ("gate", "withdrawal_enabled"): {"can_withdraw": Known.UNKNOWN},
    ("gate", "transfer_enabled"): {"can_withdraw": Known.UNKNOWN},
    # Only a main account may list its keys.
    ("gate", "sub_account"): _GATE_SUB,
}
# Where the end of a key is told at all, and as what.
ENDS_AS = {"binance": "trading_ends_at", "bybit": "expires_at"}
ENDS_IN_DAYS = ("htx", "mexc")


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("name", NAMES)
def test_a_key_is_told_property_by_property(
    sandbox: RunningSandbox, exchange: str, name: str
) -> None:
    account = sandbox.account(exchange, name)
    answers = [answered(sandbox, account, call) for call in CALLS[exchange]]

    told = dialect(exchange).read_key_information(answers, account.keys.api_key)

    assert told == expected(account)


def answered(sandbox: RunningSandbox, account: SeededAccount, call: str) -> Any:
    target = call.format(uid=account.owner_uid, key=account.keys.api_key)
    status, body = sandbox.ask(account.exchange, account.keys, "GET", target)
    return json.loads(body, parse_float=Decimal) if status == 200 else None


def expected(account: SeededAccount) -> KeyInformation:
    told: dict[str, Any] = {**NEVER_TOLD.get(account.exchange, {})}
    told |= TOLD_OTHERWISE.get((account.exchange, account.name), {})
    if account.expires_at is not None:
        told["expires_at"] = None
        if account.exchange in ENDS_AS:
            told[ENDS_AS[account.exchange]] = account.expires_at
        if account.exchange in ENDS_IN_DAYS:
            told["remaining_days"] = 10
    return replace(account.information(), **told)
