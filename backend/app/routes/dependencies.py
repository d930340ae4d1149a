"""How a route reaches the services."""

from typing import Annotated

from fastapi import Depends, Request

from backend.app.container import Container


def services_of(request: Request) -> Container:
    """Return the services of the app that was asked."""
    container: Container = request.app.state.container
    return container


async def _services(request: Request) -> Container:
    return services_of(request)


ServicesDep = Annotated[Container, Depends(_services)]
