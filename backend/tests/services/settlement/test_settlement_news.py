"""A merchant hears of a withdrawal's end in the transaction of that end, on every way at once."""

from typing import Any

from sqlalchemy import text

from backend.app.channel_message import notifications_channel
from backend.tests.support.settlements import LOST, LOST_REPLY, REFUSED, settle_due
from backend.tests.support.webhooks import rows, webhook

HOOK = "https://hook.example.com/in"
LISTED = "SELECT user_id, kind, facts FROM notification_events ORDER BY id"
LIVE = "SELECT body FROM channel_messages WHERE channel = :channel ORDER BY seq"


async def listed(till: Any) -> list[tuple[str, dict[str, Any]]]:
    found = await rows(till.services.database, LISTED)
    assert {row.user_id for row in found} <= {till.merchant.user_id}
    return [(row.kind, row.facts) for row in found]


async def test_what_was_paid_out_is_listed_told_live_and_handed_to_webhooks(till: Any) -> None:
    await webhook(till.services, till.merchant, HOOK, kinds=["withdrawal_settled"])

    await till.withdraw("10.50")

    [withdrawal] = await till.rows()
    facts = {"withdrawal_id": withdrawal["id"], "amount": "10.50"}
    channel = notifications_channel(till.merchant.user_id)
    live = await rows(till.services.database, LIVE, channel=channel)
    handed = await rows(till.services.database, "SELECT kind, state FROM webhook_deliveries")
    assert await listed(till) == [("withdrawal_settled", facts)]
    assert [(row.body["kind"], row.body["facts"]) for row in live] == [
        ("withdrawal_settled", facts)
    ]
    assert [tuple(row) for row in handed] == [("withdrawal_settled", "waiting")]


async def test_what_was_given_back_is_told_once_with_its_reason(till: Any) -> None:
    till.settlement.next_faults = [REFUSED]

    await till.withdraw("10.50")
    [withdrawal] = await till.rows()
    await till.credit.settling.give_back(withdrawal["id"], "again", till.root.caller)

    reason = {"reason": "refused_by_bank"}
    facts = {"withdrawal_id": withdrawal["id"], "amount": "10.50", **reason}
    assert await listed(till) == [("withdrawal_failed", facts)]


async def test_what_is_not_known_is_not_told_until_it_is_known(till: Any) -> None:
    till.settlement.next_faults = [LOST_REPLY, LOST]

    await till.withdraw("10.00")
    till.clock.advance(seconds=4)
    await settle_due(till.credit)
    before = await listed(till)
    till.clock.advance(seconds=10)
    await settle_due(till.credit)

    assert before == []
    assert [kind for kind, _ in await listed(till)] == ["withdrawal_settled"]


async def test_an_end_that_cannot_be_told_is_no_end_yet(till: Any) -> None:
    database = till.services.database
    await _run(database, "ALTER TABLE notification_events RENAME TO out_of_the_way")
    told = await till.withdraw("10.00")
    [before] = await till.rows()
    await _run(database, "ALTER TABLE out_of_the_way RENAME TO notification_events")
    till.clock.advance(minutes=2)
    await settle_due(till.credit)

    assert (told.status, before["state"]) == (202, "settling")
    assert [row["state"] for row in await till.rows()] == ["settled"]
    assert [kind for kind, _ in await listed(till)] == ["withdrawal_settled"]


async def _run(database: Any, statement: str) -> None:
    async with database.transaction() as session:
        await session.execute(text(statement))
