"""A mail server at its worst: what it does to one attempt is mended by the next, with the same bytes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetActivityRequest
from temporalio.client import Client

from consentflow.activities.conversation import GREYLISTED
from tests.faults.processes import until
from tests.faults.world import Manner, World, new_id


@pytest.mark.parametrize("manner", ["hanging_after", "dropping"])
async def test_a_mail_that_may_have_arrived_is_repeated_byte_for_byte_and_counted(world: World, manner: Manner) -> None:
    registration_id = new_id()
    address = await _register(world, registration_id, manner)
    await until("the mail has arrived", lambda: _has_arrived(world, address, 1))
    if manner == "hanging_after":  # the last answer may take ten minutes (RFC 5321); the server dies over it
        world.post.kill()
        world.behave("normal")
        world.post.start()
    await until("the mail has been repeated", lambda: _has_arrived(world, address, 2))
    world.behave("normal")
    await world.settles(registration_id, state="awaiting_confirmation")
    arrived = world.arrived(address)
    [row] = await world.fetch("SELECT * FROM mails WHERE registration_id = $1", registration_id)
    assert {mail.sha256 for mail in arrived} == {row["content_sha256"]}
    assert {mail.message_id for mail in arrived} == {row["message_id"]}
    assert row["unsure_attempts"] == len(arrived) - 1
    assert row["state"] == "accepted"


async def test_a_server_that_hangs_before_it_has_the_mail_gets_it_once_when_it_has_come_to_itself(world: World) -> None:
    registration_id = new_id()
    address = await _register(world, registration_id, "hanging")
    await until("an attempt has failed", lambda: _resting(world, registration_id))
    world.behave("normal")
    await world.settles(registration_id, state="awaiting_confirmation")
    [row] = await world.fetch("SELECT * FROM mails WHERE registration_id = $1", registration_id)
    assert len(world.arrived(address)) == 1
    assert row["unsure_attempts"] == 0


@pytest.mark.parametrize("manner", ["busy", "full", "greylisting"])
async def test_a_server_that_asks_for_patience_is_asked_again_after_minutes_and_not_before(
    world: World, manner: Manner
) -> None:
    registration_id = new_id()
    address = await _register(world, registration_id, manner)
    await until("the server has put it off", lambda: _resting(world, registration_id))
    world.behave("normal")
    temporal = await world.client()
    planned = await _next_attempt(temporal, registration_id)
    assert timedelta() <= datetime.now(UTC) + GREYLISTED - planned < timedelta(minutes=1)
    assert not world.arrived(address)

    await _let_the_pause_be_over(temporal, registration_id)
    await world.settles(registration_id, state="awaiting_confirmation")
    [row] = await world.fetch("SELECT * FROM mails WHERE registration_id = $1", registration_id)
    assert len(world.arrived(address)) == 1
    assert (row["attempts"], row["unsure_attempts"]) == (2, 0)


async def test_two_of_every_process_do_nothing_twice(world: World) -> None:
    ids = [new_id() for _ in range(40)]
    twin, other = world.another("api"), world.another("worker")
    for process in (twin, other):
        process.start()
    await twin.up()
    await other.says('"working"')
    async with world.caller() as first, world.caller(twin.port) as second:
        both = [
            world.register(client, registration_id, country="DE" if number % 2 else "FR", registered_at=None)
            for number, registration_id in enumerate(ids)
            for client in (first, second)
        ]
        answers = await asyncio.gather(*both)
    for one, same in zip(answers[::2], answers[1::2], strict=True):
        assert one["due_at"] == same["due_at"]
    await world.settles(*ids[1::2], state="awaiting_confirmation")
    await world.settles(*ids[::2], state="waiting")
    await until("nothing waits in the outbox", world.outbox_is_empty)
    assert [len(world.arrived(_address(registration_id))) for registration_id in ids] == [0, 1] * 20
    rows = await world.fetch(
        "SELECT registration_id, count(*) FILTER (WHERE event = 'accepted') AS accepted,"
        " count(*) FILTER (WHERE event = 'mail_frozen') AS frozen,"
        " count(*) FILTER (WHERE event = 'mail_accepted') AS left"
        " FROM ledger WHERE registration_id = ANY($1) GROUP BY 1",
        ids,
    )
    assert len(rows) == len(ids)
    assert all(row["accepted"] <= 1 and row["frozen"] == row["left"] <= 1 for row in rows)
    assert await twin.stop() == 0
    assert await other.stop() == 0


async def _register(world: World, registration_id: str, manner: Manner) -> str:
    world.behave(manner)
    async with world.caller() as client:
        await world.register(client, registration_id, country="DE")
    return _address(registration_id)


def _address(registration_id: str) -> str:
    return f"lea@firma-{registration_id}.example"


async def _has_arrived(world: World, address: str, times: int) -> bool:
    return len(world.arrived(address)) >= times


async def _resting(world: World, registration_id: str) -> bool:
    rows = await world.fetch(
        "SELECT 1 FROM mails WHERE registration_id = $1 AND state = 'frozen' AND reply IS NOT NULL", registration_id
    )
    return bool(rows)


async def _next_attempt(temporal: Client, registration_id: str) -> datetime:
    """When Temporal will make the next attempt."""
    handle = temporal.get_workflow_handle(f"registration/{registration_id}")

    async def planned() -> datetime | None:
        pending = (await handle.describe()).raw_description.pending_activities
        times = [each.next_attempt_schedule_time for each in pending if each.HasField("next_attempt_schedule_time")]
        return times[0].ToDatetime(UTC) if times else None

    return await until("the next attempt is planned", planned)


async def _let_the_pause_be_over(temporal: Client, registration_id: str) -> None:
    """What minutes of waiting would do: the server's clock cannot be moved, its plan can."""
    await temporal.workflow_service.reset_activity(
        ResetActivityRequest(
            namespace=temporal.namespace,
            execution=WorkflowExecution(workflow_id=f"registration/{registration_id}"),
            type="registration.send_double_opt_in",
        )
    )
