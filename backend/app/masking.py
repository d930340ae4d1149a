"""What may be shown of an API key."""

from typing import Final

HIDDEN: Final = "****"


def mask_api_key(key: str, show_chars: int = 4) -> str:
    """Return the key's two ends with dots between, or nothing of it where it is too short.

    At least as many characters stay hidden as are shown.
    """
    shown = 2 * show_chars
    if shown < 1 or len(key) < 2 * shown:
        return HIDDEN
    return f"{key[:show_chars]}...{key[-show_chars:]}"
