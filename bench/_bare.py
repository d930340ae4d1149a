"""The reference: FastAPI routes that return ready bytes, and nothing else.

The one that is posted to reads an order first.

python -m bench._bare <port> [<file with the bytes>]
"""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response

from backend.app.schemas.order_schemas import OrderCreate

_BODY = Path(sys.argv[2]).read_bytes() if len(sys.argv) > 2 else b"[]"
app = FastAPI()


@app.get("/")
async def ready_bytes() -> Response:
    return Response(_BODY, media_type="application/json", headers={"Cache-Control": "no-store"})


@app.post("/")
async def read_order(_order: OrderCreate) -> Response:
    return Response(_BODY, status_code=201, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False, lifespan="off")
