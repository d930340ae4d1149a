"""The dashboard asks for what the log says: its events, their members, and labels that are made."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from httpx2 import ASGITransport, AsyncClient

from backend.app.clock import utc_now
from backend.app.errors import NotFound
from backend.app.logs import logger
from backend.app.middleware.request_context import RequestContext
from backend.app.problems import refusal_problem
from backend.tests.support.deployment import ROOT, compose
from backend.tests.support.logs import house_logging

GRAFANA = ROOT / "docker" / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "strongroom.json").read_text())
ALLOY = (ROOT / "docker" / "alloy" / "config.alloy").read_text()
LOKI = yaml.safe_load((ROOT / "docker" / "loki" / "loki.yaml").read_text())
LOGGED = {"debug", "info", "warning", "error", "exception"}

QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']}-{target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
]


def events_in_code() -> Iterator[tuple[str, set[str]]]:
    """Yield every event our own code logs, with the names of its members."""
    texts = (module.read_text() for module in (ROOT / "backend" / "app").rglob("*.py"))
    for text in texts:
        if "_LOG." not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LOGGED
                and getattr(node.func.value, "id", "") == "_LOG"
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value), {str(member.arg) for member in node.keywords}


@pytest.fixture(scope="module")
def members() -> dict[str, set[str]]:
    """Return what each event has, beside what every line has."""
    found: dict[str, set[str]] = {}
    for event, names in events_in_code():
        found.setdefault(event, set()).update(names)
    return found


@pytest.fixture
async def request_line() -> dict[str, Any]:
    """Return the line of a request that was refused, as it is written."""
    app = RequestContext(refusal_problem(NotFound(), "a-request", utc_now()), utc_now)
    with house_logging() as log:
        async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
            await client.get("/")
    return dict(json.loads(log.getvalue()))


def every_line() -> set[str]:
    with house_logging() as log:
        logger("house").info("said")
    return set(json.loads(log.getvalue()))


def asked_events(query: str) -> set[str]:
    found = re.findall(r'event=~?"([^"]+)"', query)
    return {event for alternatives in found for event in alternatives.split("|")}


def asked_members(query: str) -> set[str]:
    found = re.search(r"\| json ([a-z_, ]+)", query)
    return set(found[1].replace(" ", "").split(",")) if found else set()


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_members_that_lines_of_its_events_have(
    query: str, members: dict[str, set[str]], request_line: dict[str, Any]
) -> None:
    members["request"] = set(request_line)
    events = asked_events(query)

    assert events <= members.keys()
    had = every_line().union(*(members[event] for event in events))
    assert asked_members(query) <= had


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_shows_and_filters_what_it_took_out_of_the_line(query: str) -> None:
    labels = set(re.search(r"stage\.labels \{\s+values = \{([^}]+)\}", ALLOY)[1].split())  # type: ignore[index]
    used = re.findall(r"\| (\w+)\s*(?:=|!|>)", query) + re.findall(r"unwrap (\w+)", query)
    for group in re.findall(r"by \(([^)]+)\)", query):
        used += group.replace(" ", "").split(",")

    assert set(used) <= asked_members(query) | labels | {"__error__"}
    assert '{app="strongroom", service=~"$service"}' in query


def test_the_dashboard_asks_the_loki_that_is_provisioned() -> None:
    provisioned = yaml.safe_load((GRAFANA / "provisioning/datasources/loki.yaml").read_text())
    (source,) = provisioned["datasources"]

    assert {str(panel.get("datasource", source)["uid"]) for panel in DASHBOARD["panels"]} == {
        source["uid"]
    }
    assert source["url"] == "http://loki:3100"
    assert 'url = "http://loki:3100/loki/api/v1/push"' in ALLOY


def test_every_file_that_is_mounted_is_there() -> None:
    services = compose("docker-compose.logs.yml")["services"]
    mounted = [volume.split(":") for one in services.values() for volume in one.get("volumes", ())]

    assert all((ROOT / here).exists() for here, *_ in mounted if here.startswith("."))
    assert all(end == ["ro"] for here, _, *end in mounted if here.startswith("."))


def test_lines_are_kept_for_a_time_that_is_named_and_nobody_is_told_of_us() -> None:
    assert LOKI["limits_config"]["retention_period"] == "336h"
    assert LOKI["compactor"]["retention_enabled"] is True
    assert LOKI["analytics"] == {"reporting_enabled": False}
    services = compose("docker-compose.logs.yml")["services"]
    assert "--disable-reporting" in services["alloy"]["command"]
    told = services["grafana"]["environment"]
    assert told["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
    assert told["GF_PLUGINS_PREINSTALL_DISABLED"] == "true"
