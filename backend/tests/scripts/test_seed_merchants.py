import argparse
import stat
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from httpx2 import AsyncClient

from backend.app.container import Container
from backend.app.enums import Role
from backend.app.errors import ConfigurationError
from backend.tests.support import credit
from backend.tests.support.deployment import ROOT
from backend.tests.support.people import audited, bearer, person

SCRIPT = ROOT / "scripts" / "seed_merchants.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = spec_from_file_location("seed_merchants", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def logins(tmp_path: Path) -> Path:
    return tmp_path / "logins"


def asked(**changes: Any) -> argparse.Namespace:
    return argparse.Namespace(
        **{"merchants": 3, "credit": "1000.00", "prefix": "merchant-", **changes}
    )


async def test_merchants_have_credit_a_pool_that_covers_it_and_tokens_that_work(
    script: ModuleType, services: Container, client: AsyncClient, logins: Path, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"

    said = await script.seed(services, logins, tokens, asked())

    assert said == "3 merchants entered, 0 were there; the pool was topped up by 3000.00."
    names = [line.partition(",")[0] for line in logins.read_text().splitlines()]
    assert names == ["merchant-00001", "merchant-00002", "merchant-00003"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in (logins, tokens)} == {0o600}
    for name, token in zip(names, tokens.read_text().splitlines(), strict=True):
        shown = (await client.get("/api/v1/me", headers=bearer(token))).json()
        assert (shown["username"], shown["merchant"]["available"]) == (name, "1000.00")
    await credit.assert_proved(services)


async def test_seeding_again_enters_who_is_missing_and_moves_nothing_else(
    script: ModuleType, services: Container, client: AsyncClient, logins: Path, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    await script.seed(services, logins, tokens, asked())
    first = bearer(tokens.read_text().splitlines()[0])
    paid = await client.post(
        "/api/v1/withdrawals", json={"amount": "10.00"}, headers={**first, "Idempotency-Key": "one"}
    )
    assert paid.status_code == 201

    said = await script.seed(services, logins, None, asked())

    assert said == "0 merchants entered, 3 were there; the pool was topped up by 0.00."
    kinds = [line for line in await audited(services) if "merchant.approved" in line]
    assert len(kinds) == 3


async def test_merchants_whose_passwords_are_in_no_file_are_not_seeded_again(
    script: ModuleType, services: Container, logins: Path, tmp_path: Path
) -> None:
    await script.seed(services, logins, None, asked(merchants=1))

    with pytest.raises(ConfigurationError, match="merchant-00001 is there"):
        await script.seed(services, tmp_path / "others", None, asked())
    assert not (tmp_path / "others").exists()


async def test_a_name_of_somebody_who_is_no_merchant_is_told(
    script: ModuleType, services: Container, logins: Path
) -> None:
    await person(services, "merchant-00002", Role.USER)

    with pytest.raises(ConfigurationError, match="is no merchant"):
        await script.seed(services, logins, None, asked())


async def test_a_file_that_others_can_read_is_not_used(
    script: ModuleType, services: Container, logins: Path
) -> None:
    logins.write_text("merchant-00001,known\n")
    logins.chmod(0o644)

    with pytest.raises(ConfigurationError, match="chmod 600"):
        await script.seed(services, logins, None, asked())


@pytest.mark.parametrize(
    "words", [("--merchants", "0"), ("--credit", "0.00"), ("--credit", "1.005"), ("--prefix", "/")]
)
def test_what_cannot_be_seeded_is_refused_before_anything_happens(
    script: ModuleType, words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        script.arguments(["--credentials", "logins", *words])

    assert refused.value.code == 2
    assert words[0] in capsys.readouterr().err
