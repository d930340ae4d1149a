"""The audit trail: everybody's for auditors and administrators, one's own for everybody."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.app.errors import Forbidden, Unauthenticated
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.policy import AuditReader, CurrentUser
from backend.app.routes.problems import refusals
from backend.app.schemas.audit_schemas import AuditPage, AuditPlace, AuditQuery

router = APIRouter(tags=["audit"])


@router.get("/admin/audit", responses=refusals(Unauthenticated, Forbidden))
async def read_audit_trail(
    reader: AuditReader, services: ServicesDep, wanted: Annotated[AuditQuery, Query()]
) -> AuditPage:
    """Show what everybody did, the latest first. Reading it is recorded too."""
    return await services.audit_trail.page(reader, wanted)


@router.get("/me/audit", responses=refusals(Unauthenticated))
async def read_own_audit_trail(
    user: CurrentUser, services: ServicesDep, wanted: Annotated[AuditPlace, Query()]
) -> AuditPage:
    """Show what you did, and what was done to what is yours, the latest first."""
    return await services.audit_trail.own_page(user, wanted)
