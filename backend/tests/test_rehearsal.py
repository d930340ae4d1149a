"""The rehearsal tells plainly of a house that does not answer."""

import socket

import pytest

from backend.app.errors import ConfigurationError
from backend.app.rehearsal import rehearse
from backend.tests.support.ports import KeptPort


async def test_a_house_that_is_not_there_is_told_of() -> None:
    with KeptPort() as port:
        url = f"http://127.0.0.1:{port.number}"
        with pytest.raises(ConfigurationError, match="make run"):
            await rehearse(url, url)


async def test_a_house_that_does_not_answer_in_time_is_told_of() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=r"within 0\.2 seconds"):
            await rehearse(url, url, timeout_seconds=0.2)
