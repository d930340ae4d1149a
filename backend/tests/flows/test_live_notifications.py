"""A price that gets where somebody waits for it is heard on the socket of that person alone."""

from backend.app.clock import utc_now
from backend.app.config import Settings
from backend.app.enums import Role
from backend.app.services.price_alert_watch import PriceAlertWatch
from backend.tests.support.live_house import live_house
from backend.tests.support.people import person
from backend.tests.support.price_alerts import change
from backend.tests.support.webhooks import rows


async def test_a_price_alert_is_heard_live_by_its_owner_alone(
    settings: Settings, database_url: str
) -> None:
    async with live_house(database_url, settings) as house:
        services = house.services
        alice, bob = [await person(services, name, Role.USER) for name in ("alice", "bob")]
        async with services.database.transaction() as session:
            connection = await session.connection()
            await connection.exec_driver_sql(
                "INSERT INTO price_alerts (user_id, symbol, condition, threshold, reference_price,"
                " fires_from, repeats, pause_minutes, is_active, is_armed, heard_until, created_at)"
                f" VALUES ({alice.user_id}, 'BTC/USDT', 'above', 60000, 50000, 60000, false, 60,"
                " true, true, 0, now())"
            )
        async with await house.client(alice) as hers, await house.client(bob) as his:
            for client in (hers, his):
                await client.ask("subscribe", channel="notifications")
            await change(services, "60001", utc_now())
            # The keeper of the running house does this too; whoever comes first.
            await PriceAlertWatch(services.database, utc_now).hold_next()
            message = await hers.next()

        told = await rows(services.database, "SELECT channel FROM channel_messages")
    assert message["channel"] == "notifications"
    assert message["data"]["kind"] == "price_alert"
    assert message["data"]["facts"]["price"] == "60001"
    assert [row.channel for row in told] == [f"notifications:{alice.user_id}"]
