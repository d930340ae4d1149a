from collections.abc import Iterator

import pytest

from backend.tests.support.sandbox import RunningSandbox, running_sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    """Serve the sandbox once; tests that move money use accounts of their own."""
    with running_sandbox() as running:
        yield running
