"""The live channel: a ticket, and the WebSocket it opens."""

from http import HTTPStatus

from fastapi import APIRouter, Depends, WebSocket

from backend.app.errors import SessionNeeded, TooManyTickets, Unauthenticated
from backend.app.routes.dependencies import ServicesDep
from backend.app.routes.policy import PUBLIC, CurrentUser
from backend.app.routes.problems import refusals
from backend.app.routes.websocket_peer import accepted
from backend.app.schemas.live_schemas import Ticket

router = APIRouter(prefix="/ws", tags=["live"])


@router.post(
    "/tickets",
    status_code=HTTPStatus.CREATED,
    responses=refusals(Unauthenticated, SessionNeeded, TooManyTickets),
)
async def create_ticket(user: CurrentUser, services: ServicesDep) -> Ticket:
    """Draw a ticket that opens one WebSocket `/api/v1/ws` within 30 seconds."""
    return await services.sockets.issue_ticket(user)


# Anybody may knock: who it is, the ticket in the first frame says.
@router.websocket("", dependencies=[Depends(PUBLIC)])
async def live(socket: WebSocket, services: ServicesDep) -> None:
    """Tell a signed-in user what happens, as docs/websocket.md describes it."""
    await services.sockets.serve(await accepted(socket))
