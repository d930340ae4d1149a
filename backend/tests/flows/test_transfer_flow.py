"""Export, plan and import between two vaults with root keys of their own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from backend.app.audit_record import SYSTEM, AuditRecord
from backend.app.enums import Environment
from backend.app.errors import (
    AuditUnavailable,
    ConfigurationError,
    ExchangeUnknown,
    TooManyCredentials,
    TransferRefused,
    UserNotFound,
)
from backend.app.repositories.audit_appender import AuditAppender
from backend.app.schemas.credential_schemas import Credential, CredentialUpdate
from backend.app.schemas.rotation_schemas import RotationStart
from backend.app.services.audit_service import AuditService
from backend.app.services.key_policy import CREDENTIALS_PER_USER_MAX
from backend.app.services.transfer_plan import Fate
from backend.tests.support.installations import (
    Installation,
    acts,
    everything,
    passphrase_of,
    running_installation,
    secret_of,
)


class RefusingAudit(AuditService):
    """A trail that cannot be written."""

    async def record(self, record: AuditRecord) -> None:
        raise AuditUnavailable


@pytest.fixture
async def houses(
    cluster_url: str, template_database: str, tmp_path: Path
) -> AsyncIterator[tuple[Installation, Installation]]:
    async with AsyncExitStack() as stack:
        there, here = [
            await stack.enter_async_context(
                running_installation(cluster_url, template_database, tmp_path / name)
            )
            for name in ("there", "here")
        ]
        yield there, here


Houses = tuple[Installation, Installation]


async def test_each_secret_is_recorded_before_it_is_opened_and_each_import_with_it(
    houses: Houses,
) -> None:
    there, here = houses
    owner = await there.somebody("alice")
    ids = {(await there.bind(owner, "okx", name)).id for name in ("first", "second")}
    await here.somebody("alice")

    await here.imported(await there.exported(here))

    began, *used, ended = (await acts(there))[-4:]
    assert (began["act"], began["outcome"], began["n"]) == ("vault.exported", "allowed", 2)
    assert (ended["act"], ended["outcome"], ended["n"]) == ("vault.exported", "done", 2)
    to = (await here.recipient_key()).recipient.fingerprint
    assert began["object"] == ended["object"] == {"id": to, "type": "installation"}
    assert {event["object"]["id"] for event in used} == ids
    assert {(event["act"], event["purpose"]) for event in used} == {("credential.used", "export")}
    allowed, *stored, done = (await acts(here))[-4:]
    sender = (await there.recipient_key()).recipient.fingerprint
    assert (allowed["act"], allowed["outcome"], allowed["n"]) == ("vault.imported", "allowed", 2)
    assert (done["act"], done["outcome"], done["n"]) == ("vault.imported", "done", 2)
    assert allowed["object"] == done["object"] == {"id": sender, "type": "installation"}
    assert {event["act"] for event in stored} == {"credential.imported"}
    assert all({"ct", "kid", "rev"} <= event.keys() for event in stored)


async def test_what_cannot_be_recorded_is_not_opened(houses: Houses) -> None:
    there, here = houses
    await there.bind(await there.somebody("alice"), "okx", "first")
    exporting = await there.exporting(RefusingAudit(AuditAppender(there.services.database)))
    chosen = await exporting.chosen((), ())
    lines: list[bytes] = []

    with pytest.raises(AuditUnavailable):
        async for _ in exporting.write(
            chosen, (await here.recipient_key()).recipient, SYSTEM, lines.append
        ):
            pass

    assert b"".join(lines).count(b"\n") == 2  # The head of a file, and no record.


async def test_what_its_owner_and_the_house_decided_travels_and_what_was_learned_does_not(
    houses: Houses,
) -> None:
    there, here = houses
    owner = await there.somebody("alice")
    off = await there.bind(owner, "binance", "first", label="off", verify=True)
    await there.services.credentials.update(
        owner.user_id, off.id, CredentialUpdate(is_active=False), owner.caller
    )
    barred = await there.bind(owner, "okx", "second", label="barred by the house")
    async with there.services.database.transaction() as session:
        await session.execute(
            text(
                "UPDATE api_credentials SET is_active = false, deactivated_at = '2026-11-01'"
                " WHERE id = :id"
            ),
            {"id": barred.id},
        )
    await here.somebody("alice")

    await here.imported(await there.exported(here))

    names = "label, is_active, deactivated_at IS NOT NULL AS by_house, last_verified_at, passport"
    assert await here.rows(f"SELECT {names}, rev FROM api_credentials ORDER BY label DESC") == [
        {
            "label": label,
            "is_active": False,
            "by_house": by_house,
            "last_verified_at": None,
            "passport": None,
            "rev": 1,
        }
        for label, by_house in (("off", False), ("barred by the house", True))
    ]


async def test_a_pair_beside_the_one_in_use_stays(houses: Houses) -> None:
    there, here = houses
    alice = await there.somebody("alice")
    held = await there.bind(alice, "binance", "first")
    await here.somebody("alice")
    pair = RotationStart(api_key="new-api-key", api_secret=SecretStr(secret_of("second")))
    await there.services.rotations.start(alice.user_id, held.id, pair, alice.caller)
    assert await there.rows("SELECT 1 FROM credential_key_versions")

    await here.imported(await there.exported(here))

    assert await here.opened("alice") == {"new-api-key": (secret_of("second"), None)}
    assert await here.rows("SELECT 1 FROM credential_key_versions") == []


async def test_only_what_was_chosen_is_opened(houses: Houses) -> None:
    there, _ = houses
    alice, bob = await there.somebody("alice"), await there.somebody("bob")
    wanted = await there.bind(alice, "okx", "first")
    await there.bind(alice, "binance", "second")
    await there.bind(bob, "okx", "third")
    exporting = await there.exporting()

    by_both = await exporting.chosen(["ALICE"], ["okex"])
    by_exchange = await exporting.chosen([], ["okx"])

    assert [held.credential_id for held in by_both] == [wanted.id]
    assert [held.username for held in by_exchange] == ["alice", "bob"]
    for names, exchanges, refusal in (
        (["eve"], [], UserNotFound),
        ([], ["mtgox"], ExchangeUnknown),
        (["bob"], ["mexc"], TransferRefused),
    ):
        with pytest.raises(refusal):
            await exporting.chosen(names, exchanges)


async def test_what_does_not_open_is_left_out_and_named(houses: Houses) -> None:
    there, here = houses
    alice = await there.somebody("alice")
    swapped, whole = [await there.bind(alice, "okx", name) for name in ("first", "second")]
    gone = await there.bind(alice, "okx", "third")
    async with there.services.database.transaction() as session:
        await session.execute(
            text(
                "UPDATE api_credentials SET encrypted_api_secret = (SELECT encrypted_api_secret"
                " FROM api_credentials WHERE id = :whole) WHERE id = :swapped"
            ),
            {"whole": whole.id, "swapped": swapped.id},
        )
    exporting, lines = await there.exporting(), list[bytes]()
    chosen = await exporting.chosen((), ())
    await there.services.credentials.delete(alice.user_id, gone.id, alice.caller)

    to = (await here.recipient_key()).recipient
    told = [done async for done in exporting.write(chosen, to, SYSTEM, lines.append)][-1]

    assert told.count == 1
    assert [(held.credential_id, why) for held, why in told.left_out] == [
        (swapped.id, "does not open"),
        (gone.id, "was changed or removed meanwhile"),
    ]
    await here.somebody("alice")
    await here.imported(b"".join(lines))
    assert list(await here.opened("alice")) == ["second-api-key-of-okx"]


async def test_what_an_owner_has_already_stays_as_it_is(houses: Houses) -> None:
    there, here = houses
    owner, same = await there.somebody("alice"), await here.somebody("alice")
    for name in ("first", "second"):
        await there.bind(owner, "okx", name)
    mine = await here.bind(same, "okx", "first", label="mine")
    file = await there.exported(here)

    stored = await here.imported(file)

    assert stored == [1]
    rows = await here.rows("SELECT id, label FROM api_credentials ORDER BY id")
    assert rows[0] == {"id": mine.id, "label": "mine"}
    assert [each.fate for each in (await here.plan(file))[0]] == [Fate.HELD, Fate.HELD]
    before = await everything(here)
    assert await here.imported(file) == []
    assert await everything(here) == before


async def test_what_was_bound_between_plan_and_import_is_not_bound_twice(houses: Houses) -> None:
    there, here = houses
    await there.bind(await there.somebody("alice"), "okx", "first")
    same = await here.somebody("alice")
    file = await there.exported(here)
    plan, header = await here.plan(file)
    await here.bind(same, "okx", "first")

    stored = [n async for n in here.importing().carry_out(plan, header, SYSTEM)]

    assert stored == [0]
    assert len(await here.rows("SELECT 1 FROM api_credentials")) == 1


async def test_an_owner_removed_between_plan_and_import_is_named(houses: Houses) -> None:
    there, here = houses
    await there.bind(await there.somebody("alice"), "okx", "first")
    same = await here.somebody("alice")
    plan, header = await here.plan(await there.exported(here))
    async with here.services.database.transaction() as session:
        await session.execute(text("DELETE FROM users WHERE id = :id"), {"id": same.user_id})

    with pytest.raises(UserNotFound, match="alice was removed meanwhile"):
        await anext(here.importing().carry_out(plan, header, SYSTEM))


async def test_two_users_of_the_file_may_be_one_here(houses: Houses) -> None:
    there, here = houses
    for name in ("alice", "bob"):
        owner = await there.somebody(name)
        await there.bind(owner, "okx", "first")
        await there.bind(owner, "kucoin", name)
    await here.somebody("anna")

    stored = await here.imported(await there.exported(here), alice="anna", BOB="Anna")

    assert stored == [3]
    assert await here.opened("anna") == {
        "first-api-key-of-okx": (secret_of("first"), passphrase_of("first")),
        "alice-api-key-of-kucoin": (secret_of("alice"), passphrase_of("alice")),
        "bob-api-key-of-kucoin": (secret_of("bob"), passphrase_of("bob")),
    }


async def test_all_names_nobody_has_are_told_at_once(houses: Houses) -> None:
    there, here = houses
    for name in ("alice", "bob", "carol"):
        await there.bind(await there.somebody(name), "okx", "first")
    await here.somebody("bob")
    file = await there.exported(here)

    with pytest.raises(UserNotFound, match=r"Nobody here is called alice, carol\."):
        await here.plan(file)
    with pytest.raises(UserNotFound, match=r"Nobody here is called carol, nobody\."):
        await here.plan(file, alice="nobody")
    with pytest.raises(ConfigurationError, match="Nobody in the file is called alicia"):
        await here.plan(file, alicia="bob", carol="bob", alice="bob")


async def test_nobody_is_given_more_than_one_user_may_hold(houses: Houses) -> None:
    there, here = houses
    owner, same = await there.somebody("alice"), await here.somebody("alice")
    for n in range(2):
        await there.bind(owner, "binance", f"there{n}")
    await bind_like(here, await here.bind(same, "binance", "here"), CREDENTIALS_PER_USER_MAX - 2)

    with pytest.raises(TooManyCredentials, match="alice holds 99 and would get 2"):
        await here.plan(await there.exported(here))


async def bind_like(house: Installation, credential: Credential, count: int) -> None:
    """Let its owner hold so many more that differ from it by their API keys."""
    async with house.services.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO api_credentials SELECT (jsonb_populate_record(held,"
                " jsonb_build_object('id', id + n, 'api_key', api_key || n))).*"
                " FROM api_credentials AS held, generate_series(1, :count) AS n WHERE id = :id"
            ),
            {"id": credential.id, "count": count},
        )


async def test_a_key_others_hold_is_reported_as_when_it_is_bound(houses: Houses) -> None:
    there, here = houses
    await there.bind(await there.somebody("alice"), "okx", "first")
    await here.somebody("alice")
    await here.bind(await here.somebody("bob"), "okx", "first")

    await here.imported(await there.exported(here))

    assert "credential.shared" in [event["act"] for event in await acts(here)]
    kinds = await here.rows("SELECT kind FROM notification_events")
    assert kinds == [{"kind": "key_shared"}]


async def test_sandbox_and_live_never_cross(
    cluster_url: str, template_database: str, tmp_path: Path
) -> None:
    async with (
        running_installation(cluster_url, template_database, tmp_path / "there") as there,
        running_installation(
            cluster_url, template_database, tmp_path / "here", Environment.LIVE
        ) as here,
    ):
        await there.bind(await there.somebody("alice"), "okx", "first")
        await here.somebody("alice")
        file = await there.exported(here)

        stored = await here.imported(file)

        assert [each.fate for each in (await here.plan(file))[0]] == [Fate.OTHER_ENVIRONMENT]
        assert stored == []
        assert await here.rows("SELECT 1 FROM api_credentials") == []
