"""Twenty attempts a minute and address, counted together where there is a Redis."""

from collections.abc import Awaitable

import pytest
from pydantic import SecretStr

from backend.app.errors import AddressThrottled
from backend.app.services.address_limit import ATTEMPTS_PER_MINUTE, AddressLimit, network_of
from backend.tests.support.valkey import Valkey

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


def shared(valkey: Valkey, **patience: float) -> AddressLimit:
    # A busy machine takes its time; whoever is not answered in time counts alone.
    patience = {"redis_seconds_max": 60.0, **patience}
    return AddressLimit(SecretStr(valkey.url), **patience)


async def admitted(limit: AddressLimit, attempts: int, address: str = HERE) -> int:
    asked = [limit.take("login", address) for _ in range(attempts)]
    refusals = [each for each in [await _outcome(one) for one in asked] if each is not None]
    assert all(1 <= (each.retry_after_seconds or 0) <= 60 for each in refusals)
    return attempts - len(refusals)


async def _outcome(asked: Awaitable[None]) -> AddressThrottled | None:
    try:
        await asked
    except AddressThrottled as refused:
        return refused
    return None


async def test_an_address_has_twenty_attempts_and_another_has_its_own() -> None:
    limit = AddressLimit(None)

    assert await admitted(limit, 25) == ATTEMPTS_PER_MINUTE
    assert await admitted(limit, 25, ELSEWHERE) == ATTEMPTS_PER_MINUTE


async def test_registering_is_counted_apart_from_signing_in() -> None:
    limit = AddressLimit(None)
    await admitted(limit, 20)

    await limit.take("register", HERE)


async def test_two_processes_count_together(valkey: Valkey) -> None:
    one, two = shared(valkey), shared(valkey)

    assert await admitted(one, 12) + await admitted(two, 12) == ATTEMPTS_PER_MINUTE
    await one.close()
    await two.close()


async def test_a_dead_redis_refuses_nobody_it_should_not(valkey: Valkey) -> None:
    limit = shared(valkey)
    assert await admitted(limit, 5) == 5

    valkey.kill()

    assert await admitted(limit, 25) == ATTEMPTS_PER_MINUTE
    await limit.close()


async def test_a_hung_redis_is_waited_for_once(valkey: Valkey) -> None:
    limit = shared(valkey, redis_seconds_max=0.2)
    # Counted apart, wherever it was counted.
    await limit.take("register", HERE)
    valkey.hang()
    assert await admitted(limit, 25) == ATTEMPTS_PER_MINUTE
    valkey.resume()
    await limit.close()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("", "unknown"),
        ("not an address", "unknown"),
    ],
)
def test_one_house_counts_as_one(address: str, network: str) -> None:
    assert network_of(address) == network
