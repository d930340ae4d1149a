"""The documentation holds what it promises: sections, links, codes, reasons and names exist."""

import re
from dataclasses import fields
from pathlib import Path

from backend.app import errors
from backend.app.errors import StrongroomError
from backend.app.exchanges.outbound import OutboundLimits
from backend.app.exchanges.reasons import Reason, Refusal
from backend.app.exchanges.refusals import sentence

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
SOURCES = sorted((ROOT / "backend").rglob("*.py"))

CITED = re.compile(r'docs/ARCHITECTURE\.md,\s+(?:#\s+)?"([^"]+)"')
HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\((?![a-z]+:)([^)#]*)(?:#([^)]+))?\)")
CODE_ROW = re.compile(r"^\| `([a-z-]+)` \| (\d{3}) \| ([^|]+) \|", re.MULTILINE)
REASON_ROW = re.compile(r"^\| `([a-z_]+)` \| `([a-z_]+)` \| ([^|]+) \|", re.MULTILINE)
NAME = re.compile(r"`([A-Z][A-Z_]{3,})`")


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page as the forge makes them."""
    headings = (
        re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page))
    )
    return {heading.replace(" ", "-") for heading in headings}


def section(page: Path, heading: str) -> str:
    return page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def resolves(page: Path, target: str, anchor: str) -> bool:
    aim = (page.parent / target).resolve() if target else page
    return aim.exists() and (not anchor or anchor in anchors(aim))


def test_every_section_a_docstring_cites_exists() -> None:
    headings = set(HEADING.findall(prose(DOCS / "ARCHITECTURE.md")))
    cited = {
        (source.relative_to(ROOT).as_posix(), name)
        for source in SOURCES
        for name in CITED.findall(source.read_text())
    }

    assert len(cited) > 5
    assert {(source, name) for source, name in cited if name not in headings} == set()


def test_every_relative_link_leads_somewhere() -> None:
    links = [(page, *link) for page in PAGES for link in LINK.findall(prose(page))]

    assert len(links) > 20
    assert [
        f"{page.name}: {target}#{anchor}"
        for page, target, anchor in links
        if not resolves(page, target, anchor)
    ] == []


def test_every_refusal_is_explained_as_it_is_given() -> None:
    given = {
        kind.slug: (str(kind.status), kind.title)
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, StrongroomError)
    }
    rows = CODE_ROW.findall(section(DOCS / "problems.md", "Codes"))

    assert {code: (status, title) for code, status, title in rows} == given


def test_every_reason_is_explained_as_it_is_given() -> None:
    given = {reason.value: (Refusal(reason).standing.value, sentence(reason)) for reason in Reason}
    rows = REASON_ROW.findall(section(DOCS / "problems.md", "Reasons of the exchanges"))

    assert {reason: (standing, meaning) for reason, standing, meaning in rows} == given


def test_every_outbound_limit_is_told() -> None:
    told = section(DOCS / "ARCHITECTURE.md", "Outbound calls")

    assert [limit.name for limit in fields(OutboundLimits) if f"`{limit.name}`" not in told] == []


def test_every_limit_told_has_its_name_in_the_code() -> None:
    code = "\n".join(source.read_text() for source in SOURCES) + (ROOT / ".env.example").read_text()
    words = set(re.findall(r"\w+", code))
    told = NAME.findall(section(DOCS / "ARCHITECTURE.md", "Limits"))

    assert len(told) > 30
    assert [name for name in told if name not in words] == []


def test_every_decision_is_listed_once() -> None:
    files = sorted(page.name for page in DECISIONS.glob("[0-9]*.md"))
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (DECISIONS / "README.md").read_text())
    numbers = [name[:4] for name in files]

    assert listed == files
    assert len(set(numbers)) == len(numbers)
