"""Checked reading of foreign JSON: the documented form, or `NotTheExchange`.

The caller parses with `parse_float=Decimal`; a float that arrives here all the same is refused.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from backend.app.enums import Known
from backend.app.exchanges.dialects.base import NotTheExchange
from backend.app.exchanges.key_information import Balance

# Longer than any amount an exchange prints; keeps the work on a hostile answer small.
_AMOUNT_MAX_CHARACTERS = 64
_AMOUNT_MAX = Decimal(10) ** 40
# Written out, 1e-99999999 is a hundred million characters.
_AMOUNT_PLACES_MAX = 40
_TEXT_MAX_CHARACTERS = 4096
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def answer_at(answers: Sequence[Any], index: int) -> Any:
    """Return the answer at this place; None where the call was refused or not made."""
    return answers[index] if index < len(answers) else None


def object_in(value: Any, name: str | None = None) -> dict[str, Any]:
    """Return a JSON object, or the one under this name of it.

    Raises:
        NotTheExchange: it is something else, or absent.
    """
    if not isinstance(value, dict):
        raise NotTheExchange
    return value if name is None else object_in(value.get(name))


def list_in(value: Any, name: str | None = None) -> list[Any]:
    """Return a JSON list, or the one under this name of an object.

    Raises:
        NotTheExchange: it is something else, or absent.
    """
    found = value if name is None else object_in(value).get(name)
    if not isinstance(found, list):
        raise NotTheExchange
    return found


def objects_in(value: Any, name: str | None = None) -> list[dict[str, Any]]:
    """Return a JSON list of objects, or the one under this name of an object.

    Raises:
        NotTheExchange: it is something else, or absent.
    """
    return [object_in(item) for item in list_in(value, name)]


def text_in(value: dict[str, Any], name: str) -> str:
    """Return a text under this name; a whole number counts as its digits.

    Raises:
        NotTheExchange: absent, empty, too long or of another kind.
    """
    text = optional_text_in(value, name)
    if text is None:
        raise NotTheExchange
    return text


def optional_text_in(value: dict[str, Any], name: str) -> str | None:
    """Return a text under this name, or None where it is absent, null or empty.

    Raises:
        NotTheExchange: too long, not printable or of another kind.
    """
    found = value.get(name)
    if found is None or found == "":
        return None
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise NotTheExchange
    if isinstance(found, int):
        return str(whole_in(value, name))
    # Half a surrogate pair or a NUL is valid JSON, and fits into no answer and no database.
    if len(found) > _TEXT_MAX_CHARACTERS or not found.isprintable():
        raise NotTheExchange
    return found


def whole_in(value: dict[str, Any], name: str) -> int:
    """Return a whole number under this name, written as number or as text.

    Raises:
        NotTheExchange: absent, fractional, over forty digits or of another kind.
    """
    number = _number(value.get(name))
    if number != number.to_integral_value():
        raise NotTheExchange
    return int(number)


def amount_in(value: dict[str, Any], name: str) -> Decimal:
    """Return an amount under this name: finite, not negative, never a float.

    Raises:
        NotTheExchange: absent, negative, not finite or of another kind.
    """
    amount = _number(value.get(name))
    if amount < 0:
        raise NotTheExchange
    # -0 and 0 are one amount.
    return amount.copy_abs()


def optional_amount_in(value: dict[str, Any], name: str) -> Decimal:
    """Return an amount under this name; zero where it is absent, null or empty.

    Raises:
        NotTheExchange: negative, not finite or of another kind.
    """
    return Decimal(0) if value.get(name) in (None, "") else amount_in(value, name)


def known_in(value: dict[str, Any], name: str) -> Known:
    """Return the boolean under this name; absent or null stays unknown.

    Raises:
        NotTheExchange: it is no boolean.
    """
    found = value.get(name)
    if found is None:
        return Known.UNKNOWN
    if not isinstance(found, bool):
        raise NotTheExchange
    return known(found)


def known(statement: bool) -> Known:
    """Say yes or no."""
    return Known.YES if statement else Known.NO


def granted(held: Collection[str], by: Collection[str], documented: Collection[str]) -> Known:
    """Say whether one of these words is held.

    Beside a word nobody documented a missing right stays unknown: the word may be its new name.
    """
    if any(word in held for word in by):
        return Known.YES
    return Known.NO if all(word in documented for word in held) else Known.UNKNOWN


def words_in(value: dict[str, Any], name: str) -> tuple[str, ...]:
    """Return a comma list under this name as trimmed words; absent or null is empty.

    Raises:
        NotTheExchange: it is no text.
    """
    found = value.get(name)
    if found is None:
        return ()
    if not isinstance(found, str) or len(found) > _TEXT_MAX_CHARACTERS:
        raise NotTheExchange
    return tuple(word for word in (part.strip() for part in found.split(",")) if word)


def texts_in(value: dict[str, Any], name: str) -> tuple[str, ...]:
    """Return a list of texts under this name; absent or null is empty.

    Raises:
        NotTheExchange: it is no list of texts.
    """
    if value.get(name) is None:
        return ()
    found = list_in(value, name)
    if not all(isinstance(item, str) and len(item) <= _TEXT_MAX_CHARACTERS for item in found):
        raise NotTheExchange
    return tuple(item.strip() for item in found if item.strip())


def moment_in(value: dict[str, Any], name: str) -> datetime | None:
    """Return the Unix milliseconds under this name as a moment, or None where they are absent.

    Raises:
        NotTheExchange: it is no whole number, or beyond the calendar.
    """
    if value.get(name) in (None, "", 0, "0"):
        return None
    try:
        return _UNIX_EPOCH + timedelta(milliseconds=whole_in(value, name))
    except OverflowError:
        raise NotTheExchange from None


def balances(rows: Iterable[Balance]) -> tuple[Balance, ...]:
    """Return what is not zero, one row per asset, by name; rows of one asset are added up."""
    held: dict[str, Balance] = {}
    for row in rows:
        before = held.get(row.asset, Balance(row.asset, Decimal(0)))
        held[row.asset] = Balance(
            row.asset, before.available + row.available, before.locked + row.locked
        )
    return tuple(held[asset] for asset in sorted(held) if held[asset].total)


def _number(found: Any) -> Decimal:
    if isinstance(found, bool) or not isinstance(found, str | int | Decimal):
        raise NotTheExchange
    if isinstance(found, str) and (len(found) > _AMOUNT_MAX_CHARACTERS or "_" in found):
        raise NotTheExchange
    try:
        number = Decimal(found)
    except InvalidOperation:
        raise NotTheExchange from None
    if not number.is_finite() or number.copy_abs() > _AMOUNT_MAX:
        raise NotTheExchange
    if abs(int(number.as_tuple().exponent)) > _AMOUNT_PLACES_MAX:
        raise NotTheExchange
    return number
