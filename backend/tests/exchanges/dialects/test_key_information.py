"""What Binance, OKX, Bybit and HTX tell of a key, in one vocabulary. The keys are made up."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.key_information import KeyInformation
from backend.app.exchanges.registry import dialect

KEY = "ours-0001"

BINANCE: dict[str, Any] = {
    "ipRestrict": False,
    "createTime": 1_698_645_219_000,
    "enableReading": True,
    "enableSpotAndMarginTrading": False,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": False,
}
OKX: dict[str, Any] = {"perm": "read_only", "ip": "", "uid": "44", "mainUid": "44", "label": "x"}
BYBIT: dict[str, Any] = {
    "readOnly": 0,
    "permissions": {"Spot": ["SpotTrade"], "Wallet": [], "ContractTrade": []},
    "ips": ["*"],
    "deadlineDay": 83,
    "expiredAt": "2027-02-12T07:08:15Z",
    "isMaster": True,
    "parentUid": "0",
    "userID": 24617703,
}
HTX: dict[str, Any] = {
    "accessKey": KEY,
    "status": "normal",
    "permission": "readOnly,trade",
    "ipAddresses": "203.0.113.7, 2001:db8::7",
    "validDays": 73,
}


def okx(**changes: Any) -> list[Any]:
    return [{"code": "0", "msg": "", "data": [OKX | changes]}]


def bybit(**changes: Any) -> list[Any]:
    return [{"retCode": 0, "retMsg": "OK", "result": BYBIT | changes}]


def htx(**changes: Any) -> list[Any]:
    return [{"code": 200, "data": 1234567}, {"code": 200, "data": [HTX | changes]}]


def read(exchange: str, answers: list[Any]) -> KeyInformation:
    return dialect(exchange).read_key_information(answers, KEY)


def rights(told: KeyInformation) -> str:
    """Return one letter per right: y(es), n(o) or u(nknown) for read, trade, withdraw, transfer."""
    return "".join(
        right[0] for right in (told.can_read, told.can_trade, told.can_withdraw, told.can_transfer)
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "ynnn"),
        ({"enableReading": False}, "nnnn"),
        ({"enableSpotAndMarginTrading": True}, "yynn"),
        ({"enableWithdrawals": True}, "ynyn"),
        ({"enableInternalTransfer": True}, "ynny"),
        ({"permitsUniversalTransfer": True}, "ynny"),
        ({"permitsUniversalTransfer": None}, "ynnu"),
        ({"enableWithdrawals": None}, "ynun"),
    ],
)
def test_binance_tells_each_right_by_its_flag(changes: dict[str, Any], expected: str) -> None:
    assert rights(read("binance", [BINANCE | changes])) == expected


def test_binance_tells_that_addresses_are_bound_but_not_which() -> None:
    told = read("binance", [BINANCE | {"ipRestrict": True}])

    assert told.ip_restricted is Known.YES
    assert told.ip_addresses is None


def test_binance_ends_a_trading_right_not_the_key() -> None:
    told = read("binance", [BINANCE | {"tradingAuthorityExpirationTime": 1_628_985_600_000}])

    assert told.trading_ends_at == datetime(2021, 8, 15, tzinfo=UTC)
    assert told.expires_at is None


@pytest.mark.parametrize(
    ("perm", "expected"),
    [
        ("read_only", "ynnn"),
        ("read_only,trade", "yyny"),
        ("read_only, trade ,withdraw", "yyyy"),
        ("", "nnnn"),
        ("read_only,trade_more,withdrawals", "ynnn"),
    ],
)
def test_okx_s_rights_are_whole_words(perm: str, expected: str) -> None:
    assert rights(read("okx", okx(perm=perm))) == expected


def test_okx_lists_the_bound_addresses() -> None:
    told = read("okx", okx(ip="203.0.113.7,2001:db8::7"))

    assert told.ip_restricted is Known.YES
    assert told.ip_addresses == ("203.0.113.7", "2001:db8::7")


@pytest.mark.parametrize(
    ("main", "expected"), [("44", Known.NO), ("43", Known.YES), ("", Known.UNKNOWN)]
)
def test_okx_s_sub_account_has_another_main_account(main: str, expected: Known) -> None:
    told = read("okx", okx(mainUid=main))

    assert told.is_sub_account is expected
    assert told.owner_uid == "44"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "yynn"),
        ({"readOnly": 1}, "ynnn"),
        ({"permissions": {}}, "ynnn"),
        ({"permissions": {"Spot": ["SpotTradeMore"]}}, "ynnn"),
        ({"permissions": {"Wallet": ["AccountTransfer"]}}, "ynny"),
        ({"permissions": {"Wallet": ["Withdraw"]}}, "ynyn"),
        ({"permissions": {"Exchange": ["Withdraw"], "Derivatives": ["SpotTrade"]}}, "ynnn"),
    ],
)
def test_bybit_s_rights_are_read_from_their_groups(changes: dict[str, Any], expected: str) -> None:
    assert rights(read("bybit", bybit(**changes))) == expected


@pytest.mark.parametrize(
    ("ips", "expected", "addresses"),
    [
        (["*"], Known.NO, ()),
        ([], Known.NO, ()),
        (["203.0.113.7"], Known.YES, ("203.0.113.7",)),
    ],
)
def test_bybit_s_star_binds_nothing(
    ips: list[str], expected: Known, addresses: tuple[str, ...]
) -> None:
    told = read("bybit", bybit(ips=ips))

    assert (told.ip_restricted, told.ip_addresses) == (expected, addresses)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, datetime(2027, 2, 12, 7, 8, 15, tzinfo=UTC)),
        ({"deadlineDay": None}, datetime(2027, 2, 12, 7, 8, 15, tzinfo=UTC)),
        ({"deadlineDay": -1}, None),
        ({"expiredAt": "1970-01-01T00:00:00Z"}, None),
        ({"expiredAt": ""}, None),
        ({"expiredAt": "0001-01-01T00:00:00Z"}, None),
    ],
)
def test_bybit_s_end_is_read_where_it_means_something(
    changes: dict[str, Any], expected: datetime | None
) -> None:
    assert read("bybit", bybit(**changes)).expires_at == expected


def test_bybit_tells_whose_key_it_is() -> None:
    told = read("bybit", bybit(isMaster=False, parentUid="24617700"))

    assert told.is_sub_account is Known.YES
    assert told.owner_uid == "24617703"


@pytest.mark.parametrize(
    ("permission", "expected"),
    [("readOnly", "ynnn"), ("readOnly,trade", "yyny"), ("readOnly,trade,withdraw", "yyyy")],
)
def test_htx_s_rights_are_whole_words(permission: str, expected: str) -> None:
    assert rights(read("htx", htx(permission=permission))) == expected


def test_htx_tells_addresses_days_and_owner() -> None:
    told = read("htx", htx())

    assert told.ip_restricted is Known.YES
    assert told.ip_addresses == ("203.0.113.7", "2001:db8::7")
    assert (told.remaining_days, told.expires_at) == (73, None)
    assert told.owner_uid == "1234567"


def test_htx_s_unbound_key_without_end_has_neither() -> None:
    told = read("htx", htx(ipAddresses="", validDays=-1))

    assert (told.ip_restricted, told.remaining_days) == (Known.NO, None)


def test_htx_reads_the_row_of_the_key_it_asked_for() -> None:
    other = HTX | {"accessKey": "ours-0002", "permission": "readOnly,withdraw"}
    answers = [{"code": 200, "data": 1}, {"code": 200, "data": [other, HTX]}]

    assert rights(read("htx", answers)) == "yyny"


def test_htx_refused_the_second_call_and_only_the_owner_is_known() -> None:
    assert read("htx", [htx()[0], None]) == KeyInformation(owner_uid="1234567")


@pytest.mark.parametrize("exchange", ["binance", "okx", "bybit", "htx"])
def test_what_was_refused_or_not_asked_stays_unknown(exchange: str) -> None:
    assert read(exchange, [None, None]) == KeyInformation()
    assert read(exchange, []) == KeyInformation()


@pytest.mark.parametrize(
    ("exchange", "answer"),
    [
        ("binance", {}),
        ("binance", {"code": -2015, "msg": "x"}),
        ("binance", {**BINANCE, "enableReading": "true"}),
        ("binance", {**BINANCE, "enableSpotAndMarginTrading": 1}),
        ("okx", {"code": "0", "data": []}),
        ("okx", {"code": 0, "data": [OKX]}),
        ("okx", {"code": "50119", "msg": "x"}),
        ("okx", {"code": "0", "data": [{"ip": ""}]}),
        ("okx", {"code": "0", "data": [{"perm": ["trade"]}]}),
        ("bybit", {"retCode": 10003, "result": BYBIT}),
        ("bybit", {"result": BYBIT}),
        ("bybit", {"retCode": 0, "result": {}}),
        ("bybit", {"retCode": False, "result": BYBIT}),
        ("bybit", {"retCode": 0, "result": {**BYBIT, "ips": "*"}}),
        ("bybit", {"retCode": 0, "result": {**BYBIT, "permissions": []}}),
        ("htx", {"code": 2002, "message": "x"}),
        ("htx", {"status": "ok", "data": 1}),
    ],
)
def test_an_answer_of_another_form_is_not_the_exchange(exchange: str, answer: Any) -> None:
    with pytest.raises(NotTheExchange):
        read(exchange, [answer])


@pytest.mark.parametrize("exchange", ["binance", "okx", "bybit", "htx"])
@pytest.mark.parametrize("answer", ["", "<html>", [], 1, True, "null"])
def test_no_json_object_is_not_the_exchange(exchange: str, answer: Any) -> None:
    with pytest.raises(NotTheExchange):
        read(exchange, [answer, answer])


def test_htx_telling_of_other_keys_only_is_not_an_answer() -> None:
    with pytest.raises(NotTheExchange):
        read("htx", htx(accessKey="ours-0002"))
