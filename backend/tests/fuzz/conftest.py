"""The fuzzer takes minutes, so it is collected only where it is asked for: `make fuzz`."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if config.option.markexpr == "slow" else True
