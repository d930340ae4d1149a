"""One HTML file with everything in it: candles, chart library, style. It asks nobody for anything.

The page's own policy lets nothing run or load but the two scripts and the style in it, each named
by its hash.
"""

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from string import Template
from typing import Any, Final

from backend.app.repositories.candle_repository import Series

TABLE_ROWS_MAX: Final = 200
MISSING_SHOWN_MAX: Final = 100
"""A longer gap is shown as that many empty places."""
_PLACES_MAX: Final = 8
_PAGE: Final = Path(__file__).with_name("chart_page")
_LIBRARY: Final = (
    Path(__file__).parents[1]
    / "static/vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.js"
)
_COLUMNS: Final = ("open", "high", "low", "close", "volume")

CandleMembers = Mapping[str, Any]
"""A candle as `GET /candles` tells it."""


def chart_page(series: Series, candles: Sequence[CandleMembers], made_at: datetime) -> str:
    """Return the page that shows candles, oldest first, at least one."""
    style, script = _file("chart.css"), _file("chart.js")
    library = _LIBRARY.read_text("utf-8")
    shown = list(candles[-TABLE_ROWS_MAX:])
    words = {
        "title": f"{series.symbol} {series.interval} candles of {series.exchange}",
        "symbol": series.symbol,
        "interval": series.interval.value,
        "exchange": series.exchange,
        "summary": _summary(series, candles),
        "shown": str(len(shown)),
        "made": f"{made_at:%Y-%m-%d %H:%M}",
    }
    return Template(_file("chart.html")).substitute(
        {name: html.escape(word) for name, word in words.items()},
        policy=_policy(style, library, script),
        style=style,
        rows="\n".join(map(_table_row, reversed(shown))),
        told=_told(series, candles),
        library=library,
        script=script,
    )


def _file(name: str) -> str:
    return (_PAGE / name).read_text("utf-8")


def _policy(style: str, *scripts: str) -> str:
    allowed = " ".join(map(_source, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_source(style)};"
        " base-uri 'none'; form-action 'none'"
    )


def _source(inline: str) -> str:
    digest = hashlib.sha256(inline.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _told(series: Series, candles: Sequence[CandleMembers]) -> str:
    seconds = int(series.interval.length.total_seconds())
    told = {"seconds": seconds, "places": _places(candles), "rows": _rows(candles, seconds)}
    # Inside a script element nothing but `</script` and `<!--` means anything to HTML.
    return json.dumps(told, separators=(",", ":")).replace("<", "\\u003c")


def _rows(candles: Sequence[CandleMembers], seconds: int) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for candle in candles:
        at = int(datetime.fromisoformat(candle["open_time"]).timestamp())
        missing = range(rows[-1][0] + seconds if rows else at, at, seconds)
        rows.extend([gap] for gap in missing[:MISSING_SHOWN_MAX])
        rows.append([at, *(candle[name] for name in _COLUMNS)])
    return rows


def _places(candles: Sequence[CandleMembers]) -> int:
    texts = (candle[name] for candle in candles for name in _COLUMNS[:4])
    return min(max(len(text.partition(".")[2]) for text in texts), _PLACES_MAX)


def _summary(series: Series, candles: Sequence[CandleMembers]) -> str:
    first, last = candles[0], candles[-1]
    opened, closed = Decimal(first["open"]), Decimal(last["close"])
    high = max(candles, key=lambda candle: Decimal(candle["high"]))
    low = min(candles, key=lambda candle: Decimal(candle["low"]))
    change = (closed - opened) * 100 / opened
    missing = _missing(series, candles)
    gaps = f" {missing} candles are missing in between." if missing else ""
    return (
        f"{len(candles)} candles from {_time(first)} to {_time(last)} UTC."
        f" Opened at {first['open']}, closed at {last['close']} ({change:+.2f} %)."
        f" Highest {high['high']} ({_time(high)}), lowest {low['low']} ({_time(low)}).{gaps}"
    )


def _missing(series: Series, candles: Sequence[CandleMembers]) -> int:
    first, last = (datetime.fromisoformat(each["open_time"]) for each in (candles[0], candles[-1]))
    return (last - first) // series.interval.length + 1 - len(candles)


def _table_row(candle: CandleMembers) -> str:
    cells = "".join(f"<td>{html.escape(str(candle[name]))}</td>" for name in _COLUMNS)
    return f'<tr><th scope="row">{_time(candle)}</th>{cells}</tr>'


def _time(candle: CandleMembers) -> str:
    return f"{datetime.fromisoformat(candle['open_time']).astimezone(UTC):%Y-%m-%d %H:%M}"
