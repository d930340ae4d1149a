"""How the eight read and write refusals: bounded parsing, short codes, checked addresses."""

import ipaddress
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.wire import WireAnswer

# No refusal of the eight is longer; a longer body is not read at all.
REFUSAL_MAX_CHARACTERS = 65_536
_TEXT_READ_MAX_CHARACTERS = 1_000

_CODE = re.compile(r"[A-Za-z0-9._-]{1,40}", re.ASCII)
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{3,47}", re.ASCII)


def parsed(body: str) -> Any:
    """Parse a body as JSON; None where it is none, or too long or too deep to be a refusal."""
    if len(body) > REFUSAL_MAX_CHARACTERS:
        return None
    try:
        return json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return None


def parsed_object(body: str) -> dict[str, Any] | None:
    """Parse a body as a JSON object, or return None."""
    value = parsed(body)
    return value if isinstance(value, dict) else None


def raw_code(value: Any) -> str | None:
    """Return an exchange's own code where it looks like one, else None.

    Anything longer or of other characters could be a text that repeats a key.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    if isinstance(value, int) and abs(value) >= 10**20:
        return None
    text = str(value)
    return text if _CODE.fullmatch(text) else None


def text_of(value: Any) -> str:
    """Return the beginning of a message, or nothing where there is none."""
    return value[:_TEXT_READ_MAX_CHARACTERS] if isinstance(value, str) else ""


def address_in(text: str) -> str | None:
    """Return the first internet address a text names, in its canonical form."""
    for found in _ADDRESS.findall(text[:_TEXT_READ_MAX_CHARACTERS]):
        for candidate in (found, found.strip(":."), found.rstrip(".")):
            try:
                address = ipaddress.ip_address(candidate)
            except ValueError:
                continue
            if not address.is_unspecified:
                return str(address)
    return None


def refusal(reason: Reason, code: str | None, text: str = "") -> Refusal:
    """Build a refusal; the address is read from the text only where the address is the reason."""
    seen = address_in(text) if reason is Reason.IP_NOT_ALLOWED else None
    return Refusal(reason, code, seen)


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> WireAnswer:
    """Write an answer as the exchanges do: compact JSON in UTF-8."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return WireAnswer(status, body, {"content-type": "application/json", **(headers or {})})
