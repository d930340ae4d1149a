"""Pays out what is due: queued, put off, or left behind by a process that died."""

from typing import Final, Protocol

ROUNDS_PER_TICK_MAX: Final = 50


class Desk(Protocol):
    """Whoever knows what is due."""

    async def settle_due(self) -> bool:
        """Pay some of it out; return whether there is more."""
        ...

    async def close(self) -> None:
        """Break off what is under way."""
        ...


class SettlementCourier:
    """Works in every process that serves the API, beside the others'."""

    name = "settlement-courier"
    interval_seconds = 0.5

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def tick(self) -> None:
        """Pay out what is due, a bounded number of rounds."""
        for _ in range(ROUNDS_PER_TICK_MAX):
            if not await self._desk.settle_due():
                return

    async def close(self) -> None:
        """Break off what is under way."""
        await self._desk.close()
