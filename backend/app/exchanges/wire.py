"""Requests and answers as they travel, free of any HTTP library."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Right(StrEnum):
    """What a key must be allowed to do for a request to be served."""

    PUBLIC = "public"
    """No key at all."""
    KEY = "key"
    """Any live key: a key may always ask what it is."""
    READ = "read"
    TRADE = "trade"
    TRANSFER = "transfer"
    WITHDRAW = "withdraw"
    UNLISTED = "unlisted"
    """A path no table names: the sandbox answers not found, a delegated key is refused."""


@dataclass(frozen=True, slots=True)
class WireRequest:
    """One request as the exchange sees it.

    `path` starts with a slash and has no sandbox prefix; `query` is the raw text after the
    question mark, still percent-encoded; `headers` has lower-case names.
    """

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """One answer as the exchange gives it."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What a signature is made from. Shown by no repr."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    passphrase: str | None = field(default=None, repr=False)
