"""The API pages, served from this machine: no foreign host, no inline script, nothing kept."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from backend.app.routes.policy import PUBLIC

router = APIRouter(prefix="/docs", include_in_schema=False, dependencies=[Depends(PUBLIC)])

_OWN: Final = Path(__file__).with_name("docs_page")
_SWAGGER: Final = Path(str(files("fastapi_swagger.resources")))
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


@router.get("")
async def page() -> FileResponse:
    """Return the page on which every route can be read and tried."""
    return FileResponse(_OWN / "page.html", headers=_HEADERS)


@router.get("/start.js")
async def start_script() -> FileResponse:
    """Return the script that opens the page."""
    return FileResponse(_OWN / "start.js", headers=_HEADERS)


@router.get("/swagger-ui-bundle.js")
async def swagger_script() -> FileResponse:
    """Return Swagger UI itself."""
    return FileResponse(_SWAGGER / "swagger-ui-bundle.js", headers=_HEADERS)


@router.get("/swagger-ui.css")
async def swagger_style() -> FileResponse:
    """Return Swagger UI's style."""
    return FileResponse(_SWAGGER / "swagger-ui.css", headers=_HEADERS)


@router.get("/favicon.png")
async def icon() -> FileResponse:
    """Return the page's icon."""
    return FileResponse(_SWAGGER / "favicon-32x32.png", headers=_HEADERS)
