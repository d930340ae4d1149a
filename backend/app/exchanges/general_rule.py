"""The general rule behind the eight tables: what status, shape and plain words tell."""

import re
from http import HTTPStatus

from backend.app.exchanges.dialects.refusing import parsed
from backend.app.exchanges.reasons import Reason, Refusal

_BY_STATUS = {
    418: Reason.RATE_LIMITED,
    429: Reason.RATE_LIMITED,
    451: Reason.REGION_RESTRICTED,
    408: Reason.EXCHANGE_UNAVAILABLE,
}
_TEXT_READ_MAX_CHARACTERS = 1_000


def by_shape(http_status: int, body: str, code: str | None = None) -> Refusal:
    """Judge an answer that no table knows, by its status, its shape and, last, its words.

    `code` is the exchange's own where it gave one that no table lists.
    """
    if http_status in _BY_STATUS:
        return Refusal(_BY_STATUS[http_status], code)
    if http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Refusal(Reason.EXCHANGE_UNAVAILABLE, code)
    if code is not None:
        return Refusal(_by_words(body), code)
    # A refusal without a code may come from anything on the way: no verdict on the key.
    refused = http_status >= HTTPStatus.BAD_REQUEST and http_status != HTTPStatus.FORBIDDEN
    if refused and (not body.strip() or parsed(body) is not None):
        return Refusal(Reason.UNKNOWN)
    return Refusal(Reason.EXCHANGE_UNAVAILABLE)


def _by_words(body: str) -> Reason:
    words = body[:_TEXT_READ_MAX_CHARACTERS].lower()
    for reason, pattern in _WORDS:
        if pattern.search(words):
            return reason
    return Reason.UNKNOWN


_WORDS = tuple(
    (reason, re.compile(pattern))
    for reason, pattern in (
        (Reason.EXCHANGE_UNAVAILABLE, r"\bmaintenance\b|system (is )?busy|service unavailable"),
        (Reason.RATE_LIMITED, r"too many (requests|visits)|rate.?limit|too frequent"),
        (Reason.KEY_EXPIRED, r"api.?key (has |is )?expired"),
    )
)
