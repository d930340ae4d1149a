"""Key services over real HTTP: moto's KMS in a process of its own, and a transit engine.

The transit engine does what Vault and OpenBao do with a key made with `derived=true`, as far as
the service uses it, and can be away, slow, busy or wrong.
"""

import base64
import json
import os
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN: Final = "not-a-secret-token-of-this-test"
PATIENCE_SECONDS: Final = 60.0
_MOTO: Final = """
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
server._thread.join()
"""
_PATH: Final = re.compile(r"/v1/transit/(encrypt|decrypt)/([a-z0-9-]+)")
# moto wants credentials and does not look at them.
AWS_ENVIRONMENT: Final = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def moto_kms() -> Iterator[str]:
    """Run moto's server until the block ends, and yield its address."""
    with subprocess.Popen(
        [sys.executable, "-c", _MOTO],
        env={"PATH": os.defpath, **AWS_ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            # It takes a port itself, and says which when it listens; nothing, when it ends.
            port = process.stdout.readline().strip()
            assert port, "moto did not start"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@dataclass
class Transit:
    """A transit engine with its keys in memory. `mood` is what befalls the next answers."""

    keys: dict[str, bytes] = field(default_factory=lambda: {"strongroom": secrets.token_bytes(32)})
    derived: bool = True
    mood: str = "well"
    # How many answers the mood lasts; None is until it is changed.
    lasts: int | None = None
    asked: int = 0
    url: str = ""
    token: str = TOKEN
    # What is slow answers when the test is over.
    may_answer: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, token: str | None, body: dict[str, str]) -> tuple[int, Any]:
        self.asked += 1
        mood = self._mood()
        if mood == "slow":
            self.may_answer.wait()
        failures = {"throttled": 429, "broken": 500, "away": 503}
        if mood in failures:
            return failures[mood], {"errors": [mood]}
        if mood == "wrong":
            return 200, {"data": {"ciphertext": "hello", "plaintext": "!"}}
        if mood == "other":
            return 200, ["another", "service"]
        if token != self.token:
            return 403, {"errors": ["permission denied"]}
        return self._served(path, body)

    def _served(self, path: str, body: dict[str, str]) -> tuple[int, Any]:
        found = _PATH.fullmatch(path)
        if found is None or found[2] not in self.keys:
            return 404, {"errors": []}
        key = AESGCM(self.keys[found[2]])
        context = base64.b64decode(body["context"]) if self.derived else b""
        if found[1] == "encrypt":
            nonce = secrets.token_bytes(12)
            sealed = nonce + key.encrypt(nonce, base64.b64decode(body["plaintext"]), context)
            return 200, {"data": {"ciphertext": f"vault:v1:{base64.b64encode(sealed).decode()}"}}
        try:
            sealed = base64.b64decode(body["ciphertext"].removeprefix("vault:v1:"))
            plaintext = key.decrypt(sealed[:12], sealed[12:], context)
        except (InvalidTag, ValueError):
            return 400, {"errors": ["cipher: message authentication failed"]}
        return 200, {"data": {"plaintext": base64.b64encode(plaintext).decode()}}

    def _mood(self) -> str:
        if self.lasts is None:
            return self.mood
        if self.lasts == 0:
            return "well"
        self.lasts -= 1
        return self.mood


@dataclass
class Canned:
    """A server that gives every question the same answer."""

    status: int
    told: Any
    asked: int = 0
    url: str = ""

    def answer(self, _path: str, _token: str | None, _body: object) -> tuple[int, Any]:
        self.asked += 1
        return self.status, self.told


@contextmanager
def answering(status: int, told: Any) -> Iterator[Canned]:
    """Serve one answer until the block ends."""
    canned = Canned(status, told)
    with _served(canned):
        yield canned


@contextmanager
def transit() -> Iterator[Transit]:
    """Serve a transit engine until the block ends."""
    engine = Transit()
    with _served(engine):
        yield engine
        engine.may_answer.set()


@contextmanager
def _served(engine: Transit | Canned) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, told = engine.answer(self.path, self.headers.get("X-Vault-Token"), body)
            text = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_PUT = do_POST  # noqa: N815 - the name http.server calls

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            # A client that gave up is what some of these tests are about.
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    engine.url = f"http://127.0.0.1:{server.server_address[1]}"
    # It looks as often whether it is to end.
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
