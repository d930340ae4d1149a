"""Brings refused rotations back, and destroys key pairs whose time is over."""

from backend.app.services.rotation_upkeep_service import RotationUpkeepService


class RotationKeeper:
    """Does for rotations what nobody asks for. What is due stands in the database."""

    name = "rotation-keeper"
    interval_seconds = 10.0

    def __init__(self, upkeep: RotationUpkeepService) -> None:
        self._upkeep = upkeep

    async def tick(self) -> None:
        """Roll back what is due, then destroy what is too old; a bounded number of each."""
        await self._upkeep.roll_back_due()
        await self._upkeep.expire_due()

    async def close(self) -> None:
        """Hold nothing."""
