"""One structured log, with every value scrubbed before it is written.

Secrets are kept out at the source; the scrubber is the second wall. It knows the shapes of what
the house seals and issues, and hides any long word that looks random, so that a secret in the
text of somebody else's exception does not reach the log either.
"""

import logging
import logging.config
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, Processor, WrappedLogger

from backend.app.clock import utc_now
from backend.app.config import LogFormat, ServerSettings

REQUESTS: Final = "backend.requests"
_REQUESTS: Final = logging.getLogger(REQUESTS)
_HIDDEN: Final = "[hidden]"
# Members written as they are: they come from us, and are words or numbers.
_PLAIN_MEMBERS: Final = frozenset(
    {"event", "level", "timestamp", "logger", "request_id", "route", "status", "code", "anchor"}
)
_TOKEN_SHAPES: Final = re.compile(
    r"(?:eyJ[\w-]+\.[\w-]+\.[\w-]*|sr[12]\.[^\s'\"]+|kw1\.[^\s'\"]+|sr[ks]_[\w-]+|gAAAA[\w=-]+"
    r"|-----BEGIN[^-]+-----.*?(?:-----END[^-]+-----|$)|(?<=://)[^/\s:@]+:[^/\s@]+(?=@))",
    re.DOTALL,
)
_LONG_WORD: Final = re.compile(r"[A-Za-z0-9+/=_%-]{20,}")
_LETTERS_AND_DIGITS: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])")
# Random letters change to upper case at every fourth, names of classes hardly at every sixth.
_CASE_CHANGES: Final = re.compile(r"[a-z][A-Z]")
_LETTERS_PER_CASE_CHANGE_MIN: Final = 7
_PLAIN_PART: Final = re.compile(r"[a-z0-9_-]{0,19}|[A-Z]?[a-z_-]*|[A-Z_-]*")
_SCRUBBED_LENGTH_MAX: Final = 20_000

# Libraries that print requests, headers or statements at lower levels.
# Source: docs/ARCHITECTURE.md, "Logs"; CCXT writes API keys and passphrases at DEBUG.
_TALKATIVE: Final = (
    "alembic",
    "ccxt",
    "ccxt.base.exchange",
    "aiohttp",
    "asyncio",
    "asyncpg",
    "sqlalchemy.engine",
    "sqlalchemy.pool",
    "uvicorn.access",
    "redis",
)


def scrub(text: str) -> str:
    """Return the text with everything that looks like a secret hidden."""
    shown = _TOKEN_SHAPES.sub(_HIDDEN, text[:_SCRUBBED_LENGTH_MAX])
    return _LONG_WORD.sub(_hide_random, shown)


def _hide_random(found: re.Match[str]) -> str:
    word = found.group()
    # A path of a source file in a traceback is long too, but each of its parts is a plain name.
    if "/" in word and all(_PLAIN_PART.fullmatch(part) for part in word.split("/")):
        return word
    looks_random = _LETTERS_AND_DIGITS.match(word) or len(_CASE_CHANGES.findall(word)) > (
        len(word) // _LETTERS_PER_CASE_CHANGE_MIN
    )
    return _HIDDEN if looks_random else word


def _scrub_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for member, value in event.items():
        if member not in _PLAIN_MEMBERS:
            event[member] = _scrubbed(value)
        elif isinstance(value, str) and member == "event":
            event[member] = scrub(value)
    return event


def _scrubbed(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    return scrub(value if isinstance(value, str) else str(value))


class _RequestLines(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes the one line of each request: its members are ours, so nothing needs scrubbing.

    Not by way of a record and a formatter: that was a fifth of a warm answer; see
    bench/credentials_list.py.
    """

    def __init__(self, rendered: Callable[[EventDict], str]) -> None:
        super().__init__()
        self._rendered = rendered

    def write(self, members: Mapping[str, Any]) -> None:
        event = {"event": "request", **members, "level": "info", "logger": REQUESTS}
        event["timestamp"] = utc_now().isoformat().replace("+00:00", "Z")
        line = self._rendered(event)
        # Nobody may read the log any more: no reason not to answer.
        with suppress(OSError, ValueError):
            self.stream.write(line + self.terminator)


def _in_json(event: EventDict) -> str:
    return to_json(event).decode()


def log_request(members: Mapping[str, Any]) -> None:
    """Write the line of a request, if such lines are wanted."""
    if _REQUESTS.isEnabledFor(logging.INFO):
        for handler in _REQUESTS.handlers:
            if isinstance(handler, _RequestLines):
                handler.write(members)


def configure_logging(settings: ServerSettings) -> None:
    """Send the house's own log and every library's through one scrubbing pipeline to stderr."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Tracebacks as text without the values of local variables.
        structlog.processors.format_exc_info,
        _scrub_event,
    ]
    on_terminal = sys.stderr.isatty()
    for_people = settings.log_format is LogFormat.CONSOLE or (
        settings.log_format is LogFormat.AUTO and on_terminal
    )
    renderer: Processor = structlog.processors.JSONRenderer(separators=(",", ":"))
    request_line = _in_json
    if for_people:
        renderer = structlog.dev.ConsoleRenderer(colors=on_terminal)
        request_line = partial(renderer, None, "info")
    # No line of ours tells of threads or processes: then nobody has to ask for them.
    # Source: Python's logging HOWTO, "Optimization".
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "house": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": [structlog.stdlib.ExtraAdder(allow=[]), *shared],
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        renderer,
                    ],
                },
            },
            "handlers": {
                "stderr": {"class": "logging.StreamHandler", "formatter": "house"},
                "requests": {"()": _RequestLines, "rendered": request_line},
            },
            "root": {"handlers": ["stderr"], "level": settings.log_level},
            "loggers": {
                REQUESTS: {"handlers": ["requests"], "propagate": False},
                "uvicorn": {"handlers": [], "propagate": True, "level": "WARNING"},
                "uvicorn.error": {"handlers": [], "propagate": True, "level": "WARNING"},
                **{name: {"level": "WARNING", "propagate": True} for name in _TALKATIVE},
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the house's log for one module."""
    return structlog.stdlib.get_logger(name)
