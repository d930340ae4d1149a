"""What opening a secret costs over a bare Fernet. What recording it costs: bench/audit.py."""

import asyncio
import math
import time
import timeit
from collections.abc import Awaitable, Callable

from cryptography.fernet import Fernet

from backend.app.secret_value import SecretValue
from backend.app.services.crypto_service import CryptoService
from backend.app.services.envelope import FieldContext
from backend.app.services.key_ring import KeyRing

_SECRET = "x" * 64
_CALLS = 3_000
_REPEATS = 5
_OPENING_RATIO_GOAL = 10.0


def _microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=_CALLS, repeat=_REPEATS)) / _CALLS * 1e6


async def _microseconds_awaited(call: Callable[[], Awaitable[object]]) -> float:
    best = math.inf
    for _ in range(_REPEATS):
        started = time.perf_counter()
        for _ in range(_CALLS):
            await call()
        best = min(best, time.perf_counter() - started)
    return best / _CALLS * 1e6


async def _openings() -> None:
    crypto = CryptoService(KeyRing.from_environment(CryptoService.generate_key()))
    await crypto.unlock(await crypto.new_dek(0))
    key = await crypto.new_dek(7)
    field = FieldContext(7, "api_credentials", 42, "encrypted_api_secret", 1, key.dek_id)
    sealed = await crypto.encrypt(SecretValue(_SECRET), field, key)
    bare = Fernet(Fernet.generate_key())
    token = bare.encrypt(_SECRET.encode())

    async def open_cold() -> None:
        crypto.forget(key)
        await crypto.decrypt(sealed, field, key)

    reference = _microseconds(lambda: bare.decrypt(token))
    warm = await _microseconds_awaited(lambda: crypto.decrypt(sealed, field, key))
    cold = await _microseconds_awaited(open_cold)
    met = "met" if warm / reference < _OPENING_RATIO_GOAL else "MISSED"
    print(
        f"{'open, data key in memory':<34} {warm:>8.1f} us {reference:>8.1f} us"
        f" {warm / reference:>6.2f}x  goal < {_OPENING_RATIO_GOAL}x {met}"
    )
    # Two tokens and two derivations; once a minute and key, beside a read of the database.
    print(
        f"{'open, data key unwrapped first':<34} {cold:>8.1f} us {reference:>8.1f} us"
        f" {cold / reference:>6.2f}x"
    )


def main() -> None:
    asyncio.run(_openings())


if __name__ == "__main__":
    main()
