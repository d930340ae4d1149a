"""The eight exchanges: how each one speaks, and the only door to them.

Nothing outside this package knows a header name or an error code of an exchange.
"""

from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.registry import classify_refusal

__all__ = ["Reason", "Refusal", "classify_refusal"]
