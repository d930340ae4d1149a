"""Why the embedded PostgreSQL does not run, each with the way out in its message."""

from backend.app.errors import ConfigurationError


class EmbeddedPostgresError(ConfigurationError):
    """A refusal of the supervisor: what is wrong, and what to do about it."""


class BinariesMissing(EmbeddedPostgresError):
    """PostgreSQL's own programs are not here, or cannot be run."""


class HomeUnusable(EmbeddedPostgresError):
    """The directory cannot be created, read or written, or belongs to somebody else."""


class HomeInUse(EmbeddedPostgresError):
    """Another living supervisor holds the directory."""


class DiskFull(EmbeddedPostgresError):
    """There is no space left for the database."""


class DataOfAnotherVersion(EmbeddedPostgresError):
    """The data were written by another major version of PostgreSQL."""


class NoServerAccount(EmbeddedPostgresError):
    """PostgreSQL refuses to run as root, and there is no ordinary account to run it as."""


class LeftoverServer(EmbeddedPostgresError):
    """A server of an earlier run still holds the data and did not end."""


class ServerDidNotStart(EmbeddedPostgresError):
    """PostgreSQL ended, or did not become ready in time."""


class SocketPathUnusable(EmbeddedPostgresError):
    """No directory has a path a Unix socket can be reached by."""
