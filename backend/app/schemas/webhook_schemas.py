"""Webhooks as they are asked for and shown, and the message they are sent."""

from datetime import datetime
from typing import Annotated, Any, Final, Self

import yarl
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from backend.app.enums import DeliveryFailure, DeliveryState, NotificationKind, WebhookDisabled
from backend.app.schemas.fields import Label, Request

URL_LENGTH_MAX: Final = 2_048
TEST_KIND: Final = "webhook_test"


def _url(value: str) -> str:
    """Refuse what no webhook can be; whether its address may be reached is asked when it is."""
    try:
        url = yarl.URL(value, encoded=True)
        usable = value.isascii() and value.isprintable() and " " not in value
        usable = usable and url.scheme in {"http", "https"} and bool(url.host) and not url.fragment
        # An origin can be taken only of an address whose port is a number.
        url.origin()
    except ValueError:
        usable = False
    if not usable or url.user is not None or url.password is not None:
        raise PydanticCustomError(
            "webhook_url", "An address such as https://example.com/hook, without user or fragment"
        )
    return value


WebhookUrl = Annotated[str, Field(min_length=1, max_length=URL_LENGTH_MAX), AfterValidator(_url)]
Kinds = Annotated[
    frozenset[NotificationKind],
    Field(description="The kinds of notification wanted; none: all, also those to come"),
]


class WebhookCreate(Request):
    """A webhook to make."""

    name: Label
    url: WebhookUrl = Field(repr=False)
    kinds: Kinds = frozenset()


class WebhookUpdate(Request):
    """What is to change; what is left out stays."""

    name: Label | None = None
    url: WebhookUrl | None = Field(default=None, repr=False)
    kinds: Kinds | None = None
    is_active: bool | None = Field(
        default=None, description="false pauses it; true also wakes one that we disabled"
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set or None in (
            getattr(self, name) for name in self.model_fields_set
        ):
            raise PydanticCustomError("nothing_to_change", "Name at least one member, and no null")
        return self


class WebhookShown(BaseModel):
    """A webhook as its owner may see it, at any time."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    url: str = Field(repr=False)
    kinds: list[NotificationKind]
    is_active: bool
    disabled_because: WebhookDisabled | None
    failing_since: datetime | None = Field(description="Since when nothing has arrived")
    created_at: datetime


class WebhookMade(WebhookShown):
    """A new webhook. The only answer with its secret: nobody can show it again."""

    secret: str = Field(repr=False, description="`whsec_...`: what the signatures are checked with")


class WebhookRotated(BaseModel):
    """A new signing secret. Until the old one ends, every message is signed with both."""

    secret: str = Field(repr=False)
    previous_ends_at: datetime


class Delivery(BaseModel):
    """A message to a webhook, and what became of it. Of an answer only its status is kept."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    message_id: str = Field(description="The header `webhook-id`, the same at every attempt")
    kind: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None
    last_failure: DeliveryFailure | None
    created_at: datetime


class DeliveryPage(BaseModel):
    """Some deliveries, the newest first, and where to go on."""

    items: list[Delivery]
    next_cursor: str | None = Field(description="Pass it as `cursor`; null at the end")


class WebhookMessage(BaseModel):
    """What is sent: the form that Standard Webhooks recommends.

    Source: standard-webhooks, spec/standard-webhooks.md, "Payload structure".
    """

    type: str
    timestamp: datetime
    data: dict[str, Any]
