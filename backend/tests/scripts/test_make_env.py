import io
import re
import stat
import subprocess
import sys
from pathlib import Path

from dotenv import dotenv_values

from backend.app.config import Settings
from backend.app.services.key_ring import KeyRing
from backend.tests.support.deployment import ROOT

SCRIPT = ROOT / "scripts" / "make_env.py"


def run_in(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-S", SCRIPT]
    return subprocess.run(command, cwd=directory, check=False, capture_output=True, text=True)


def test_the_file_holds_all_that_compose_requires_in_letters_that_fit_an_address(
    tmp_path: Path,
) -> None:
    run_in(tmp_path)

    made = dotenv_values(stream=io.StringIO((tmp_path / ".env").read_text()))
    files = "".join(file.read_text() for file in ROOT.glob("docker-compose*.yml"))
    required = set(re.findall(r"\$\{([A-Z_]+):\?", files))
    assert required | {"SANDBOX_SEED"} <= made.keys()
    assert all(re.fullmatch(r"[\w=-]{32,}", made[name] or "") for name in required)


def test_the_file_is_its_owners_alone_and_the_service_accepts_it(tmp_path: Path) -> None:
    assert run_in(tmp_path).returncode == 0

    path = tmp_path / ".env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings = Settings.load(path)
    assert settings.vault.encryption_key is not None
    assert settings.auth.jwt_secret is not None
    assert KeyRing.from_environment(settings.vault.encryption_key.get_secret_value())
    assert len(settings.auth.jwt_secret.get_secret_value()) >= 32


def test_no_secret_is_printed(tmp_path: Path) -> None:
    printed = run_in(tmp_path).stdout

    made = dotenv_values(tmp_path / ".env")
    assert not any(value and len(value) >= 32 and value in printed for value in made.values())


def test_a_file_that_is_there_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ENCRYPTION_KEY=the only one\n")

    refused = run_in(tmp_path)

    assert refused.returncode == 1
    assert "exists and was not touched" in refused.stderr
    assert (tmp_path / ".env").read_text() == "ENCRYPTION_KEY=the only one\n"
