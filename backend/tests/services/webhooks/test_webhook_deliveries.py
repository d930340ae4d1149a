"""Messages on their way: signed, repeated, shared among processes, never lost."""

import asyncio

from standardwebhooks.webhooks import Webhook as Library

from backend.app.clock import utc_now
from backend.app.config import Settings
from backend.app.container import Container
from backend.app.enums import DeliveryFailure, DeliveryState, NotificationKind, WebhookDisabled
from backend.app.models.notification_event import NotificationEvent
from backend.app.repositories.notification_repository import NotificationRepository
from backend.app.repositories.webhook_outbox import DELIVERIES_WAITING_MAX
from backend.app.schemas.webhook_schemas import WebhookUpdate
from backend.app.services.webhook_delivery_service import CLAIM_LASTS, EACH_AT_ONCE_MAX
from backend.app.services.webhooks.retry_plan import ATTEMPTS_MAX
from backend.app.workers.webhook_courier import AT_ONCE_MAX, WebhookCourier
from backend.tests.conftest import HandClock
from backend.tests.support.people import Person, person
from backend.tests.support.webhook_receiver import Receiver
from backend.tests.support.webhooks import (
    carry,
    deliveries,
    principal_of,
    proves,
    quiet_house,
    rows,
    tell,
    told,
    webhook,
)


async def test_a_notification_arrives_and_the_library_of_standard_webhooks_proves_it(
    house: Container, alice: Person, receiver: Receiver, clock: HandClock
) -> None:
    # The library looks at the real time.
    clock.moment = utc_now()
    made = await webhook(house, alice, receiver.url)
    await tell(house, alice, reason="bad_signature")

    await carry(house)

    came = receiver.received[0]
    body = Library(made.secret).verify(came.body, dict(came.headers))
    assert body["type"] == "key_invalid"
    assert body["data"]["facts"] == {"reason": "bad_signature"}
    assert came.headers["Content-Type"] == "application/json"
    [delivery] = await deliveries(house, alice, made)
    assert delivery.message_id == came.message_id
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 1)
    assert (delivery.last_status, delivery.last_failure) == (204, None)


async def test_only_wanted_kinds_are_sent(
    house: Container, alice: Person, receiver: Receiver
) -> None:
    await webhook(house, alice, receiver.url, kinds=["price_alert"])
    await tell(house, alice)
    await tell(house, alice, NotificationKind.PRICE_ALERT)

    await carry(house)

    assert [told(came)["type"] for came in receiver.received] == ["price_alert"]


async def test_nobody_hears_of_others(house: Container, alice: Person, receiver: Receiver) -> None:
    await webhook(house, alice, receiver.url)
    await tell(house, await person(house, "bob"))

    await carry(house)

    assert receiver.received == []


async def test_what_is_rolled_back_is_not_sent(
    house: Container, alice: Person, receiver: Receiver
) -> None:
    await webhook(house, alice, receiver.url)
    event = NotificationEvent(
        user_id=alice.user_id, kind="key_invalid", facts={}, created_at=house.clock()
    )

    async with house.database.transaction() as session:
        await NotificationRepository(session).add(event)
        await session.rollback()
    await carry(house)

    assert receiver.received == []


async def test_a_failed_message_comes_again_later_and_later_under_the_same_id(
    house: Container, alice: Person, receiver: Receiver, clock: HandClock
) -> None:
    made = await webhook(house, alice, receiver.url)
    receiver.says(500)
    await tell(house, alice)
    begun = clock()

    for _ in range(ATTEMPTS_MAX):
        await carry(house)
        [delivery] = await deliveries(house, alice, made)
        clock.moment = delivery.next_attempt_at or clock.moment

    await carry(house)
    assert len(receiver.received) == ATTEMPTS_MAX
    assert len({came.message_id for came in receiver.received}) == 1
    assert len({came.body for came in receiver.received}) == 1
    assert len({came.headers["webhook-timestamp"] for came in receiver.received}) == ATTEMPTS_MAX
    assert all(proves(came, made.secret) for came in receiver.received)
    assert (delivery.state, delivery.attempts) == (DeliveryState.GIVEN_UP, ATTEMPTS_MAX)
    assert (delivery.last_failure, delivery.last_status) == (DeliveryFailure.STATUS, 500)
    assert 20 < (clock() - begun).total_seconds() / 3600 < 26


async def test_nothing_is_tried_before_its_time(
    house: Container, alice: Person, receiver: Receiver, clock: HandClock
) -> None:
    await webhook(house, alice, receiver.url)
    receiver.says(503, **{"Retry-After": "600"})
    await tell(house, alice)
    await carry(house)

    clock.advance(seconds=599)
    await carry(house)
    early = len(receiver.received)
    clock.advance(seconds=1)
    await carry(house)

    assert (early, len(receiver.received)) == (1, 2)


async def test_a_message_that_arrives_at_last_ends_the_trouble(
    house: Container, alice: Person, receiver: Receiver, clock: HandClock
) -> None:
    made = await webhook(house, alice, receiver.url)
    receiver.says(500)
    await tell(house, alice)
    await carry(house)
    failing = await house.notices.webhooks.get(principal_of(alice), made.id)

    clock.advance(minutes=1)
    receiver.says(200)
    await carry(house)

    mended = await house.notices.webhooks.get(principal_of(alice), made.id)
    assert failing.failing_since is not None
    assert mended.failing_since is None
    assert (await deliveries(house, alice, made))[0].state is DeliveryState.DELIVERED


async def test_a_webhook_that_says_it_is_gone_is_disabled_and_its_owner_told(
    house: Container, alice: Person, receiver: Receiver
) -> None:
    made = await webhook(house, alice, receiver.url)
    receiver.says(410)
    for _ in range(EACH_AT_ONCE_MAX + 2):
        await tell(house, alice)

    await carry(house)

    shown = await house.notices.webhooks.get(principal_of(alice), made.id)
    page = await house.notifications.page(alice.user_id, 10, None)
    states = {each.state for each in await deliveries(house, alice, made)}
    assert (shown.is_active, shown.disabled_because) == (False, WebhookDisabled.GONE)
    assert page.items[0].kind is NotificationKind.WEBHOOK_DISABLED
    assert page.items[0].facts == {"webhook_id": made.id, "name": "mine", "reason": "gone"}
    assert [each.kind for each in page.items].count(NotificationKind.WEBHOOK_DISABLED) == 1
    assert states == {DeliveryState.GIVEN_UP}


async def test_a_webhook_that_fails_for_days_is_disabled_and_may_be_woken(
    house: Container, alice: Person, receiver: Receiver, clock: HandClock
) -> None:
    made = await webhook(house, alice, receiver.url)
    receiver.says(500)
    for _ in range(4):
        await tell(house, alice)
        await carry(house)
        clock.advance(days=1)

    off = await house.notices.webhooks.get(principal_of(alice), made.id)
    await tell(house, alice)
    receiver.says(200)
    on = await house.notices.webhooks.update(
        principal_of(alice), made.id, WebhookUpdate(is_active=True)
    )
    await tell(house, alice)
    before = len(receiver.received)
    await carry(house)

    assert (off.is_active, off.disabled_because) == (False, WebhookDisabled.FAILING)
    assert (on.is_active, on.disabled_because, on.failing_since) == (True, None, None)
    # What was told while it slept is listed, and not sent.
    assert len(receiver.received) == before + 1


async def test_a_paused_webhook_is_told_nothing(
    house: Container, alice: Person, receiver: Receiver
) -> None:
    made = await webhook(house, alice, receiver.url)
    await tell(house, alice)
    await house.notices.webhooks.update(
        principal_of(alice), made.id, WebhookUpdate(is_active=False)
    )
    await tell(house, alice)

    await carry(house)

    assert receiver.received == []
    assert [each.state for each in await deliveries(house, alice, made)] == [DeliveryState.GIVEN_UP]


async def test_while_a_secret_is_replaced_both_prove_a_message(
    house: Container, alice: Person, receiver: Receiver, clock: HandClock
) -> None:
    made = await webhook(house, alice, receiver.url)
    rotated = await house.notices.webhooks.rotate_secret(principal_of(alice), made.id)
    await tell(house, alice)
    await carry(house)
    clock.advance(hours=24)
    await tell(house, alice)
    await carry(house)
    await house.notices.deliveries.sweep()

    both, one = receiver.received
    assert (proves(both, made.secret), proves(both, rotated.secret)) == (True, True)
    assert (proves(one, made.secret), proves(one, rotated.secret)) == (False, True)
    left = await rows(house.database, "SELECT expires_at FROM webhook_secrets")
    shredded = await rows(house.database, "SELECT 1 FROM deks WHERE shredded_at IS NOT NULL")
    assert (len(left), left[0].expires_at, len(shredded)) == (1, None, 1)


async def test_several_couriers_share_the_work_and_send_each_message_once(
    settings: Settings, database_url: str, clock: HandClock, receiver: Receiver
) -> None:
    async with (
        quiet_house(settings, database_url, clock) as one,
        quiet_house(settings, database_url, clock) as other,
    ):
        people = [await person(one, f"somebody{n}") for n in range(10)]
        for somebody in people:
            await webhook(one, somebody, receiver.url)
        await asyncio.gather(*(tell(one, each, n=n) for n in range(6) for each in people))

        await asyncio.gather(carry(one), carry(other), carry(one), carry(other))

    ids = [came.message_id for came in receiver.received]
    assert (len(ids), len(set(ids))) == (60, 60)


async def test_one_slow_webhook_holds_up_nobody(
    house: Container, alice: Person, receiver: Receiver
) -> None:
    bob, others = await person(house, "bob"), [await person(house, f"other{n}") for n in range(3)]
    for somebody in (alice, bob, *others):
        await webhook(house, somebody, f"{receiver.url}/{somebody.username}")
    for _ in range(20):
        await tell(house, alice)
    for somebody in (bob, *others):
        await tell(house, somebody)
    courier = WebhookCourier(house.notices.deliveries)
    receiver.stalls = True

    tick = asyncio.create_task(courier.tick())
    came = await receiver.wait_for(EACH_AT_ONCE_MAX + 4)
    slow = [each for each in came if each.path.endswith("/alice")]

    tick.cancel()
    await courier.close()
    assert len(slow) == EACH_AT_ONCE_MAX
    assert receiver.at_once_max <= AT_ONCE_MAX


async def test_what_was_broken_off_comes_again_under_the_same_id(
    house: Container, alice: Person, receiver: Receiver, clock: HandClock
) -> None:
    made = await webhook(house, alice, receiver.url)
    await tell(house, alice)
    courier = WebhookCourier(house.notices.deliveries)
    receiver.stalls = True
    tick = asyncio.create_task(courier.tick())
    [lost] = await receiver.wait_for(1)
    tick.cancel()
    await courier.close()
    receiver.stalls = False

    await carry(house)
    too_early = len(receiver.received)
    clock.moment += CLAIM_LASTS
    await carry(house)

    assert too_early == 1
    assert [came.message_id for came in receiver.received] == [lost.message_id] * 2
    [delivery] = await deliveries(house, alice, made)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 1)


async def test_a_result_that_comes_too_late_changes_nothing(
    house: Container, alice: Person, receiver: Receiver, clock: HandClock
) -> None:
    made = await webhook(house, alice, receiver.url)
    await tell(house, alice)
    [late] = await house.notices.deliveries.claim(10, ())
    clock.moment += CLAIM_LASTS
    await carry(house)
    receiver.says(500)

    await house.notices.deliveries.deliver(late)

    [delivery] = await deliveries(house, alice, made)
    assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 1)


async def test_a_webhook_deleted_while_its_message_is_on_its_way_stays_deleted(
    house: Container, alice: Person, receiver: Receiver
) -> None:
    made = await webhook(house, alice, receiver.url)
    await tell(house, alice)
    [claimed] = await house.notices.deliveries.claim(10, ())
    receiver.stalls = True
    receiver.says(500)

    sending = asyncio.create_task(house.notices.deliveries.deliver(claimed))
    await receiver.wait_for(1)
    await house.notices.webhooks.delete(principal_of(alice), made.id)
    receiver.go_on.set()
    await sending

    opens = "SELECT 1 FROM deks WHERE wrapped IS NOT NULL AND owner_id > 0"
    assert await rows(house.database, "SELECT 1 FROM webhook_deliveries") == []
    assert await rows(house.database, opens) == []


async def test_where_too_many_wait_the_next_is_written_as_given_up(
    house: Container, alice: Person, receiver: Receiver
) -> None:
    made = await webhook(house, alice, receiver.url)
    await tell(house, alice)
    async with house.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(
            "INSERT INTO webhook_deliveries (webhook_id, message_id, kind, body, state, attempts,"
            " next_attempt_at, created_at) SELECT webhook_id, message_id, kind, body, state, 0,"
            " next_attempt_at, created_at FROM webhook_deliveries,"
            f" generate_series(2, {DELIVERIES_WAITING_MAX})"
        )

    await tell(house, alice)

    newest, *_ = await deliveries(house, alice, made)
    assert (newest.state, newest.attempts) == (DeliveryState.GIVEN_UP, 0)
    assert newest.last_failure is DeliveryFailure.TOO_MANY_WAITING
    assert (await house.notifications.page(alice.user_id, 10, None)).unread == 2


async def test_a_secret_that_was_tampered_with_signs_nothing(
    house: Container, alice: Person, receiver: Receiver
) -> None:
    made = await webhook(house, alice, receiver.url)
    await tell(house, alice)
    async with house.database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("UPDATE webhook_secrets SET sealed_secret = 'sr1.damaged'")

    await carry(house)

    [delivery] = await deliveries(house, alice, made)
    assert receiver.received == []
    assert (delivery.last_failure, delivery.attempts) == (DeliveryFailure.UNSIGNED, 1)


async def test_old_deliveries_go(
    house: Container, alice: Person, receiver: Receiver, clock: HandClock
) -> None:
    made = await webhook(house, alice, receiver.url)
    await tell(house, alice)
    await carry(house)
    clock.advance(days=6)
    await house.notices.deliveries.sweep()
    kept = await deliveries(house, alice, made)
    clock.advance(days=2)
    await house.notices.deliveries.sweep()

    assert len(kept) == 1
    assert await deliveries(house, alice, made) == []
