"""Run by `make conformance` only; says at the end how much CCXT's tests have tested."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if config.option.markexpr == "slow" else True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
    ]
    lines = [text for report in reports for name, text in report.user_properties if name == "ccxt"]
    if lines:
        terminalreporter.section("CCXT 4.5.90's own tests on the sandbox")
        for line in sorted(lines):
            terminalreporter.write_line(line)
