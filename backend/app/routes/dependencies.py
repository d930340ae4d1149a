"""How a route reaches the services."""

from typing import Annotated

from fastapi import Depends, Request

from backend.app.container import Container


async def _container(request: Request) -> Container:
    container: Container = request.app.state.container
    return container


ServicesDep = Annotated[Container, Depends(_container)]
