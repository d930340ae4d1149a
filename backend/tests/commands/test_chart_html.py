"""The chart is one page that asks nobody for anything and lets nothing foreign run."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from backend.app.candle_interval import CandleInterval
from backend.app.commands.chart_html import TABLE_ROWS_MAX, chart_page
from backend.app.repositories.candle_repository import Series

FIRST = datetime(2026, 11, 21, tzinfo=UTC)
LIBRARY = Path("backend/app/static/vendor/lightweight-charts-5.2.1")
VOID = {"meta", "link", "img", "br", "input", "hr"}


def candle(hour: int, **members: Any) -> dict[str, Any]:
    return {
        "open_time": f"{FIRST + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}",
        "open": "100",
        "high": "120.5",
        "low": "90.25",
        "close": "110",
        "volume": "3",
        **members,
    }


class Page(HTMLParser):
    """Elements, their attributes, and the text in each."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_endtag(self, tag: str) -> None:
        assert self.elements[self._open.pop()][0] == tag

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.elements[place][2].append(data)

    def texts(self, tag: str, **attributes: str) -> list[str]:
        return [
            "".join(parts)
            for name, found, parts in self.elements
            if name == tag and attributes.items() <= found.items()
        ]

    def is_closed(self) -> bool:
        return not self._open


def page_of(*candles: dict[str, Any], symbol: str = "BTC/USDT") -> tuple[str, Page]:
    series = Series("binance", symbol, CandleInterval.H1)
    source = chart_page(series, candles or [candle(hour) for hour in range(5)], FIRST)
    return source, Page(source)


def told(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.texts("script", id="told")[0])
    return found


def test_the_policy_names_each_script_and_the_style_by_its_hash() -> None:
    _, page = page_of()
    policy = next(
        found["content"] or ""
        for name, found, _ in page.elements
        if name == "meta" and found.get("http-equiv") == "Content-Security-Policy"
    )
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))

    def source(inline: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"

    scripts = [
        "".join(parts)
        for name, found, parts in page.elements
        if name == "script" and found.get("type") != "application/json"
    ]
    assert len(scripts) == 2
    assert directives == {
        "default-src": "'none'",
        "script-src": " ".join(map(source, scripts)),
        "style-src": source(page.texts("style")[0]),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_is_loaded_and_nothing_runs_outside_of_the_scripts() -> None:
    _, page = page_of()

    assert page.is_closed()
    for name, found, _ in page.elements:
        assert not {"src", "srcset", "style", "action"} & found.keys(), name
        assert not [attribute for attribute in found if attribute.startswith("on")], name
        assert name not in {"link", "iframe", "img", "object", "embed", "form", "base"}
        if "href" in found:
            assert (name, found["href"]) == ("a", "https://www.tradingview.com/")


def test_the_maker_of_the_chart_is_named_as_its_license_asks() -> None:
    _, page = page_of()

    assert page.texts("a") == ["TradingView"]
    footer = page.texts("footer")[0]
    assert "TradingView Lightweight Charts™, Copyright © 2026 TradingView, Inc." in footer


def test_the_library_is_the_file_that_was_published() -> None:
    notice = (LIBRARY / "NOTICE").read_text()
    source = (LIBRARY / "lightweight-charts.standalone.production.js").read_bytes()

    assert hashlib.sha256(source).hexdigest() in notice
    assert "Apache License" in (LIBRARY / "LICENSE").read_text()
    assert source.decode() in page_of()[0]
    # Nothing in it ends a script element or changes on its way through an HTML parser.
    assert not re.search(rb"</script|<!--|\r", source, re.IGNORECASE)


@pytest.mark.parametrize("evil", ["</script><script>alert(1)</script>", "<!--", "a&b\"'<b>"])
def test_no_text_breaks_out_of_its_place(evil: str) -> None:
    source, page = page_of(candle(0, volume=evil), symbol=evil)

    assert page.is_closed()
    assert len(page.texts("script")) == 3
    assert page.texts("h1")[0].startswith(evil)
    assert page.texts("title")[0].startswith(evil)
    assert told(page)["rows"][0][5] == evil
    assert evil not in source


def test_the_numbers_reach_the_page_as_they_are() -> None:
    _, page = page_of(candle(0, close="110.000000001"), candle(1))

    data = told(page)
    assert data["rows"][0] == [1795219200, "100", "120.5", "90.25", "110.000000001", "3"]
    assert data["places"] == 8
    assert data["seconds"] == 3600


def test_a_gap_is_shown_as_a_gap_and_counted() -> None:
    _, page = page_of(candle(0), candle(3))

    rows = told(page)["rows"]
    assert [len(row) for row in rows] == [6, 1, 1, 6]
    assert [row[0] - rows[0][0] for row in rows] == [0, 3600, 7200, 10800]
    assert "2 candles are missing in between" in page.texts("p", id="summary")[0]


def test_what_the_chart_shows_is_said_in_words_and_in_a_table() -> None:
    hours = TABLE_ROWS_MAX + 10
    _, page = page_of(*(candle(hour) for hour in range(hours)))

    summary = page.texts("p", id="summary")[0]
    assert summary.startswith(f"{hours} candles from 2026-11-21 00:00 to")
    assert "Opened at 100, closed at 110 (+10.00 %)" in summary
    assert "Highest 120.5 (2026-11-21 00:00), lowest 90.25 (2026-11-21 00:00)." in summary
    assert len(page.texts("tr")) == TABLE_ROWS_MAX + 1
    assert page.texts("h1") == ["BTC/USDT 1h · binance"]
    chart = next(found for _, found, _ in page.elements if found.get("id") == "chart")
    assert (chart["role"], chart["aria-labelledby"]) == ("img", "summary")
