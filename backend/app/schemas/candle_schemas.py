"""Candles as they are asked for and answered. Numbers are plain decimal strings."""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from backend.app.candle_interval import CandleInterval

PAGE_CANDLES_MAX: Final = 1_500
"""A day of minutes, and a little more."""
PAGE_CANDLES_DEFAULT: Final = 300
SYMBOL_NAME_LENGTH_MAX: Final = 41
EXCHANGE_NAME_LENGTH_MAX: Final = 20


class CandleQuery(BaseModel):
    """Which candles: the latest `limit` of a span."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    symbol: Annotated[
        str,
        Field(
            min_length=1,
            max_length=SYMBOL_NAME_LENGTH_MAX,
            description="`BTC/USDT`, `BTCUSDT`, `btc-usdt`",
        ),
    ]
    interval: CandleInterval
    limit: Annotated[int, Field(ge=1, le=PAGE_CANDLES_MAX)] = PAGE_CANDLES_DEFAULT
    since: Annotated[
        AwareDatetime | None,
        Field(alias="from", description="Opens then or later. ISO 8601 with its zone"),
    ] = None
    until: Annotated[
        AwareDatetime | None,
        Field(alias="to", description="Opens before then. ISO 8601 with its zone"),
    ] = None
    cursor: Annotated[AwareDatetime | None, Field(description="`next_cursor` of the last page")] = (
        None
    )
    exchange: Annotated[
        str | None,
        Field(
            max_length=EXCHANGE_NAME_LENGTH_MAX,
            description="Whose candles: one of the eight, `strongroom` or `synthetic`. "
            "By default the exchange that prices come from",
        ),
    ] = None


class Candle(BaseModel):
    """One candle. What its exchange does not tell is null."""

    open_time: AwareDatetime
    open: str
    high: str
    low: str
    close: str
    volume: Annotated[str, Field(description="In the base asset")]
    quote_volume: Annotated[str | None, Field(description="In the quote asset")]
    trades: int | None


class CandlePage(BaseModel):
    """Candles, oldest first; the page before them is that of `next_cursor`."""

    items: list[Candle]
    next_cursor: AwareDatetime | None


class CandleMetadata(BaseModel):
    """What a series is of."""

    exchange: str
    symbol: str
    interval: CandleInterval
    asset_class: Literal["spot"]


class DocumentCandle(BaseModel):
    """One candle, as the document form calls its members."""

    open_time: AwareDatetime
    open: str
    high: str
    low: str
    close: str
    volume: str
    quote_asset_volume: str | None
    number_of_trades: int | None


class CandleDocument(BaseModel):
    """A series with what it is of, to be kept as it is."""

    metadata: CandleMetadata
    data: list[DocumentCandle]
    next_cursor: AwareDatetime | None
