"""What SQLAlchemy has compiled, kept for all engines of the run, and time for them to connect.

Every test has a house of its own, so an engine of its own, and an engine compiles each statement
anew: three milliseconds for each, which was most of what a request cost. The server is the same
for all of them, so here one engine's statements are the next one's.
"""

from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

# The house gives up after three seconds. Of tens of thousands of connections of a run, one is being
# made whenever a machine stands still for so long.
_CONNECT_SECONDS_MAX: Final = 60.0
# A run knows a few hundred statements.
_COMPILED: Final[dict[Any, Any]] = {}


class SharingDialect(PGDialect_asyncpg):
    """The dialect as it is; two of them are one to whoever looks for a compiled statement."""

    supports_statement_cache = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharingDialect)

    def __hash__(self) -> int:
        return hash(SharingDialect)

    def connect(self, *place: Any, **how: Any) -> Any:
        """Connect, however slow the machine is."""
        return super().connect(*place, **{**how, "timeout": _CONNECT_SECONDS_MAX})

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """Let an engine find what others have compiled."""
        engine.update_execution_options(compiled_cache=_COMPILED)


def share_statements() -> None:
    """Let every engine made from now on share. Call it before the first."""
    registry.register("postgresql.asyncpg", __name__, SharingDialect.__name__)
