"""Traders whom a proxy in front names by a header, where the operator has said so."""

import re
from typing import Final

from backend.app.enums import Role
from backend.app.errors import BadRequest
from backend.app.services.principal import Principal

ACCOUNTS_FROM: Final = 2**40
"""Above every user's id: whom a header names is never one of our users."""
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,9}")


def identified(
    number: str, *, request_id: str | None = None, address: str | None = None
) -> Principal:
    """Return the trader of this number.

    Raises:
        BadRequest: it is no whole number from 1 to 9999999999.
    """
    if not _NUMBER.fullmatch(number):
        raise BadRequest("The header that names the trader holds no whole number.")
    account_id = ACCOUNTS_FROM + int(number)
    return Principal(account_id, f"trader-{number}", Role.USER, None, request_id, address)
