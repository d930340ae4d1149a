"""Events of the audit trail as they may be looked for, and shown."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from backend.app.schemas.fields import Moment

PAGE_EVENTS_MAX: Final = 200
PAGE_EVENTS_DEFAULT: Final = 50
_SEQ_MAX: Final = 2**63 - 1
_WORD: Final = "[A-Za-z0-9_.:/%-]{1,64}"

Act = Annotated[str, Field(pattern=r"^[a-z_]+\.[a-z_]+$", max_length=64)]
# A kind, or a kind and an id with a colon between.
Actor = Annotated[
    str, Field(pattern=rf"^(user|service|system|anonymous)(:{_WORD})?$", max_length=80)
]
Thing = Annotated[str, Field(pattern=rf"^[a-z_]{{1,32}}(:{_WORD})?$", max_length=100)]


class AuditFilter(BaseModel):
    """Which events are looked for; what is left out does not matter."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    act: Act | None = None
    actor: Actor | None = Field(default=None, description="`user:7`, or a kind: `anonymous`")
    object: Thing | None = Field(default=None, description="`credential:42`, or a kind: `user`")
    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to", description="not included")


class AuditPlace(BaseModel):
    """Which part of what was found is shown."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    limit: int = Field(default=PAGE_EVENTS_DEFAULT, ge=1, le=PAGE_EVENTS_MAX)
    cursor: int | None = Field(
        default=None, ge=1, le=_SEQ_MAX, description="`next_cursor` of the last page"
    )


class AuditQuery(AuditPlace, AuditFilter):
    """What is looked for, and which part of it is shown."""


class AuditActor(BaseModel):
    """Who did it. `key_prefix` is the public part of a platform key."""

    type: str
    id: int | str | None = None
    session: str | None = None
    key_prefix: str | None = None


class AuditThing(BaseModel):
    """What it was done to, and whose that is."""

    type: str
    id: int | str
    owner: int | None = None


class AuditEventShown(BaseModel):
    """One event; `hash` covers it and every event before it."""

    seq: int
    at: datetime
    act: str
    outcome: str
    actor: AuditActor
    object: AuditThing | None = None
    field: str | None = None
    purpose: str | None = None
    reason: str | None = None
    req: str | None = None
    ip: str | None = None
    kid: str | None = None
    rev: int | None = None
    ct: str | None = None
    n: int | None = None
    hash: str


class AuditPage(BaseModel):
    """Events, the latest first.

    A page may hold fewer than were asked for, or none, and still not be the last: a search looks
    at a bounded part of the trail. It is the last when `next_cursor` is null.
    """

    items: list[AuditEventShown]
    next_cursor: str | None
