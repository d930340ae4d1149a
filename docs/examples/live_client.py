"""Listen to Strongroom's live channel, and go on after every broken line where it broke.

    STRONGROOM_TOKEN=... python docs/examples/live_client.py \\
        http://127.0.0.1:8000 prices notifications

Needs the package `websockets`. The token is the access token of a login.
"""

import asyncio
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

# Trying again does not mend these: a ticket or login refused, a session that has ended.
HOPELESS_CODES = frozenset({4401, 4403, 4410})
PAUSE_SECONDS_MAX = 30.0


def draw_ticket(address: str, token: str) -> str:
    """Return a ticket: it opens one connection, within 30 seconds."""
    request = urllib.request.Request(  # noqa: S310
        f"{address}/api/v1/ws/tickets",
        method="POST",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return str(json.load(answer)["ticket"])


async def listen(address: str, token: str, channels: list[str]) -> AsyncIterator[dict[str, Any]]:
    """Yield every message once and in order, whatever happens to the line in between.

    A `snapshot` replaces what was known of its channel; after a `reset` something was missed.
    """
    seen: dict[str, int] = {}
    pause_seconds = 1.0
    while True:
        try:
            async with connect(f"ws{address.removeprefix('http')}/api/v1/ws") as socket:
                ticket = await asyncio.to_thread(draw_ticket, address, token)
                await socket.send(json.dumps({"op": "login", "ticket": ticket}))
                await _subscribe(socket, channels, seen)
                async for text in socket:
                    pause_seconds = 1.0
                    frame = json.loads(text)
                    if frame["type"] in {"subscribed", "reset", "message"}:
                        _note(seen, frame)
                    if frame["type"] in {"message", "snapshot", "reset", "error"}:
                        yield frame
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code in HOPELESS_CODES:
                raise
        except urllib.error.HTTPError as refused:
            if refused.code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                raise
        except (OSError, InvalidStatus):
            pass
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(pause_seconds * 2, PAUSE_SECONDS_MAX)


async def _subscribe(socket: ClientConnection, channels: list[str], seen: dict[str, int]) -> None:
    for channel in channels:
        asked: dict[str, Any] = {"op": "subscribe", "channel": channel}
        if channel in seen:
            asked["after"] = seen[channel]
        await socket.send(json.dumps(asked))


def _note(seen: dict[str, int], frame: dict[str, Any]) -> None:
    # `subscribed` says where the channel stands; with `after`, messages up to there still follow.
    if frame["type"] != "subscribed" or frame["channel"] not in seen:
        seen[frame["channel"]] = frame["seq"]


async def main() -> None:
    """Print what comes, a line a frame."""
    address, *channels = sys.argv[1:]
    async for frame in listen(address, os.environ["STRONGROOM_TOKEN"], channels):
        print(json.dumps(frame), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
