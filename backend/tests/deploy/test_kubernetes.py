"""The manifests: a role is given what it cannot start without, and reaches no more than it must."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from backend.app.config import ServerSettings, Settings, groups
from backend.app.container import Container
from backend.app.engine_container import EngineContainer
from backend.app.enums import Environment
from backend.app.prices_container import PricesContainer
from backend.app.routes.health_routes import router as health_router
from backend.app.services.crypto_service import CryptoService
from backend.app.settlement_container import SettlementContainer
from backend.tests.support.deployment import ROOT, compose

KUBERNETES = ROOT / "deploy" / "kubernetes"
ROLES = {
    "api": Container,
    "prices": PricesContainer,
    "settlement": SettlementContainer,
    "engine": EngineContainer,
}
# Read by uvicorn.
NOT_SETTINGS = {"FORWARDED_ALLOW_IPS"}
SECRETS = {
    "DATABASE_URL": "postgresql://strongroom:pw@db.example.org:5432/strongroom",
    "DATABASE_DIRECT_URL": "postgresql://strongroom:pw@db.example.org:5432/strongroom",
    "REDIS_URL": "redis://:pw@cache.example.org:6379/0",
    "ENCRYPTION_KEY": CryptoService.generate_key(),
    "JWT_SECRET": "j" * 48,
    "INTERNAL_API_KEY": "i" * 48,
    "SETTLEMENT_TOKEN": "s" * 48,
}


@cache
def base() -> tuple[dict[str, Any], ...]:
    """Return every object of the base, as it stands."""
    texts = [path.read_text() for path in sorted((KUBERNETES / "base").glob("*.yaml"))]
    return tuple(one for text in texts for one in yaml.safe_load_all(text))


def named(kind: str, name: str) -> dict[str, Any]:
    (found,) = (o for o in base() if o["kind"] == kind and o["metadata"].get("name") == name)
    return found


def pods() -> list[dict[str, Any]]:
    return [
        one["spec"]["template"]["spec"] for one in base() if one["kind"] in {"Deployment", "Job"}
    ]


def literals(folder: str) -> dict[str, str]:
    kustomization = yaml.safe_load((KUBERNETES / folder / "kustomization.yaml").read_text())
    (settings,) = kustomization["configMapGenerator"]
    return dict(each.split("=", 1) for each in settings["literals"])


def container_of(role: str) -> dict[str, Any]:
    (container,) = named("Deployment", f"strongroom-{role}")["spec"]["template"]["spec"][
        "containers"
    ]
    return dict(container)


def secrets_of(role: str) -> set[str]:
    return {one["name"] for one in container_of(role)["env"] if "valueFrom" in one}


def given_to(role: str) -> dict[str, str]:
    """Return the environment of a role, with secrets of a test."""
    stated = {o["name"]: o["value"] for o in container_of(role)["env"] if "value" in o}
    return literals("base") | stated | {name: SECRETS[name] for name in secrets_of(role)}


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_has_what_it_cannot_start_without(role: str, tmp_path: Path) -> None:
    given = tmp_path / "environment"
    given.write_text("".join(f"{name}={value}\n" for name, value in given_to(role).items()))

    root = ROLES[role](Settings.load(given), SECRETS["DATABASE_URL"])

    assert root.settings.exchange.exchange_mode is Environment.LIVE
    await root.database.close()


def test_every_name_is_a_setting() -> None:
    settings = {name.upper() for group in groups() for name in group.model_fields} | NOT_SETTINGS

    assert literals("example").keys() <= settings
    assert all(given_to(role).keys() <= settings for role in ROLES)


@pytest.mark.parametrize(
    ("role", "service"),
    [("prices", "prices"), ("settlement", "settlement"), ("engine", "engine"), ("api", "backend")],
)
def test_a_role_holds_the_secrets_it_holds_in_compose_and_no_other(role: str, service: str) -> None:
    files = ("docker-compose.yml", "docker-compose.scale.yml")
    services = {name: one for file in files for name, one in compose(file)["services"].items()}
    given = compose()["services"].get(service, services[service])["environment"]

    assert secrets_of(role) == given.keys() & SECRETS.keys()


def test_no_secret_stands_in_the_manifests_and_each_reference_says_its_key() -> None:
    references = [
        (one["name"], one["valueFrom"]["secretKeyRef"])
        for pod in pods()
        for one in pod["containers"][0]["env"]
        if "valueFrom" in one
    ]

    assert not any(one["kind"] == "Secret" for one in base())
    assert not {**literals("base"), **literals("example")}.keys() & SECRETS.keys()
    assert all(name == reference["key"] for name, reference in references)
    # Read by the API alone, so that a right to read it can be given to it alone.
    vault = {name for name, reference in references if reference["name"] == "strongroom-vault"}
    assert vault == {"ENCRYPTION_KEY"}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_listens_where_it_is_asked_and_is_asked_what_it_answers(role: str) -> None:
    container, port = container_of(role), getattr(ServerSettings(_env_file=None), f"{role}_port")

    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert container["args"] == ["strongroom", "serve", "--role", role]
    paths = {route.path for route in health_router.routes if hasattr(route, "path")}
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness")}
    assert all(asked == {"path": "/healthz", "port": "http"} for asked in probes.values())
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert {"/healthz", "/readyz"} <= paths


@pytest.mark.parametrize("pod", pods(), ids=lambda pod: pod["containers"][0]["name"])
def test_a_pod_holds_no_right_it_does_not_need(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]

    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert "USER 10001:10001" in (ROOT / "Dockerfile").read_text()
    assert pod["automountServiceAccountToken"] is False
    # A Service named `prices` would otherwise set PRICES_PORT to an address.
    assert pod["enableServiceLinks"] is False
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]
    assert container["resources"]["limits"].keys() == {"memory"}
    assert container["image"] == "strongroom"


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_may_finish_what_it_began_and_another_is_there_meanwhile(role: str) -> None:
    deployment = named("Deployment", f"strongroom-{role}")["spec"]
    pause = container_of(role).get("lifecycle", {"preStop": {"exec": {"command": ["sleep", "0"]}}})
    seconds = int(pause["preStop"]["exec"]["command"][1])
    grace = int(literals("base")["SHUTDOWN_GRACE_SECONDS"])

    pod = deployment["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= seconds + 2 * grace
    assert deployment["replicas"] >= 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    labels = deployment["template"]["metadata"]["labels"]
    selectors = [one["labelSelector"] for one in pod["topologySpreadConstraints"]]
    selectors += [named("PodDisruptionBudget", f"strongroom-{role}")["spec"]["selector"]]
    assert selectors == [{"matchLabels": labels}] * 3
    assert deployment["selector"] == {"matchLabels": labels}


def test_the_services_lead_to_the_roles_they_are_named_after() -> None:
    for role in ("api", "prices", "settlement"):
        service = named("Service", f"strongroom-{role}")["spec"]
        (port,) = service["ports"]
        assert port == {
            "name": "http",
            "port": container_of(role)["ports"][0]["containerPort"],
            "targetPort": "http",
        }
        assert (
            service["selector"]
            == named("Deployment", f"strongroom-{role}")["spec"]["selector"]["matchLabels"]
        )
    given = given_to("api")
    assert given["PRICE_API_URL"] == "http://strongroom-prices:8100"
    assert given["SETTLEMENT_URL"] == "http://strongroom-settlement:9000"
    assert given["VENUE_ENGINE_IN_API"] == "false"


def test_only_the_api_reaches_the_settlement_and_nobody_an_engine() -> None:
    policies = [one["spec"] for one in base() if one["kind"] == "NetworkPolicy"]
    ours = {"app.kubernetes.io/name": "strongroom"}
    api = {"podSelector": {"matchLabels": ours | {"app.kubernetes.io/component": "api"}}}

    assert {
        "podSelector": {"matchLabels": ours},
        "policyTypes": ["Ingress", "Egress"],
    } in policies
    let_in = {
        one["podSelector"]["matchLabels"]["app.kubernetes.io/component"]: one["ingress"]
        for one in policies
        if "ingress" in one
    }
    assert let_in.keys() == {"api", "prices", "settlement"}
    assert let_in["settlement"] == [{"from": [api], "ports": [{"protocol": "TCP", "port": 9000}]}]
    assert let_in["prices"] == [{"from": [api], "ports": [{"protocol": "TCP", "port": 8100}]}]


def test_every_manifest_is_applied() -> None:
    listed = named_kustomization("base")["resources"]
    files = {path.name for path in (KUBERNETES / "base").glob("*.yaml")}

    assert set(listed) == files - {"kustomization.yaml"}
    (image,) = named_kustomization("example")["images"]
    assert image["name"] == "strongroom"
    assert image["newTag"][0].isdigit()


def named_kustomization(folder: str) -> dict[str, Any]:
    return dict(yaml.safe_load((KUBERNETES / folder / "kustomization.yaml").read_text()))
