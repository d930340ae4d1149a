"""The rules no linter knows, held against the source itself."""

import ast
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
APP = ROOT / "backend" / "app"
MODULES = sorted(APP.rglob("*.py"))

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
# The whole vocabulary of refusals, a few lines each, is worth reading in one place.
VOCABULARY = "errors.py"
# Who may open a secret: the vault to seal it, the connector's side to sign with it, and an export
# to put it under the seal of its file.
MAY_REVEAL = {
    "secret_value.py",
    "services/crypto_service.py",
    "services/transfer_record.py",
    "exchanges/verification.py",
}
# The last doors, behind which nobody could answer or go on.
MAY_CATCH_EVERYTHING = {
    "middleware/request_context.py",
    "middleware/websocket_context.py",
    "services/audit_service.py",
    "services/withdrawals/withdrawal_writer.py",
    "workers/runner.py",
}
# Where amounts of money pass, a float must not.
MONEY = (
    *("money.py", "exchanges/dialects", "exchanges/answers", "sandbox", "schemas", "venue/"),
    *(
        "services/order_service.py",
        "services/wallet_service.py",
        "services/venue_market_service.py",
    ),
    *("services/venue/amounts.py", "services/venue/order_", "repositories/wallet_repository.py"),
)


def name_of(path: Path) -> str:
    return path.relative_to(APP).as_posix()


@cache
def parsed() -> tuple[tuple[str, ast.Module], ...]:
    return tuple((name_of(path), ast.parse(path.read_text())) for path in MODULES)


def test_functions_stay_short() -> None:
    long = [
        f"{name}:{node.name} {node.end_lineno - node.lineno + 1}"
        for name, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]

    assert long == []


def test_files_stay_short() -> None:
    lines = {name_of(p): len(p.read_text().splitlines()) for p in MODULES}

    assert {name for name, n in lines.items() if n > FILE_LINES_MAX} <= {VOCABULARY}


def test_secrets_are_opened_only_where_they_are_used() -> None:
    openers = {
        name
        for name, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "reveal"
    }

    # The secrets of webhooks are ours, and a library signs with them.
    signers = {"exchanges/connector.py", "services/webhooks/webhook_vault.py"}
    assert openers <= MAY_REVEAL | signers


def test_everything_is_caught_only_at_the_last_doors() -> None:
    catchers = {
        name
        for name, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", None) == "Exception")
    }

    assert catchers <= MAY_CATCH_EVERYTHING


def test_no_float_near_money() -> None:
    floats = [
        f"{name}:{node.lineno}"
        for name, tree in parsed()
        if name.startswith(MONEY)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Constant) and isinstance(node.value, float))
        or (isinstance(node, ast.Call) and getattr(node.func, "id", None) == "float")
    ]

    assert floats == []


def test_a_route_decides_nothing() -> None:
    deciding = [
        f"{name}:{node.lineno}"
        for name, tree in parsed()
        if name.startswith("routes/") and name.endswith("_routes.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.If | ast.Try | ast.For | ast.While)
    ]

    assert deciding == []


PLANTED = [
    (
        "routes/health_routes.py",
        "from backend.app.models.user import User",
        "backend.app.routes.health_routes -> backend.app.models.user ",
    ),
    (
        "repositories/dek_repository.py",
        "from backend.app.services import key_ring",
        "backend.app.repositories.dek_repository -> backend.app.services.key_ring ",
    ),
    (
        "services/auth_service.py",
        "from backend.app.services import user_service",
        "backend.app.services.auth_service -> backend.app.services.user_service ",
    ),
    (
        "services/token_service.py",
        "from cryptography.fernet import Fernet",
        "backend.app.services.token_service -> cryptography ",
    ),
    (
        "exchanges/dialects/okx.py",
        "import time",
        "backend.app.exchanges.dialects.okx -> time ",
    ),
    ("exchanges/connector.py", "import ccxt", "backend.app.exchanges.connector -> ccxt "),
]


def test_planted_imports_across_the_house_are_caught_each_for_itself(tmp_path: Path) -> None:
    shutil.copytree(APP, tmp_path / "backend" / "app")
    shutil.copy(ROOT / "backend" / "__init__.py", tmp_path / "backend")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for where, planted, _ in PLANTED:
        with (tmp_path / "backend" / "app" / where).open("a") as broken:
            broken.write(f"\n{planted}\n")

    linted = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    # Long lines are broken, wherever they may be.
    told = " ".join(linted.stdout.split())
    assert linted.returncode == 1, linted.stdout
    assert [chain for _, _, chain in PLANTED if chain not in told] == []
    assert f"{len(PLANTED)} broken" in told
