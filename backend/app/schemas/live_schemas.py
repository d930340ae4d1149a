"""Frames that clients of the live channel send, and the ticket that opens it."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, SecretStr, TypeAdapter

TICKET_LENGTH: Final = 43
CHANNEL_NAME_LENGTH_MAX: Final = 80
_FRAME_ID_LENGTH_MAX: Final = 64
_NUMBER_MAX: Final = 2**53 - 1

FrameId = (
    Annotated[int, Field(ge=-_NUMBER_MAX, le=_NUMBER_MAX)]
    | Annotated[str, Field(max_length=_FRAME_ID_LENGTH_MAX)]
)
ChannelName = Annotated[str, Field(min_length=1, max_length=CHANNEL_NAME_LENGTH_MAX)]


class Ticket(BaseModel):
    """What opens one WebSocket."""

    ticket: str = Field(description="For the first frame of one connection; shown once")
    expires_in: int = Field(description="Seconds until it opens nothing any more")


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    id: FrameId | None = None


class Login(_Frame):
    """The first frame of every connection."""

    op: Literal["login"]
    ticket: Annotated[SecretStr, Field(min_length=TICKET_LENGTH, max_length=TICKET_LENGTH)]


class Subscribe(_Frame):
    """Listen to a channel; with `after`, go on behind the last number that was seen."""

    op: Literal["subscribe"]
    channel: ChannelName
    after: Annotated[int, Field(ge=0, le=_NUMBER_MAX)] | None = None


class Unsubscribe(_Frame):
    """Listen to a channel no more."""

    op: Literal["unsubscribe"]
    channel: ChannelName


class Ping(_Frame):
    """Ask for a sign of life."""

    op: Literal["ping"]


AskedFrame = Login | Subscribe | Unsubscribe | Ping
ASKED_FRAME: Final[TypeAdapter[AskedFrame]] = TypeAdapter(
    Annotated[AskedFrame, Discriminator("op")]
)
