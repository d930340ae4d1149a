"""Platform keys through the door: plain and signed, and every way of not being let in."""

import asyncio
import base64
import itertools
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from httpx2 import AsyncClient, Response
from sqlalchemy import text

from backend.app.clock import utc_now
from backend.app.container import Container
from backend.app.enums import KeyScope, Role
from backend.app.main import AppRole, create_app
from backend.app.schemas.api_key_schemas import ApiKeyMade
from backend.tests.support.api_keys import api_key, hmac_hex, key_headers, message, signed_headers
from backend.tests.support.people import Person, audited, bearer, person

ME = "/api/v1/me"
CREDENTIALS = "/api/v1/credentials"
KEYS = "/api/v1/api-keys"
BODY = b'{"exchange_name":"binance","api_key":"k1","api_secret":"s1","verify":false}'
JSON = {"Content-Type": "application/json"}
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "signed_request.py"
_NONCES = itertools.count(1)


@pytest.fixture
async def alice(services: Container) -> Person:
    return await person(services, "alice")


def fresh_nonce() -> str:
    return f"nonce-{next(_NONCES):016d}"


class Signer:
    """A program with a key that signs, in one of the two ways."""

    def __init__(self, key: ApiKeyMade, sign: Callable[[bytes], str], clock: Any) -> None:
        self.key = key
        self.sign = sign
        self.clock = clock

    def headers(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        nonce: str | None = None,
        seconds_off: int = 0,
    ) -> dict[str, str]:
        timestamp = str(int(self.clock().timestamp()) + seconds_off)
        nonce = nonce or fresh_nonce()
        signature = self.sign(message(timestamp, nonce, method, target, body))
        return {**JSON, **signed_headers(self.key, timestamp, nonce, signature)}


@pytest.fixture(params=["hmac", "ed25519"])
async def signer(
    request: pytest.FixtureRequest, services: Container, alice: Person, clock: Any
) -> Signer:
    if request.param == "hmac":
        key = await api_key(services, alice, *KeyScope, signing="hmac")
        return Signer(key, lambda text: hmac_hex(key, text), clock)
    private = Ed25519PrivateKey.generate()
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    key = await api_key(services, alice, *KeyScope, signing="ed25519", public_key=public)
    return Signer(key, lambda text: private.sign(text).hex(), clock)


def code(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


async def test_a_key_is_shown_once(client: AsyncClient, alice: Person) -> None:
    asked = {"name": "bot", "scopes": ["read", "trade"], "networks": ["127.0.0.1"]}

    made = await client.post(KEYS, json=asked, headers=alice.headers)
    listed = await client.get(KEYS, headers=alice.headers)

    assert made.status_code == 201, made.text
    assert made.headers["Cache-Control"] == "no-store"
    key = made.json()
    assert key["signing_secret"] is None
    assert key["networks"] == ["127.0.0.1/32"]
    (shown,) = listed.json()
    assert shown == {name: value for name, value in key.items() if name in shown}
    assert shown["scopes"] == ["read", "trade"]
    assert key["api_key"][13:] not in listed.text


@pytest.mark.parametrize("header", ["X-SR-Key", "Authorization"])
async def test_a_plain_key_passes_in_either_header(
    client: AsyncClient, services: Container, alice: Person, header: str
) -> None:
    key = await api_key(services, alice)
    headers = key_headers(key) if header == "X-SR-Key" else bearer(key.api_key)

    answer = await client.get(ME, headers=headers)

    assert answer.status_code == 200, answer.text
    assert answer.json()["username"] == "alice"


async def test_what_a_key_did_says_which_key_it_was(
    client: AsyncClient, services: Container, alice: Person
) -> None:
    key = await api_key(services, alice, KeyScope.ADMIN)

    answer = await client.post(CREDENTIALS, content=BODY, headers={**JSON, **key_headers(key)})

    assert answer.status_code == 201, answer.text
    created = next(line for line in await audited(services) if "credential.created" in line)
    assert f'"key_prefix":"{key.prefix}"' in created
    assert f'"id":{alice.user_id}' in created


async def test_a_scope_that_is_missing_is_named_and_recorded(
    client: AsyncClient, services: Container, alice: Person
) -> None:
    key = await api_key(services, alice, KeyScope.READ)

    answer = await client.post(CREDENTIALS, content=BODY, headers={**JSON, **key_headers(key)})

    assert code(answer) == (403, "key-scope-missing")
    assert answer.json()["scope"] == "admin"
    assert '"reason":"scope"' in "".join(await audited(services))


async def test_no_key_makes_keys(client: AsyncClient, services: Container, alice: Person) -> None:
    key = await api_key(services, alice, *KeyScope)

    answer = await client.post(
        KEYS, json={"name": "more", "scopes": ["read"]}, headers=key_headers(key)
    )

    assert code(answer) == (403, "session-needed")


async def test_an_administrators_key_loses_its_rights_with_the_role(
    client: AsyncClient, services: Container
) -> None:
    admin = await person(services, "admin", Role.ADMIN)
    other = await person(services, "other", Role.ADMIN)
    key = await api_key(services, admin, KeyScope.ADMIN)
    before = await client.get("/api/v1/users", headers=key_headers(key))

    demoted = await client.patch(
        f"/api/v1/users/{admin.user_id}", json={"role": "user"}, headers=other.headers
    )
    after = await client.get("/api/v1/users", headers=key_headers(key))

    assert (before.status_code, demoted.status_code) == (200, 200)
    assert code(after) == (403, "forbidden")


async def test_a_revoked_key_is_refused_at_once(
    client: AsyncClient, services: Container, alice: Person
) -> None:
    key = await api_key(services, alice)
    before = await client.get(ME, headers=key_headers(key))

    revoked = await client.delete(f"{KEYS}/{key.key_id}", headers=alice.headers)
    after = await client.get(ME, headers=key_headers(key))

    assert (before.status_code, revoked.status_code) == (200, 204)
    assert code(after) == (401, "unauthenticated")


async def test_a_signed_request_passes(client: AsyncClient, signer: Signer) -> None:
    read = await client.get(f"{ME}?x=1", headers=signer.headers("GET", f"{ME}?x=1"))
    written = await client.post(
        CREDENTIALS, content=BODY, headers=signer.headers("POST", CREDENTIALS, BODY)
    )

    assert read.status_code == 200, read.text
    assert written.status_code == 201, written.text


async def test_a_key_that_signs_accepts_nothing_unsigned(
    client: AsyncClient, signer: Signer
) -> None:
    for headers in (key_headers(signer.key), bearer(signer.key.api_key)):
        assert code(await client.get(ME, headers=headers)) == (401, "signature-refused")


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("PUT", CREDENTIALS, BODY),
        ("POST", f"{CREDENTIALS}?x=1", BODY),
        ("POST", f"{CREDENTIALS}/", BODY),
        ("POST", CREDENTIALS, BODY.replace(b"k1", b"k2")),
        ("POST", CREDENTIALS, b""),
    ],
)
async def test_a_signature_of_another_request_is_refused(
    client: AsyncClient, signer: Signer, method: str, target: str, body: bytes
) -> None:
    headers = signer.headers(method, target, body)

    answer = await client.post(CREDENTIALS, content=BODY, headers=headers)

    assert code(answer) == (401, "signature-refused")


@pytest.mark.parametrize("header", ["X-SR-Timestamp", "X-SR-Nonce", "X-SR-Signature"])
async def test_a_changed_header_is_refused(
    client: AsyncClient, signer: Signer, header: str
) -> None:
    headers = signer.headers("GET", ME)
    last = headers[header][-1]

    headers[header] = headers[header][:-1] + ("1" if last != "1" else "2")

    assert code(await client.get(ME, headers=headers)) == (401, "signature-refused")


@pytest.mark.parametrize("seconds_off", [-31, 31])
async def test_a_signature_of_another_time_is_refused(
    client: AsyncClient, signer: Signer, seconds_off: int
) -> None:
    headers = signer.headers("GET", ME, seconds_off=seconds_off)

    answer = await client.get(ME, headers=headers)

    assert code(answer) == (401, "signature-refused")
    assert answer.json()["server_seconds"] == int(signer.clock().timestamp())


async def test_a_request_sent_again_is_refused_also_by_another_process(
    client: AsyncClient, services: Container, settings: Any, database_url: str, signer: Signer
) -> None:
    headers = signer.headers("GET", ME)
    first = await client.get(ME, headers=headers)

    again = await client.get(ME, headers=headers)
    same_nonce = await client.get(
        ME, headers=signer.headers("GET", ME, nonce=headers["X-SR-Nonce"])
    )
    elsewhere = Container(settings, database_url, signer.clock)
    await elsewhere.start()
    try:
        client._transport.app = create_app(AppRole.API, elsewhere)  # type: ignore[attr-defined]
        replayed = await client.get(ME, headers=headers)
    finally:
        await elsewhere.stop()

    assert first.status_code == 200
    for answer in (again, same_nonce, replayed):
        assert code(answer) == (401, "signature-refused")
    assert '"reason":"replay"' in "".join(await audited(services))


async def test_of_one_request_sent_many_times_at_once_one_passes(
    client: AsyncClient, signer: Signer
) -> None:
    headers = signer.headers("GET", ME)

    answers = await asyncio.gather(*(client.get(ME, headers=headers) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


async def test_a_wrong_signature_uses_up_no_nonce(client: AsyncClient, signer: Signer) -> None:
    headers = signer.headers("GET", ME)
    forged = {**headers, "X-SR-Signature": "0" * len(headers["X-SR-Signature"])}

    refused = await client.get(ME, headers=forged)
    passed = await client.get(ME, headers=headers)

    assert (refused.status_code, passed.status_code) == (401, 200)


async def test_a_signing_secret_from_another_row_opens_nothing(
    client: AsyncClient, services: Container, alice: Person, clock: Any
) -> None:
    mine = await api_key(services, alice, signing="hmac")
    other = await api_key(services, alice, signing="hmac")
    async with services.database.transaction() as session:
        await session.execute(
            text(
                "UPDATE api_keys SET (sealed_signing_secret, dek_id) = (SELECT"
                " sealed_signing_secret, dek_id FROM api_keys WHERE key_id = :mine)"
                " WHERE key_id = :other"
            ),
            {"mine": mine.key_id, "other": other.key_id},
        )
    forger = Signer(other, lambda text: hmac_hex(mine, text), clock)

    answer = await client.get(ME, headers=forger.headers("GET", ME))

    assert code(answer) == (401, "unauthenticated")
    assert '"reason":"unreadable"' in "".join(await audited(services))


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "bot", "scopes": []},
        {"name": "bot", "scopes": ["everything"]},
        {"name": "", "scopes": ["read"]},
        {"name": "bot", "scopes": ["read"], "networks": ["192.0.2.7/24"]},
        {"name": "bot", "scopes": ["read"], "networks": ["192.0.2.7"] * 21},
        {"name": "bot", "scopes": ["read"], "expires_in_days": 0},
        {"name": "bot", "scopes": ["read"], "expires_in_days": 367},
        {"name": "bot", "scopes": ["read"], "signing": "ed25519"},
        {"name": "bot", "scopes": ["read"], "public_key": "A" * 43 + "="},
        {"name": "bot", "scopes": ["read"], "signing": "ed25519", "public_key": "AAAA"},
        {"name": "bot", "scopes": ["read"], "signing": "ed25519", "public_key": "é" * 43},
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(
    client: AsyncClient, alice: Person, asked: dict[str, Any]
) -> None:
    answer = await client.post(KEYS, json=asked, headers=alice.headers)

    assert code(answer) == (422, "validation")


class TestTheExample:
    """The program on the page, run against the house at the true time."""

    @pytest.fixture
    def clock(self) -> Any:
        return utc_now

    async def test_signs_requests_that_pass(
        self, client: AsyncClient, services: Container, alice: Person
    ) -> None:
        key = await api_key(services, alice, *KeyScope, signing="hmac")
        sign = runpy.run_path(str(EXAMPLE))["signed_headers"]

        read = await client.get(
            f"{ME}?a=b%20c", headers=sign(key.api_key, key.signing_secret, "GET", f"{ME}?a=b%20c")
        )
        written = await client.post(
            CREDENTIALS,
            content=BODY,
            headers={**JSON, **sign(key.api_key, key.signing_secret, "POST", CREDENTIALS, BODY)},
        )

        assert (read.status_code, written.status_code) == (200, 201)
