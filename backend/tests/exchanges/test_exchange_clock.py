"""The exchange's clock: read where the answer tells it, kept for a minute."""

from typing import Any

import pytest

from backend.app.exchanges.ccxt_profiles import CCXT_PROFILES
from backend.app.exchanges.exchange_clock import KEPT_SECONDS, ExchangeClocks

MOMENT_MS = 1_795_000_000_123
ANSWERS: dict[str, Any] = {
    "binance": {"serverTime": MOMENT_MS},
    "okx": {"code": "0", "data": [{"ts": str(MOMENT_MS)}], "msg": ""},
    "bybit": {"retCode": 0, "result": {"timeSecond": "1795000000"}, "time": MOMENT_MS},
    "kucoin": {"code": "200000", "data": MOMENT_MS},
    "bitget": {"code": "00000", "data": {"serverTime": str(MOMENT_MS)}},
    "mexc": {"serverTime": MOMENT_MS},
}


@pytest.mark.parametrize("exchange", ANSWERS)
def test_the_time_is_found_where_the_exchange_puts_it(exchange: str) -> None:
    time_call = CCXT_PROFILES[exchange].time

    assert time_call is not None
    assert time_call.read_ms(ANSWERS[exchange]) == MOMENT_MS


@pytest.mark.parametrize("exchange", ANSWERS)
@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        {},
        "1795000000123",
        {"serverTime": True, "data": True, "time": True},
        {"serverTime": -1, "data": [{"ts": "-1"}], "time": "1e12"},
        {"serverTime": 10**30, "data": {"serverTime": "9" * 400}, "time": "٣"},
        {"serverTime": {}, "data": [], "time": []},
    ],
)
def test_what_is_no_time_is_no_reading(exchange: str, said: Any) -> None:
    time_call = CCXT_PROFILES[exchange].time

    assert time_call is not None
    assert time_call.read_ms(said) is None


def test_a_reading_is_kept_for_a_minute_and_for_its_exchange_only() -> None:
    now = [100.0]
    clocks = ExchangeClocks(lambda: now[0])
    clocks.keep("okx", -17)

    now[0] += KEPT_SECONDS
    assert (clocks.offset_ms("okx"), clocks.offset_ms("bybit")) == (-17, None)
    now[0] += 0.1
    assert clocks.offset_ms("okx") is None
