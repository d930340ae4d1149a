"""`.env.example` and the settings classes say the same."""

from typing import Any

import pytest

from backend.app.config import groups
from backend.tests.support.deployment import EXAMPLE, compose, example_variables

NOT_SETTINGS = {
    "STRONGROOM_HOME",
    "FORWARDED_ALLOW_IPS",
    "COMPOSE_PROFILES",
    "COMPOSE_SUBNET",
    "DATABASE_WAIT_SECONDS",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "POSTGRES_DB",
    "VALKEY_PASSWORD",
    "PGADMIN_EMAIL",
    "PGADMIN_PASSWORD",
    "GRAFANA_PASSWORD",
}
SECRETS = {
    "ENCRYPTION_KEY",
    "JWT_SECRET",
    "SANDBOX_SEED",
    "INTERNAL_API_KEY",
    "SETTLEMENT_TOKEN",
    "POSTGRES_PASSWORD",
    "VALKEY_PASSWORD",
    "PGADMIN_PASSWORD",
    "GRAFANA_PASSWORD",
}
PARAGRAPHS = [
    paragraph
    for paragraph in EXAMPLE.read_text().split("\n\n")
    if any("=" in line.split(" ")[0] for line in paragraph.splitlines())
]


def test_the_example_holds_every_setting_and_no_other() -> None:
    settings = {name.upper() for group in groups() for name in group.model_fields}

    assert example_variables().keys() - NOT_SETTINGS == settings


@pytest.mark.parametrize("group", groups())
def test_the_example_tells_the_defaults_as_they_are(group: Any) -> None:
    told = example_variables()
    # An empty line stands for no default.
    given = {name: told[name.upper()] for name in group.model_fields if told[name.upper()]}

    loaded = group(_env_file=None, **given)

    assert loaded.model_dump() == {
        name: field.get_default(call_default_factory=True)
        for name, field in group.model_fields.items()
    }


@pytest.mark.parametrize("group", groups())
def test_the_example_as_it_stands_changes_nothing(group: Any) -> None:
    assert group(_env_file=EXAMPLE) == group(_env_file=None)


def test_the_example_holds_no_secret() -> None:
    assert {name: example_variables()[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")


@pytest.mark.parametrize("paragraph", PARAGRAPHS)
def test_every_variable_is_explained(paragraph: str) -> None:
    assert paragraph.startswith("# ")
    assert "python3 " in paragraph or not any(f"#{name}=" in paragraph for name in SECRETS)


def test_the_first_compose_has_the_sandbox_its_backend_is_pointed_at() -> None:
    told = example_variables()

    assert told["EXCHANGE_MODE"] == "sandbox"
    assert told["COMPOSE_PROFILES"] in compose()["services"]["sandbox"]["profiles"]
