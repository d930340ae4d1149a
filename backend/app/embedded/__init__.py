"""The database that needs no installation: PostgreSQL's binaries under our own supervisor.

The binaries come out of a wheel; nothing else of that package is used. This package imports
nothing of the house, and refuses with its own errors, because no request is being answered yet.
"""

from backend.app.embedded.errors import EmbeddedPostgresError
from backend.app.embedded.supervisor import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]
