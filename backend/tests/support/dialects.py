"""What the tests of the dialects share: requests, forgeries, hostile bodies."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar
from urllib.parse import unquote

from hypothesis import assume
from hypothesis import strategies as st

from backend.app.exchanges.dialects.base import Dialect
from backend.app.exchanges.wire import SigningKeys, WireRequest

NOW_MS = 1_790_000_000_123
KEYS = SigningKeys("key-of-a-test", "secret-of-a-test", "phrase-of-a-test")

# Beyond the widest window of the eight, HTX's five minutes.
_LATE_MS = 10 * 60_000
_ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=60)
_LETTERS = st.sampled_from("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")

wire_requests: st.SearchStrategy[WireRequest] = st.builds(
    WireRequest,
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=st.just("/api/v3/order"),
    query=_ASCII,
    body=_ASCII.map(str.encode),
)

_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
_ANSWER_NAMES = ("code", "msg", "label", "message", "success", "data", "status", "err-code")
hostile_bodies: st.SearchStrategy[str] = (
    st.text()
    | _json_values.map(json.dumps)
    | st.dictionaries(st.sampled_from(_ANSWER_NAMES), _json_values).map(json.dumps)
    | st.sampled_from(
        ["[" * 50_000, '{"code":' * 9_000, '{"code":1e999999999}', "\ud800", "9" * 5000]
    )
)


@st.composite
def forgeries(
    draw: st.DrawFn,
    dialect: Dialect,
    keys: SigningKeys = KEYS,
    signed_parts: Sequence[str] = ("path", "query", "body"),
) -> tuple[WireRequest, SigningKeys, int]:
    """Draw a signed request, its keys and the time, one of them changed after the signing."""
    signed = dialect.sign(draw(wire_requests), keys, NOW_MS)
    kind = draw(st.sampled_from(["request", "keys", "time"]))
    if kind == "time":
        return signed, keys, NOW_MS + draw(st.sampled_from([_LATE_MS, -_LATE_MS]))
    if kind == "keys":
        names = [name for name in ("api_key", "api_secret", "passphrase") if getattr(keys, name)]
        name = draw(st.sampled_from(names))
        return signed, replace(keys, **{name: _flipped(draw, getattr(keys, name))}), NOW_MS
    name = draw(st.sampled_from(signed_parts))
    return replace(signed, **{name: _flipped(draw, getattr(signed, name))}), keys, NOW_MS


T = TypeVar("T", str, bytes)


def _flipped(draw: st.DrawFn, content: T) -> T:
    text = content if isinstance(content, str) else content.decode()
    at, letter = draw(st.integers(0, max(len(text) - 1, 0))), draw(_LETTERS)
    flipped = f"{text[:at]}{letter}{text[at + 1 :]}"
    # Three exchanges sign the decoded query, where %4a and %4A are one.
    assume(unquote(flipped) != unquote(text))
    return flipped if isinstance(content, str) else flipped.encode()
