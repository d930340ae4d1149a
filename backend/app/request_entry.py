"""One answered request, as it is handed from the door to the log of requests."""

from datetime import datetime
from typing import Final, NamedTuple

METHOD_LENGTH_MAX: Final = 20
ROUTE_LENGTH_MAX: Final = 200
ADDRESS_LENGTH_MAX: Final = 45
INTEGER_MAX: Final = 2**31 - 1

# Where a request's state keeps who was admitted, and how much was read of its body.
USER_ID: Final = "user_id"
KEY_PREFIX: Final = "key_prefix"
BODY_BYTES: Final = "body_bytes"


class RequestEntry(NamedTuple):
    """What is kept of a request; `route` is the template. In the order of the table's columns."""

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
