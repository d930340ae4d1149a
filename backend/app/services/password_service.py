"""Passwords: which are accepted, and how they are checked without holding anybody up.

Argon2id takes tens of milliseconds and 19 MiB on purpose, so it runs in two threads with a
bounded queue; more than that is refused rather than left waiting.

Source: OWASP Password Storage Cheat Sheet; NIST SP 800-63B section 3.1.1.
"""

import asyncio
import secrets
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, ParamSpec, Protocol, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import SecretStr

from backend.app.errors import PasswordQueueFull, PasswordRefused
from backend.app.services.common_passwords import COMMON_PASSWORDS

MEMORY_KIB: Final = 19456
PASSES: Final = 2
LANES: Final = 1
THREADS: Final = 2
QUEUE_MAX: Final = 64

_PRODUCT_NAME: Final = "strongroom"
_RETRY_AFTER_SECONDS: Final = 2
_GENERATED_BYTES: Final = 18
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32

P = ParamSpec("P")
T = TypeVar("T")


class Hasher(Protocol):
    """What argon2's `PasswordHasher` offers and we use."""

    def hash(self, password: str) -> str:
        """Return the password's hash with a salt of its own."""
        ...

    def verify(self, hash: str, password: str) -> bool:  # noqa: A002 - argon2's own name
        """Return true, or raise `VerificationError`."""
        ...

    def check_needs_rehash(self, hash: str) -> bool:  # noqa: A002
        """Return whether the hash was made with other parameters than ours."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """Whether a password was right, and a better hash of it if the stored one has aged."""

    matches: bool
    better_hash: str | None = None


class PasswordService:
    """Hashes and checks passwords off the event loop."""

    def __init__(self, hasher: Hasher | None = None) -> None:
        self._hasher: Hasher = hasher or PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES
        )
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        self._room = threading.BoundedSemaphore(THREADS + QUEUE_MAX)
        # Checked for names nobody has, so that they cost what real ones cost.
        self._nobodys_hash = _nobodys_hash()

    async def hash(self, password: SecretStr) -> str:
        """Return what to store for a password.

        Raises:
            PasswordQueueFull: too many wait already.
        """
        return await self._in_thread(self._hasher.hash, password.get_secret_value())

    async def check(self, stored: str | None, password: SecretStr) -> Checked:
        """Compare a password with a stored hash; without one, take as long and say no.

        Raises:
            PasswordQueueFull: too many wait already.
        """
        return await self._in_thread(self._check, stored, password.get_secret_value())

    def close(self) -> None:
        """Let the threads finish what they do and go."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _check(self, stored: str | None, password: str) -> Checked:
        try:
            self._hasher.verify(stored or self._nobodys_hash, password)
        except (VerificationError, InvalidHashError):
            return Checked(matches=False)
        if stored is None:
            return Checked(matches=False)
        aged = self._hasher.check_needs_rehash(stored)
        return Checked(matches=True, better_hash=self._hasher.hash(password) if aged else None)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if not self._room.acquire(blocking=False):
            raise PasswordQueueFull(retry_after_seconds=_RETRY_AFTER_SECONDS)
        job = self._pool.submit(work, *args, **kwargs)
        # The room is free when the thread is, not when the caller stops waiting.
        job.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(job)


def _nobodys_hash() -> str:
    # Well formed, so that checking it costs all of it; drawn, so that making it costs nothing.
    salt, digest = (
        b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()
        for size in (_SALT_BYTES, _HASH_BYTES)
    )
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"


def refuse_guessable(password: SecretStr, username: str) -> None:
    """Let a new password pass unless a guesser would try it early.

    Raises:
        PasswordRefused: a common one, or one that holds the product's or the user's name.
    """
    folded = password.get_secret_value().casefold()
    if folded in COMMON_PASSWORDS:
        raise PasswordRefused("This is one of the passwords every guesser tries first.")
    if _PRODUCT_NAME in folded or username.casefold() in folded:
        raise PasswordRefused("A password holds neither the name of the product nor your own.")


def new_password() -> SecretStr:
    """Return a random password that nobody guesses."""
    return SecretStr(secrets.token_urlsafe(_GENERATED_BYTES))
