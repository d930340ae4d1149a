"""Codes and addresses are taken from foreign texts only where they look like what they are."""

from typing import Any

import pytest

from backend.app.exchanges.dialects.refusing import (
    REFUSAL_MAX_CHARACTERS,
    address_in,
    json_answer,
    parsed,
    raw_code,
    refusal,
)
from backend.app.exchanges.reasons import Reason


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Your IP 203.0.113.7 is not included in your API key's IP whitelist.", "203.0.113.7"),
        ("Signature not valid: Incorrect IP address [IP地址错误]:203.0.113.7", "203.0.113.7"),
        ("Invalid request ip, the current clientIp is:203.0.113.7", "203.0.113.7"),
        ("Request IP not in whitelist: 2001:DB8:0::7", "2001:db8::7"),
        ("invalid ip,current request ip 203.0.113.7.", "203.0.113.7"),
        ("IP [203.0.113.7] not in the ip white list", "203.0.113.7"),
        ("at 12:30:15 the address 203.0.113.7 was refused", "203.0.113.7"),
        ("no address at all, be careful: added 1.2.3", None),
        ("0.0.0.0 or ::", None),
        ("999.1.1.1", None),
        (" " * 1_000 + "203.0.113.7", None),
        ("", None),
    ],
)
def test_the_first_address_a_text_names_is_found(text: str, address: str | None) -> None:
    assert address_in(text) == address


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (-2015, "-2015"),
        ("50110", "50110"),
        ("api-signature-not-valid", "api-signature-not-valid"),
        ("INVALID_KEY", "INVALID_KEY"),
        ("x" * 40, "x" * 40),
        ("x" * 41, None),
        (10**30, None),
        (True, None),
        (None, None),
        ("", None),
        ("two words", None),
        ("1\n", None),
        ("٤٠", None),
        ("<b>", None),
        ([], None),
    ],
)
def test_only_what_looks_like_a_code_is_one(value: Any, code: str | None) -> None:
    assert raw_code(value) == code


def test_only_an_address_refusal_looks_for_an_address() -> None:
    assert refusal(Reason.IP_NOT_ALLOWED, "1", "from 203.0.113.7").seen_address == "203.0.113.7"
    assert refusal(Reason.RATE_LIMITED, "1", "from 203.0.113.7").seen_address is None


def test_a_body_longer_than_any_refusal_is_not_parsed() -> None:
    longest = '"' + "x" * (REFUSAL_MAX_CHARACTERS - 2) + '"'

    assert parsed(longest) is not None
    assert parsed(longest + " ") is None


def test_an_answer_is_compact_json_in_utf_8() -> None:
    answer = json_answer(400, {"msg": "错误", "data": None}, {"x-kind": "refusal"})

    assert answer.body == '{"msg":"错误","data":null}'.encode()
    assert answer.headers == {"content-type": "application/json", "x-kind": "refusal"}
