"""The door between our own services: one key, shared by those who may ask."""

import hmac

from pydantic import SecretStr

from backend.app.errors import InternalDoorClosed, InternalKeyRefused, Unauthenticated


class InternalDoor:
    """Opens to whoever shows `INTERNAL_API_KEY`; where none is set, to nobody."""

    def __init__(self, key: SecretStr | None) -> None:
        self._key = key

    def admit(self, presented: str | None) -> None:
        """Return if the key is the right one.

        Raises:
            Unauthenticated: no key was shown.
            InternalDoorClosed: there is no right one here.
            InternalKeyRefused: it is another one.
        """
        if presented is None:
            raise Unauthenticated("This door needs the internal key.")
        if self._key is None:
            raise InternalDoorClosed("INTERNAL_API_KEY is not set on this service.")
        if not hmac.compare_digest(presented.encode(), self._key.get_secret_value().encode()):
            raise InternalKeyRefused
