"""The eight exchanges by name. (Tables are filled by the dialects.)"""

from backend.app.exchanges.reasons import Reason, Refusal


def classify_refusal(exchange: str, http_status: int, body: str) -> Refusal:
    """Placeholder until the registry is filled."""
    return Refusal(Reason.UNKNOWN)
