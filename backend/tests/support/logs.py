"""The house's own logging in a test: the pipeline as it runs in service, written where we can see.

Without this a test would look at pytest's handlers, which know nothing of the scrubber.
"""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import structlog

from backend.app.config import LogFormat, ServerSettings
from backend.app.logs import configure_logging

# The test's own client logs the URLs it asks for; the service has no such client.
_OF_THE_TEST = ("httpx2", "httpcore2", "faker", "hypothesis", "schemathesis")


@contextmanager
def house_logging(level: str = "DEBUG") -> Iterator[io.StringIO]:
    """Log as in service, into a text, until the block ends."""
    root, written = logging.getLogger(), io.StringIO()
    before, handlers = root.level, list(root.handlers)
    with redirect_stderr(written):
        configure_logging(ServerSettings(log_level=level, log_format=LogFormat.JSON))
    for name in _OF_THE_TEST:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield written
    finally:
        root.handlers[:] = handlers
        root.setLevel(before)
        structlog.reset_defaults()
