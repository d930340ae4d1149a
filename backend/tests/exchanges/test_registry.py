"""The eight names, their aliases, and a classification that never fails."""

import json
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.app.errors import ExchangeUnknown
from backend.app.exchanges.reasons import Reason, Refusal, Standing
from backend.app.exchanges.registry import (
    SUPPORTED,
    ExchangeId,
    classify_refusal,
    dialect,
    profile,
    resolve,
)
from backend.app.exchanges.wire import WireRequest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "code",
                    "msg",
                    "message",
                    "label",
                    "retCode",
                    "retMsg",
                    "status",
                    "err-code",
                    "err-msg",
                    "err_code",
                    "data",
                    "sCode",
                    "sMsg",
                    "success",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


def test_the_eight_are_those_of_ccxt() -> None:
    assert SUPPORTED == ("binance", "okx", "bybit", "htx", "kucoin", "gate", "bitget", "mexc")


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_a_name_resolves_to_itself_in_any_case(exchange: str) -> None:
    assert resolve(f"  {exchange.upper()}\t") == exchange
    assert type(resolve(exchange)) is str


@pytest.mark.parametrize(
    ("alias", "exchange"),
    [
        ("huobi", "htx"),
        ("HuobiPro", "htx"),
        ("gateio", "gate"),
        (" Gate.io ", "gate"),
        ("OKEx", "okx"),
    ],
)
def test_a_former_name_resolves_to_the_present_one(alias: str, exchange: str) -> None:
    assert resolve(alias) == exchange


@pytest.mark.parametrize("name", ["", "kraken", "binance us", "bınance", "okx\x00"])
def test_an_unknown_name_is_refused_without_being_repeated(name: str) -> None:
    with pytest.raises(ExchangeUnknown) as refused:
        resolve(name)

    assert refused.value.facts["supported"] == list(SUPPORTED)
    assert refused.value.facts["errors"][0]["loc"] == ["body", "exchange_name"]
    assert not name or name not in f"{refused.value.detail} {refused.value.facts}"


def test_a_passphrase_is_needed_where_keys_have_one() -> None:
    needing = {exchange for exchange in SUPPORTED if profile(exchange).needs_passphrase}

    assert needing == {"okx", "kucoin", "bitget"}


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_a_profile_tells_where_and_how_to_make_a_key(exchange: str) -> None:
    about = profile(exchange)

    assert about.exchange is ExchangeId(exchange)
    assert about.key_page.startswith("https://www.")
    assert about.rights_to_tick
    assert not [right for right in about.rights_to_tick if "withdraw" in right.lower()]


@pytest.mark.parametrize("exchange", SUPPORTED)
def test_a_dialect_is_built_once(exchange: str) -> None:
    assert dialect(exchange) is dialect(exchange.upper())
    assert dialect(exchange).exchange == exchange


def test_the_border_is_light_to_import() -> None:
    program = (
        "import sys, backend.app.exchanges.registry as r; [r.dialect(e) for e in r.SUPPORTED];"
        "print(sorted({'ccxt', 'aiohttp', 'sqlalchemy'} & set(sys.modules)))"
    )

    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert said.stdout.strip() == "[]"


def checked(refusal: Refusal) -> None:
    assert isinstance(refusal.reason, Reason)
    assert refusal.code is None or re.fullmatch(r"[A-Za-z0-9._-]{1,40}", refusal.code)


@pytest.mark.parametrize("exchange", SUPPORTED)
@given(status=st.integers(-1, 1000), body=JSON)
def test_any_json_is_classified(exchange: str, status: int, body: object) -> None:
    checked(classify_refusal(exchange, status, json.dumps(body)))


@pytest.mark.parametrize("exchange", SUPPORTED)
@given(status=st.integers(), body=st.text(max_size=200))
def test_any_text_is_classified(exchange: str, status: int, body: str) -> None:
    checked(classify_refusal(exchange, status, body))


@pytest.mark.parametrize("exchange", SUPPORTED)
@pytest.mark.parametrize(
    "body",
    [
        "[" * 60_000,
        '{"code":' * 7_000,
        '{"code":' + "9" * 60_000 + "}",
        '{"code":1e999999999,"retCode":1e999999999}',
        '{"code":NaN,"retCode":Infinity,"msg":-Infinity}',
        '{"code":"\\ud800","msg":"\\udfff"}',
        '{"code":"' + "x" * 5_000_000 + '"}',
        "<html>" + "IP 1.2.3.4 " * 500_000,
    ],
    ids=lambda body: body[:12],
)
def test_a_huge_or_twisted_body_is_classified(exchange: str, body: str) -> None:
    checked(classify_refusal(exchange, 200, body))


@pytest.mark.parametrize("exchange", SUPPORTED)
@settings(max_examples=20)
@given(reason=st.sampled_from(Reason), address=st.ip_addresses())
def test_every_refusal_an_exchange_writes_can_be_read(
    exchange: str, reason: Reason, address: object
) -> None:
    answer = dialect(exchange).render_refusal(reason, WireRequest("GET", "/"), str(address))

    read = classify_refusal(exchange, answer.status, answer.body.decode())
    checked(read)
    # Its nearest words may be another reason's, but a verdict never becomes none, nor the reverse.
    no_verdict = Refusal(reason).standing is Standing.NO_VERDICT
    assert (read.standing is Standing.NO_VERDICT) is no_verdict
