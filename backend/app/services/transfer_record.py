"""A credential as the plaintext of one record of an export, there and back.

The one place besides the envelope where a stored secret becomes text, and it goes from here under
the seal of the file and nowhere else.
"""

import json

from pydantic import ValidationError

from backend.app.errors import TransferRefused
from backend.app.exchanges.verification import ExchangeKeys
from backend.app.models.api_credential import ApiCredential
from backend.app.schemas.transfer_schemas import Transferred


def written_record(username: str, seen: ApiCredential, keys: ExchangeKeys) -> bytes:
    """Return the plaintext of a record, to be sealed at once."""
    switched_off_at = seen.deactivated_at
    pair = keys.reveal()
    return json.dumps(
        {
            "username": username,
            "exchange_name": seen.exchange_name,
            "environment": seen.environment,
            "label": seen.label,
            "api_key": pair.api_key,
            "api_secret": pair.api_secret,
            "passphrase": pair.passphrase,
            "is_active": seen.is_active,
            "deactivated_at": switched_off_at.isoformat() if switched_off_at else None,
        }
    ).encode("ascii")


def read_record(record: bytes, number: int) -> Transferred:
    """Return what a record says.

    Raises:
        TransferRefused: it is sealed as it should be, but says what this release cannot hold.
    """
    try:
        return Transferred.model_validate_json(record)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_context=False, include_url=False)
        names = sorted({str(problem["loc"][0]) for problem in problems if problem["loc"]})
    raise TransferRefused(
        f"Record {number} of the file does not hold a credential as this release knows it: "
        f"{', '.join(names) or 'unreadable'}."
    )
