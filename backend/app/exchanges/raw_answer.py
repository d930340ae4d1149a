"""What an exchange said, word for word, and read as strict JSON without a single float."""

import json
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Any, NoReturn


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One answer of an exchange. Its text may repeat what we sent, so no repr shows it."""

    status: int
    text: str = field(repr=False)
    value: Any = field(repr=False)
    """The parsed body; None where it is no JSON, or JSON's null."""

    @classmethod
    def read(cls, status: int, body: bytes) -> "RawAnswer":
        """Read a body that may be anything. Never raises."""
        text = body.decode("utf-8", errors="replace")
        return cls(status, text, _parsed(text))

    @property
    def accepted(self) -> bool:
        """Whether the status is the one all eight use for success; the body decides the rest."""
        return self.status == HTTPStatus.OK


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    # Too deep, or a number with more digits than Python converts, is as good as no JSON.
    except (ValueError, RecursionError, InvalidOperation):
        return None


def _refuse_constant(_name: str) -> NoReturn:
    # NaN and Infinity are Python's idea of JSON, not JSON's.
    raise ValueError
