"""What the eight ways of signing have in common: MACs, times, raw queries.

A query stays the text that travels: exchanges sign what they receive, so decoding and encoding
again would let two different requests share one signature.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote, unquote, unquote_plus

from backend.app.exchanges.wire import WireRequest

# Keys of the eight have up to 64 characters; what is not plain text never reaches a look-up.
_KEY_MAX_CHARACTERS = 256
_KEY = re.compile(r"[!-~]+", re.ASCII)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,16}", re.ASCII)
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def hmac_hex(secret: str, text: str | bytes, digest: str = "sha256") -> str:
    """Return the HMAC of a text in lower-case hex."""
    return hmac.digest(_bytes(secret), _bytes(text), digest).hex()


def hmac_base64(secret: str, text: str | bytes, digest: str = "sha256") -> str:
    """Return the HMAC of a text in standard base64."""
    return base64.b64encode(hmac.digest(_bytes(secret), _bytes(text), digest)).decode("ascii")


def sha512_hex(content: bytes) -> str:
    """Return the SHA-512 of some bytes in lower-case hex."""
    return hashlib.sha512(content).hexdigest()


def same(given: str | None, expected: str | None) -> bool:
    """Compare in constant time. Nothing given, or nothing to compare with, is not the same."""
    if given is None or expected is None:
        return False
    return hmac.compare_digest(_bytes(given), _bytes(expected))


def body_text(request: WireRequest) -> str:
    """Return the body as text, losslessly: signing it signs the bytes that travel."""
    return request.body.decode("utf-8", "surrogateescape")


def raw_pairs(query: str) -> list[tuple[str, str]]:
    """Split a query at & and the first =, decoding nothing."""
    return [
        (name, value)
        for name, _, value in (part.partition("=") for part in query.split("&") if part)
    ]


def decoded_pairs(query: str, errors: str = "replace") -> list[tuple[str, str]]:
    """Split a query and decode its names and values."""
    return [
        (unquote_plus(name, errors=errors), unquote_plus(value, errors=errors))
        for name, value in raw_pairs(query)
    ]


def parameter(query: str, name: str) -> str | None:
    """Return the decoded value of the first parameter of this name, or None."""
    return next((value for found, value in decoded_pairs(query) if found == name), None)


def count_of(query: str, name: str) -> int:
    """Count the parameters of this name."""
    return sum(found == name for found, _ in decoded_pairs(query))


def without(query: str, *names: str) -> str:
    """Return the query as it was, less the parameters of these names."""
    return "&".join(
        part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in names
    )


def joined(*queries: str) -> str:
    """Join the parts of a query that are not empty."""
    return "&".join(part for part in queries if part)


def encoded(pairs: Iterable[tuple[str, str]]) -> str:
    """Percent-encode pairs in their order, with upper-case escapes, a space as %20."""
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)


def decoded(query: str) -> str:
    """Return a query without its percent-encoding, losslessly; a plus stays a plus."""
    return unquote(query, errors="surrogateescape")


def named_key(text: str | None) -> str | None:
    """Return an API key as a request names it; None where no exchange issues such a key."""
    return text if text and len(text) <= _KEY_MAX_CHARACTERS and _KEY.fullmatch(text) else None


def with_headers(request: WireRequest, **headers: str) -> WireRequest:
    """Return the request with these headers set; underscores in the names stand for hyphens."""
    added = {name.replace("_", "-"): value for name, value in headers.items()}
    return replace(request, headers={**request.headers, **added})


def whole_number(text: str | None) -> int | None:
    """Read up to sixteen decimal digits, or None."""
    return int(text) if text is not None and _WHOLE_NUMBER.fullmatch(text) else None


def in_window(sent_ms: int | None, now_ms: int, behind_ms: int, ahead_ms: int) -> bool:
    """Say whether a request's time lies in the accepted window around now, ends included."""
    return sent_ms is not None and -behind_ms <= sent_ms - now_ms <= ahead_ms


def iso_milliseconds(unix_ms: int) -> str:
    """Write a moment as UTC with milliseconds, for example 2026-11-21T07:08:15.298Z."""
    return f"{iso_seconds(unix_ms)}.{unix_ms % 1000:03d}Z"


def iso_seconds(unix_ms: int) -> str:
    """Write a moment as UTC to the second, without a zone, for example 2026-11-21T07:08:15."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def moment_ms(text: str | None) -> int | None:
    """Read an ISO-8601 time as Unix milliseconds (without a zone it is UTC), or None."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        elapsed = zoned - _UNIX_EPOCH
    except (ValueError, OverflowError):
        return None
    return (elapsed.days * 86_400 + elapsed.seconds) * 1000 + elapsed.microseconds // 1000


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")


def _bytes(text: str | bytes) -> bytes:
    # Foreign headers and bodies decode to lone surrogates where they are no UTF-8.
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
