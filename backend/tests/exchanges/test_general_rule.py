"""What status, shape and plain words tell where no table does."""

import pytest

from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.registry import SUPPORTED, classify_refusal

PAGE = "<!DOCTYPE html><html><title>Attention Required! | Cloudflare</title></html>"


@pytest.mark.parametrize("exchange", SUPPORTED)
@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (403, PAGE, Reason.EXCHANGE_UNAVAILABLE),
        (403, "", Reason.EXCHANGE_UNAVAILABLE),
        (401, PAGE, Reason.EXCHANGE_UNAVAILABLE),
        (404, PAGE, Reason.EXCHANGE_UNAVAILABLE),
        (404, "", Reason.UNKNOWN),
        (400, "{}", Reason.UNKNOWN),
        (408, "", Reason.EXCHANGE_UNAVAILABLE),
        (418, "", Reason.RATE_LIMITED),
        (429, PAGE, Reason.RATE_LIMITED),
        (451, PAGE, Reason.REGION_RESTRICTED),
        (500, "", Reason.EXCHANGE_UNAVAILABLE),
        (502, PAGE, Reason.EXCHANGE_UNAVAILABLE),
        (503, "{}", Reason.EXCHANGE_UNAVAILABLE),
        (200, PAGE, Reason.EXCHANGE_UNAVAILABLE),
        (200, "", Reason.EXCHANGE_UNAVAILABLE),
        (200, "null", Reason.EXCHANGE_UNAVAILABLE),
        (200, "{}", Reason.EXCHANGE_UNAVAILABLE),
        (302, "", Reason.EXCHANGE_UNAVAILABLE),
    ],
)
def test_an_answer_no_table_knows_is_judged_by_status_and_shape(
    exchange: str, status: int, body: str, reason: Reason
) -> None:
    assert classify_refusal(exchange, status, body) == Refusal(reason)


@pytest.mark.parametrize(
    ("status", "words", "reason"),
    [
        (400, "System is under maintenance", Reason.EXCHANGE_UNAVAILABLE),
        (400, "Too many requests, slow down", Reason.RATE_LIMITED),
        (400, "Your API key has expired", Reason.KEY_EXPIRED),
        (400, "Balance insufficient", Reason.UNKNOWN),
        (429, "Balance insufficient", Reason.RATE_LIMITED),
        (502, "Balance insufficient", Reason.EXCHANGE_UNAVAILABLE),
    ],
)
def test_an_unlisted_code_is_kept_and_read_by_status_and_words(
    status: int, words: str, reason: Reason
) -> None:
    body = f'{{"code":-7777,"msg":"{words}"}}'

    assert classify_refusal("binance", status, body) == Refusal(reason, "-7777")
