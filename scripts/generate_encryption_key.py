"""Print one new key for ENCRYPTION_KEY, and nothing else.

Needs nothing but Python, so that a key can be made before anything is installed. It is a Fernet
key: 32 random bytes in URL-safe base64. Source: https://github.com/fernet/spec, "Key Format".
"""

import secrets
from base64 import urlsafe_b64encode
from typing import Final

_KEY_BYTES: Final = 32


def main() -> None:
    """Print the key."""
    print(urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii"))


if __name__ == "__main__":
    main()
