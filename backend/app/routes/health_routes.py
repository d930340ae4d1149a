"""Is it alive, is it ready."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from backend.app.errors import DatabaseUnavailable
from backend.app.routes.dependencies import HealthDep
from backend.app.routes.policy import WATCHING
from backend.app.routes.problems import refusals

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """A sign of life."""

    status: str


@router.get("/healthz", dependencies=[Depends(WATCHING)])
@router.get("/health", dependencies=[Depends(WATCHING)], include_in_schema=False)
async def alive() -> Health:
    """Say that the process runs. Asks nothing of anyone."""
    return Health(status="ok")


@router.get("/readyz", dependencies=[Depends(WATCHING)], responses=refusals(DatabaseUnavailable))
async def ready(service: HealthDep) -> Health:
    """Say that requests can be served: the database answers and nobody is shutting down."""
    await service.check()
    return Health(status="ready")
