"""Webhooks as their owners make, change and delete them; what is kept of their secrets."""

import pytest
from httpx2 import ASGITransport, AsyncClient
from pydantic import ValidationError

from backend.app.audit_record import SYSTEM
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import Role
from backend.app.errors import (
    TooManyWebhooks,
    WebhookAddressRefused,
    WebhookDisabledNow,
    WebhookNotFound,
)
from backend.app.main import AppRole, create_app
from backend.app.schemas.webhook_schemas import WebhookCreate, WebhookUpdate
from backend.app.services.key_sources import build_key_ring
from backend.app.services.key_verification import KeyVerification
from backend.app.services.principal import Principal
from backend.app.services.webhook_service import WEBHOOKS_PER_USER_MAX
from backend.tests.conftest import HandClock
from backend.tests.support.logs import house_logging
from backend.tests.support.people import Person, audited, person
from backend.tests.support.webhook_receiver import Receiver
from backend.tests.support.webhooks import carry, principal_of, rows, tell, told, webhook

HOOK = "https://hook.example.com/in?token=s3cr3t-of-the-far-end"
OPENS = "SELECT 1 FROM deks WHERE wrapped IS NOT NULL AND owner_id > 0"


async def test_a_secret_is_shown_once_and_lies_sealed(house: Container, alice: Person) -> None:
    app = create_app(AppRole.API, house)
    async with AsyncClient(transport=ASGITransport(app=app), base_url="http://test") as client:
        made = await client.post(
            "/api/v1/webhooks", json={"name": "mine", "url": HOOK}, headers=alice.headers
        )
        secret, path = made.json()["secret"], f"/api/v1/webhooks/{made.json()['id']}"
        rotated = await client.post(f"{path}/secret", headers=alice.headers)
        shown = [
            await client.get(path, headers=alice.headers),
            await client.get("/api/v1/webhooks", headers=alice.headers),
            await client.get(f"{path}/deliveries", headers=alice.headers),
        ]

    assert made.status_code == 201
    assert secret.startswith("whsec_")
    for answer in (made, rotated):
        assert answer.headers["Cache-Control"] == "no-store"
    stored = await rows(house.database, "SELECT t::text AS line FROM webhook_secrets AS t")
    everywhere = "".join(row.line for row in stored) + "".join(each.text for each in shown)
    assert secret.removeprefix("whsec_") not in everywhere
    assert rotated.json()["secret"].removeprefix("whsec_") not in everywhere
    assert "sr1." in everywhere


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://10.0.0.1/",
        "https://10.0.0.1/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/",
    ],
)
async def test_an_address_that_cannot_be_is_refused_when_it_is_named(
    house: Container, alice: Person, url: str
) -> None:
    made = await webhook(house, alice, HOOK)

    with pytest.raises(WebhookAddressRefused):
        await webhook(house, alice, url)
    with pytest.raises(WebhookAddressRefused):
        await house.notices.webhooks.update(principal_of(alice), made.id, WebhookUpdate(url=url))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://example.com/#part",
        "https://example.com:99999/",
        "https://example.com/ space",
        "https://example.com/\r\nX: y",
        "https://exämple.com/",
        "https://example.com/" + "a" * 2_048,
        "javascript:alert(1)",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        WebhookCreate(name="mine", url=url)


async def test_a_user_has_so_many_and_no_more(house: Container, alice: Person) -> None:
    for _ in range(WEBHOOKS_PER_USER_MAX):
        await webhook(house, alice, HOOK)

    with pytest.raises(TooManyWebhooks):
        await webhook(house, alice, HOOK)


async def test_anothers_webhook_is_not_there(house: Container, alice: Person) -> None:
    made, bob = await webhook(house, alice, HOOK), principal_of(await person(house, "bob"))
    webhooks = house.notices.webhooks

    for ask in (
        webhooks.get(bob, made.id),
        webhooks.delete(bob, made.id),
        webhooks.test(bob, made.id),
        webhooks.rotate_secret(bob, made.id),
        webhooks.update(bob, made.id, WebhookUpdate(name="his")),
        webhooks.deliveries(bob, made.id, 10, None),
    ):
        with pytest.raises(WebhookNotFound):
            await ask


async def test_a_deleted_webhook_leaves_no_key_that_opens(house: Container, alice: Person) -> None:
    made = await webhook(house, alice, HOOK)
    await house.notices.webhooks.rotate_secret(principal_of(alice), made.id)
    before = len(await rows(house.database, OPENS))

    await house.notices.webhooks.delete(principal_of(alice), made.id)

    assert (before, await rows(house.database, OPENS)) == (2, [])


async def test_a_deleted_person_leaves_no_key_that_opens(house: Container, alice: Person) -> None:
    root = await person(house, "root", Role.ADMIN)
    await webhook(house, alice, HOOK)
    await tell(house, alice)

    await house.users.delete(
        Principal(root.user_id, "root", Role.ADMIN, root.session_id), alice.user_id
    )

    assert await rows(house.database, OPENS) == []
    assert await rows(house.database, "SELECT 1 FROM webhook_deliveries") == []


async def test_a_third_secret_ends_the_first(house: Container, alice: Person) -> None:
    made = await webhook(house, alice, HOOK)

    for _ in range(3):
        await house.notices.webhooks.rotate_secret(principal_of(alice), made.id)

    assert len(await rows(house.database, "SELECT 1 FROM webhook_secrets")) == 2
    assert len(await rows(house.database, OPENS)) == 2


async def test_deep_verification_opens_the_secrets_and_names_one_that_does_not(
    house: Container, alice: Person, settings: Settings, clock: HandClock
) -> None:
    await webhook(house, alice, HOOK)
    verification = KeyVerification(house.database, build_key_ring(settings.vault), clock)

    fine = await verification.run(SYSTEM, deep=True)
    async with house.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE webhook_secrets SET sealed_secret = 'sr1.damaged'")
    damaged = await verification.run(SYSTEM, deep=True)

    assert (fine.fields, fine.unopened) == (1, [])
    assert "sealed_secret of webhook_secrets" in str(damaged.unopened)


async def test_what_is_done_is_on_record_and_no_address_with_it(
    house: Container, alice: Person
) -> None:
    who, webhooks = principal_of(alice), house.notices.webhooks
    made = await webhook(house, alice, HOOK)
    await webhooks.update(who, made.id, WebhookUpdate(name="other"))
    await webhooks.rotate_secret(who, made.id)
    await webhooks.delete(who, made.id)

    trail = [line for line in await audited(house) if '"act":"webhook.' in line]
    acts = ["created", "changed", "secret_rotated", "deleted"]
    assert [line.split('"act":"webhook.')[1].split('"')[0] for line in trail] == acts
    assert "example.com" not in "".join(trail)


async def test_neither_secret_nor_address_is_in_the_log(
    house: Container, alice: Person, receiver: Receiver
) -> None:
    with house_logging("DEBUG") as log:
        made = await webhook(house, alice, receiver.url + "?token=s3cr3t-of-the-far-end")
        await tell(house, alice)
        receiver.says(500)
        await carry(house)

    assert len(receiver.received) == 1
    assert made.secret.removeprefix("whsec_") not in log.getvalue()
    assert "s3cr3t-of-the-far-end" not in log.getvalue()
    assert "s3cr3t" not in repr(made)


async def test_a_test_tells_nothing_and_is_sent_once_at_a_time(
    house: Container, alice: Person, receiver: Receiver
) -> None:
    made = await webhook(house, alice, receiver.url, kinds=["price_alert"])
    first = await house.notices.webhooks.test(principal_of(alice), made.id)
    again = await house.notices.webhooks.test(principal_of(alice), made.id)

    await carry(house)

    assert first.id == again.id
    assert [(told(came)["type"], told(came)["data"]) for came in receiver.received] == [
        ("webhook_test", {})
    ]


async def test_a_disabled_webhook_is_not_tested(house: Container, alice: Person) -> None:
    made = await webhook(house, alice, HOOK)
    paused = WebhookUpdate(is_active=False)
    await house.notices.webhooks.update(principal_of(alice), made.id, paused)

    with pytest.raises(WebhookDisabledNow):
        await house.notices.webhooks.test(principal_of(alice), made.id)


@pytest.mark.parametrize("wrong", [{}, {"name": None}, {"is_active": None}, {"kinds": ["nothing"]}])
def test_a_change_of_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WebhookUpdate(**wrong)
