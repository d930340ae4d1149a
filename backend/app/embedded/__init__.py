"""The database that needs no installation: PostgreSQL's binaries under our own supervisor.

The binaries come out of a wheel; nothing else of that package is used. This package
knows nothing of the house but how a start is refused.
"""

from backend.app.embedded.errors import EmbeddedPostgresError
from backend.app.embedded.supervisor import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]
