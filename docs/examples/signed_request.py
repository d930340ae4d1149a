"""Ask Strongroom with a platform key that signs its requests. Needs nothing but Python.

    STRONGROOM_KEY=srk_... STRONGROOM_SIGNING_SECRET=srs_... \\
        python docs/examples/signed_request.py http://127.0.0.1:8000 GET /api/v1/credentials
"""

import hashlib
import hmac
import os
import secrets
import sys
import time
import urllib.request


def signed_headers(
    key: str, signing_secret: str, method: str, target: str, body: bytes = b""
) -> dict[str, str]:
    """Return the headers of one request; `target` is path and query, just as they are sent."""
    timestamp, nonce = str(int(time.time())), secrets.token_urlsafe(16)
    lines = (timestamp, nonce, method, target, hashlib.sha256(body).hexdigest())
    signature = hmac.new(signing_secret.encode(), "\n".join(lines).encode(), hashlib.sha256)
    return {
        "X-SR-Key": key,
        "X-SR-Timestamp": timestamp,
        "X-SR-Nonce": nonce,
        "X-SR-Signature": signature.hexdigest(),
    }


def main() -> None:
    """Send one request and print the answer."""
    address, method, target = sys.argv[1:4]
    key, signing_secret = os.environ["STRONGROOM_KEY"], os.environ["STRONGROOM_SIGNING_SECRET"]
    headers = signed_headers(key, signing_secret, method, target)
    request = urllib.request.Request(address + target, headers=headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        print(answer.read().decode())  # noqa: T201


if __name__ == "__main__":
    main()
