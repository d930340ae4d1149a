"""Cookies by which a device shows that its user signed in on it before.

They sign nobody in. They give the device its own count of failed logins, so that somebody who
keeps guessing elsewhere cannot lock the user out.

Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Final

from pydantic import SecretStr

from backend.app.clock import Clock
from backend.app.services.keyed_hash import KeyedHash

LIFETIME: Final = timedelta(days=180)
_DEVICE_BYTES: Final = 18
_FORM: Final = re.compile(r"([\w-]{24})\.(\d{10,12})\.([0-9a-f]{64})", re.ASCII)


class DeviceCookies:
    """Makes and recognises device cookies."""

    def __init__(self, secret: SecretStr | None, now: Clock) -> None:
        self._keyed = KeyedHash(secret, "device-cookie")
        self._now = now

    def issue(self, user_id: int) -> SecretStr:
        """Return a cookie for a device on which this user has just signed in."""
        device = urlsafe_b64encode(secrets.token_bytes(_DEVICE_BYTES)).decode()
        issued_at = str(int(self._now().timestamp()))
        return SecretStr(f"{device}.{issued_at}.{self._mark(user_id, device, issued_at)}")

    def recognise(self, user_id: int, cookie: str | None) -> str | None:
        """Return the device's name if this user signed in on it lately."""
        found = _FORM.fullmatch(cookie or "")
        if found is None:
            return None
        device, issued_at, mark = found.groups()
        if not hmac.compare_digest(mark, self._mark(user_id, device, issued_at)):
            return None
        age_seconds = self._now().timestamp() - int(issued_at)
        return device if age_seconds <= LIFETIME.total_seconds() else None

    def _mark(self, user_id: int, device: str, issued_at: str) -> str:
        return self._keyed.digest(str(user_id), device, issued_at).hex()
