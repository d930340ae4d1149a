import subprocess
import sys

from backend.app.services.key_ring import KeyRing
from backend.tests.support.deployment import ROOT

SCRIPT = ROOT / "scripts" / "generate_encryption_key.py"


def new_key() -> str:
    # -I -S: with nothing installed.
    command = [sys.executable, "-I", "-S", SCRIPT]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_new_key_is_one_line_the_vault_accepts_and_never_the_same() -> None:
    first, second = new_key(), new_key()

    assert first != second
    assert first == first.strip() + "\n"
    assert len(KeyRing.from_environment(first.strip()).keys) == 1
