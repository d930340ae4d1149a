"""Requests that were answered, as an administrator may look for them, and sees them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from backend.app.schemas.fields import Moment

PAGE_REQUESTS_MAX: Final = 200
PAGE_REQUESTS_DEFAULT: Final = 50
_ROW_ID_MAX: Final = 2**63 - 1
_CURSOR: Final = re.compile(r"(\d{1,17})\.(\d{1,19})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_MAX: Final = 9999


@dataclass(frozen=True, slots=True)
class RequestPlace:
    """A place in the log, between two requests."""

    at: datetime
    id: int

    @classmethod
    def read(cls, cursor: str) -> Self:
        """Read a place as it was shown.

        Raises:
            ValueError: it was never shown.
        """
        found = _CURSOR.fullmatch(cursor)
        if found is None or int(found[2]) > _ROW_ID_MAX:
            raise ValueError("not a cursor of this list")
        try:
            at = _EPOCH + timedelta(microseconds=int(found[1]))
        except OverflowError:
            raise ValueError("not a cursor of this list") from None
        return cls(at, int(found[2]))

    def shown(self) -> str:
        """Return the place as a cursor."""
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}.{self.id}"


class RequestFilter(BaseModel):
    """Which requests are looked for; what is left out does not matter."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    user_id: int | None = Field(default=None, ge=1, le=_ROW_ID_MAX)
    request_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{8,64}$")] | None = None
    method: Annotated[str, Field(pattern=r"^[A-Z]{1,20}$")] | None = None
    route: Annotated[str, Field(pattern=r"^[ -~]{1,200}$")] | None = Field(
        default=None, description="The template: `/api/v1/credentials/{credential_id}`"
    )
    status: int | None = Field(default=None, ge=100, le=599)
    address: Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]{2,45}$")] | None = None
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to", description="not included")


class RequestQuery(RequestFilter):
    """What is looked for, and which part of it is shown."""

    limit: int = Field(default=PAGE_REQUESTS_DEFAULT, ge=1, le=PAGE_REQUESTS_MAX)
    cursor: Annotated[str, Field(pattern=rf"^{_CURSOR.pattern}$")] | None = Field(
        default=None, description="`next_cursor` of the last page"
    )


class AnsweredRequest(BaseModel):
    """One request: who asked for which route, and how it went."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    request_id: str
    method: str
    route: str
    status: int
    user_id: int | None
    key_prefix: str | None
    address: str | None
    duration_us: int
    request_bytes: int
    response_bytes: int


class RequestLogPage(BaseModel):
    """Requests, the latest first."""

    items: list[AnsweredRequest]
    next_cursor: str | None
