"""`strongroom ledger prove` as a process: its verdict in words, and as an exit code."""

import os
import subprocess
from pathlib import Path

import pytest

from backend.app.container import Container
from backend.app.enums import Role
from backend.tests.support.commands import strongroom
from backend.tests.support.credit import BANK_ACCOUNT, fund, merchant, withdrawn
from backend.tests.support.people import Person, person
from backend.tests.support.settlements import pay_out
from backend.tests.support.trail import tampered


@pytest.fixture
async def alice(services: Container) -> Person:
    """A merchant who drew 120.50 of a pool of 500.00, and was paid."""
    root = await person(services, "root", Role.ADMIN)
    alice = await merchant(services, root, "alice")
    await fund(services, root, "500.00")
    drawn = await withdrawn(services, alice, "120.50")
    await pay_out(services.database, services.clock, drawn.id)
    return alice


def prove(home: Path, url: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {**kept, "STRONGROOM_HOME": str(home / "kept"), "DATABASE_URL": url}
    return strongroom("ledger", "prove", cwd=home, env=environment)


async def test_a_sound_ledger_is_proved_in_one_line(
    tmp_path: Path, database_url: str, alice: Person
) -> None:
    proved = prove(tmp_path, database_url)

    assert (proved.returncode, proved.stderr) == (0, "")
    assert proved.stdout == (
        "The ledger agrees to the cent: 5 accounts, 2 movements, 1 withdrawals.\n"
    )


async def test_a_balance_that_was_changed_is_named_with_its_account(
    services: Container, tmp_path: Path, database_url: str, alice: Person
) -> None:
    await tampered(
        services.database,
        f"UPDATE ledger_accounts SET balance = 0 WHERE owner_id = {alice.user_id}",
    )

    proved = prove(tmp_path, database_url)

    head, *findings = proved.stdout.splitlines()
    account = f"(merchant of user {alice.user_id}) keeps 0, but its"
    assert (proved.returncode, proved.stderr) == (1, "")
    assert head == "The ledger does NOT agree (5 accounts, 2 movements, 1 withdrawals):"
    assert [finding.split(" ", 2)[2] for finding in findings] == [
        f"{account} lines add up to 120.5",
        f"{account} withdrawals add up to 120.5",
    ]
    assert BANK_ACCOUNT not in proved.stdout
