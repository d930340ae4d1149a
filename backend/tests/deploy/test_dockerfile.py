"""The image: two stages, nobody's root, nothing secret, nothing that changes by itself."""

import re

from backend.tests.support.deployment import ROOT

INSTRUCTIONS = re.findall(
    r"^([A-Z]+) (.*)$",
    (ROOT / "Dockerfile").read_text().replace("\\\n", " "),
    flags=re.MULTILINE,
)


def values(instruction: str) -> list[str]:
    return [value for name, value in INSTRUCTIONS if name == instruction]


def test_what_builds_stays_out_of_what_runs() -> None:
    build, run = values("FROM")
    last_stage = INSTRUCTIONS[INSTRUCTIONS.index(("FROM", run)) :]

    assert build == f"{run} AS build"
    assert not any(name == "RUN" for name, _ in last_stage)
    assert all(value.startswith("--from=build") for name, value in last_stage if name == "COPY")


def test_the_base_image_has_a_version() -> None:
    assert all(re.match(r"python:3\.\d+-slim-\w+", base) for base in values("FROM"))


def test_everything_installed_is_held_to_its_hash() -> None:
    installs = [part for run in values("RUN") for part in run.split("&&") if " install " in part]

    assert len(installs) == 2
    assert "--require-hashes -r requirements.txt" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]


def test_every_source_of_root_keys_starts_by_configuration_alone() -> None:
    locked = (ROOT / "requirements.txt").read_text()
    installed = re.findall(r"^([a-z0-9-]+)==", locked, re.MULTILINE)

    assert {"boto3", "hvac"} <= set(installed)


def test_the_image_runs_as_a_number_that_is_not_root() -> None:
    (user,) = values("USER")

    uid, gid = user.split(":")
    assert int(uid) > 0
    assert int(gid) > 0


def test_the_image_says_whether_it_is_well_without_a_tool_it_lacks() -> None:
    (check,) = values("HEALTHCHECK")

    assert "'/healthz'" in check
    assert 'CMD ["python",' in check


def test_the_image_starts_by_the_entrypoint_and_listens_on_8000() -> None:
    assert values("ENTRYPOINT") == ['["/app/docker/entrypoint.sh"]']
    assert values("EXPOSE") == ["8000"]


def test_nothing_is_written_outside_the_temporary_folder() -> None:
    (environment,) = values("ENV")[1:]

    assert "PYTHONDONTWRITEBYTECODE=1" in environment
    assert "STRONGROOM_HOME=/tmp/" in environment


def test_no_secret_is_baked_in() -> None:
    assert values("ARG") == []
    assert not re.search(r"(PASSWORD|SECRET|_KEY|SEED)=", " ".join(values("ENV")))


def test_only_what_is_named_enters_the_build() -> None:
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    assert rules[0] == "*"
    assert not any(rule.startswith(("!.", "!*")) for rule in rules)
    copied = {source for copy in values("COPY") for source in copy.split()[:-1]}
    named = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert {source.split("/")[0] for source in copied if not source.startswith(("-", "/"))} == named
    assert all((ROOT / name).exists() for name in named)
