"""What the log says of a key that was tried: the exchange and the verdict, nothing of the key."""

import json

import pytest

from backend.app.clock import utc_now
from backend.app.enums import Environment
from backend.app.exchanges.key_information import Balance, OpenOrders
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.verification import ExchangeKeys, Verification
from backend.app.secret_value import SecretValue
from backend.app.services.exchange_service import ExchangeService
from backend.tests.support.logs import house_logging

KEYS = ExchangeKeys("an-api-key-of-a-test", SecretValue("a-secret-of-a-test"))


class Exchange:
    """An exchange that says one thing."""

    def __init__(self, said: Verification) -> None:
        self._said = said

    async def verify(self, exchange: str, keys: ExchangeKeys) -> Verification:
        return self._said

    async def balances(self, exchange: str, keys: ExchangeKeys) -> tuple[Balance, ...]:
        return ()

    async def open_orders(self, exchange: str, keys: ExchangeKeys) -> OpenOrders:
        return OpenOrders((), is_complete=True)

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("refusal", "standing", "reason"),
    [
        (None, "valid", None),
        (Refusal(Reason.KEY_EXPIRED), "invalid", "key_expired"),
        (Refusal(Reason.RATE_LIMITED), "no_verdict", "rate_limited"),
    ],
)
async def test_a_key_that_was_tried_leaves_one_line_without_a_word_of_the_key(
    refusal: Refusal | None, standing: str, reason: str | None
) -> None:
    exchange = Exchange(Verification(refusal, latency_ms=12))
    service = ExchangeService(exchange, Environment.SANDBOX, utc_now)

    with house_logging() as log:
        await service.ask("bybit", KEYS)

    line = json.loads(log.getvalue())
    assert (line["event"], line["exchange"]) == ("key_verified", "bybit")
    assert (line["standing"], line["reason"], line["milliseconds"]) == (standing, reason, 12)
    assert not any(word in log.getvalue() for word in (KEYS.api_key, "a-secret-of-a-test"))
