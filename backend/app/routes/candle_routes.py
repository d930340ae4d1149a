"""Candles, as a page or as a document."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from backend.app.errors import CandleRangeRefused, ExchangeUnknown, SymbolUnknown
from backend.app.routes.dependencies import MarketDep
from backend.app.routes.policy import PUBLIC
from backend.app.routes.problems import refusals
from backend.app.schemas.candle_schemas import CandleDocument, CandlePage, CandleQuery

router = APIRouter(
    prefix="/candles",
    tags=["candles"],
    dependencies=[Depends(PUBLIC)],
    responses=refusals(SymbolUnknown, ExchangeUnknown, CandleRangeRefused),
)
_JSON = "application/json"


@router.get("", response_model=CandlePage)
async def list_candles(asked: Annotated[CandleQuery, Query()], market: MarketDep) -> Response:
    """List the latest candles of a span, oldest first."""
    return Response(await market.candles.page(asked), media_type=_JSON)


@router.get("/document", response_model=CandleDocument)
async def candle_document(asked: Annotated[CandleQuery, Query()], market: MarketDep) -> Response:
    """List the same with what they are of, under the names of the exchanges' documents."""
    return Response(await market.candles.document(asked), media_type=_JSON)
