"""SQL for trades as they were told: in by COPY, each one once."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from backend.app.candle_numbers import Trade

# Stays with the connection and is emptied by every commit: to make one each time costs more.
# A pooler keeps connections longer than a process lives: with other columns it needs another name.
_STAGE: Final = text(
    "CREATE TEMPORARY TABLE IF NOT EXISTS staged_ticks ("
    " symbol varchar(41), traded_at timestamptz, trade_id bigint,"
    " price numeric(38, 18), quantity numeric(38, 18), quote_quantity numeric(38, 18)"
    ") ON COMMIT DELETE ROWS"
)
_KEEP: Final = text(
    "WITH fresh AS ("
    " INSERT INTO ticks (exchange, symbol, traded_at, trade_id, price, quantity, quote_quantity)"
    " SELECT CAST(:exchange AS varchar), staged_ticks.* FROM staged_ticks"
    " ORDER BY symbol, traded_at, trade_id"
    " ON CONFLICT DO NOTHING RETURNING symbol, traded_at"
    ") SELECT symbol, date_trunc('minute', traded_at, 'UTC') AS minute, count(*)"
    " FROM fresh GROUP BY 1, 2 ORDER BY 1, 2"
)


class TickRepository:
    """The trades of one exchange."""

    def __init__(self, session: AsyncSession, exchange: str) -> None:
        self._session = session
        self._exchange = exchange

    async def hold(self) -> None:
        """Let nobody else write this exchange's ticks until the transaction ends.

        Candles are made of what the transaction sees: two at once would each miss the other's.
        """
        await self._session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended('ticks/' || :exchange, 0))"),
            {"exchange": self._exchange},
        )

    async def keep(self, trades: Sequence[Trade]) -> list[tuple[str, datetime, int]]:
        """Write the trades that are not here yet.

        Returns, by market and minute, how many were new.
        """
        await self._session.execute(_STAGE)
        connection = await (await self._session.connection()).get_raw_connection()
        driver: Any = connection.driver_connection
        await driver.copy_records_to_table(
            "staged_ticks",
            schema_name="pg_temp",
            columns=Trade._fields,
            records=trades,
        )
        fresh = await self._session.execute(_KEEP, {"exchange": self._exchange})
        return [(symbol, minute, count) for symbol, minute, count in fresh]
