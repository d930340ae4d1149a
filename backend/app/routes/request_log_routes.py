"""What was asked of this installation, for its administrators."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from backend.app.errors import Forbidden, Unauthenticated
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.policy import ADMINISTRATION
from backend.app.routes.problems import refusals
from backend.app.schemas.request_log_schemas import RequestLogPage, RequestQuery

router = APIRouter(tags=["requests"])


@router.get(
    "/admin/requests",
    dependencies=[Depends(ADMINISTRATION)],
    responses=refusals(Unauthenticated, Forbidden),
)
async def search_requests(
    services: ServicesDep, wanted: Annotated[RequestQuery, Query()]
) -> RequestLogPage:
    """Show which requests were answered, the latest first. No body and no URL is kept.

    Users and request ids are found at once. Anything else that is rare is looked for from the
    newest request on: then `from` bounds how far.
    """
    return await services.request_log.page(wanted)
