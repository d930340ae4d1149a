"""Notices when one actor uses more credentials than anybody's work needs.

Counted in this process, over the last minute. Whoever empties a vault uses each key once or twice;
a program that trades uses a few, again and again. The house itself is not counted: its watch goes
through all keys, within a budget of its own.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from backend.app.audit_record import Act, Actor, ActorType, AuditRecord, Outcome

WATCH_SECONDS: Final = 60.0
CREDENTIALS_PER_ACTOR_MAX: Final = 50
_ACTORS_MAX: Final = 10_000

_Name = tuple[str, int | str | None]


class UseWatch:
    """The credentials each actor has used in the last minute."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # Both the latest last: of actors, and of the credentials of each.
        self._used: OrderedDict[_Name, OrderedDict[int | str, float]] = OrderedDict()

    def note(self, record: AuditRecord) -> AuditRecord | None:
        """Count a use; when it is one too many, begin anew and return the alarm to record."""
        if record.act is not Act.CREDENTIAL_USED or record.object is None:
            return None
        if record.caller.actor.type is ActorType.SYSTEM:
            return None
        used = self._of(record.caller.actor)
        now = self._monotonic()
        used[record.object.id] = now
        used.move_to_end(record.object.id)
        while now - next(iter(used.values())) > WATCH_SECONDS:
            used.popitem(last=False)
        if len(used) <= CREDENTIALS_PER_ACTOR_MAX:
            return None
        count = len(used)
        used.clear()
        return replace(
            record,
            act=Act.ALARM_MANY_CREDENTIALS,
            outcome=Outcome.ALLOWED,
            object=None,
            purpose=None,
            kid=None,
            rev=None,
            n=count,
        )

    def _of(self, actor: Actor) -> OrderedDict[int | str, float]:
        name = (actor.type.value, actor.id)
        used = self._used.setdefault(name, OrderedDict())
        self._used.move_to_end(name)
        if len(self._used) > _ACTORS_MAX:
            self._used.popitem(last=False)
        return used
