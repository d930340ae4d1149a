"""What an export says of one credential, as it lies in the file under its seal."""

from pydantic import AwareDatetime, Field

from backend.app.enums import Environment
from backend.app.schemas.fields import (
    ApiKey,
    ApiSecret,
    ExchangeName,
    Label,
    Passphrase,
    Request,
)
from backend.app.schemas.user_schemas import Username


class Transferred(Request):
    """A credential on its way: the pair in use, and what its owner and the house decided of it.

    What its exchange told of it stays behind: the receiving house asks for itself.
    """

    username: Username
    exchange_name: ExchangeName
    environment: Environment
    label: Label | None
    api_key: ApiKey = Field(repr=False)
    api_secret: ApiSecret
    passphrase: Passphrase | None
    is_active: bool
    deactivated_at: AwareDatetime | None
