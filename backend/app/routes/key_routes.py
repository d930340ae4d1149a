"""Root keys, for an administrator: how far a rotation is."""

from fastapi import APIRouter

from backend.app.errors import Forbidden, Unauthenticated
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.policy import Administrator
from backend.app.routes.problems import refusals
from backend.app.schemas.key_schemas import RotationProgress

router = APIRouter(prefix="/admin/keys", tags=["keys"])


@router.get("/rotation", responses=refusals(Unauthenticated, Forbidden))
async def read_rotation(_: Administrator, services: ServicesDep) -> RotationProgress:
    """Say how far the rewrap under way is, or how the last one ended."""
    return await services.keys.rotation()
