"""Processes come and go in any order; what is in flight is finished, and what is missing is waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from consentflow.dev.temporal import HOST
from tests.faults.processes import until
from tests.faults.world import World, new_id

SETS_IN_FLIGHT = 2
"""Those that arrive at the same time are taken together."""


async def test_the_api_answers_the_requests_in_flight_before_it_stops(world: World) -> None:
    ids = [new_id() for _ in range(20)]
    answered: list[str] = []

    async def register(registration_id: str) -> None:
        async with world.caller() as client:
            await world.register(client, registration_id, country="US")
            answered.append(registration_id)

    async with _no_registration_gets_through(world):
        asking = [asyncio.create_task(register(registration_id)) for registration_id in ids]
        await until("requests are in flight", lambda: _are_held(world, SETS_IN_FLIGHT))
        world.api.tell_to_stop()
        await until("no new caller is let in", lambda: _is_shut(world))
    assert await world.api.ended() == 0

    async def have_their_answers() -> bool:
        return len(answered) >= SETS_IN_FLIGHT

    await until("those in flight have their answers", have_their_answers)
    assert set(await world.states(*ids)) >= set(answered)

    world.api.start()
    await world.api.up()
    await asyncio.gather(*asking)
    assert set(await world.states(*ids)) == set(ids)


async def test_the_worker_finishes_the_mail_it_is_sending_before_it_stops(world: World) -> None:
    registration_id = new_id()
    world.behave("slow")
    async with world.caller() as client:
        await world.register(client, registration_id, country="DE")
    await until("the mail is on its way", lambda: _arrived(world, registration_id))
    assert await world.worker.stop() == 0
    world.behave("normal")
    assert await world.states(registration_id) == {registration_id: "awaiting_confirmation"}
    assert len(world.arrived(_address(registration_id))) == 1
    await _restart_worker(world)


async def test_each_process_waits_for_what_it_needs_and_says_so_whatever_starts_first(world: World) -> None:
    registration_id = new_id()
    for process in reversed(world.processes):
        process.kill()

    said = len(world.worker.said())
    world.worker.start()
    await world.worker.says('"what": "temporal"', after=said)

    world.api.start()
    await world.api.up()
    async with world.caller() as client:
        unready = await client.get("/readyz")
        assert (unready.status_code, unready.json()["down"]) == (503, ["postgres", "temporal", "smtp"])
        refused = await client.post("/v1/registrations", json={})
        assert refused.status_code == 503

        world.temporal.start()
        await world.worker.says('"working"', after=said)
        await world.worker.says("postgres is not there; waiting", after=said)

        world.postgres.start()
        await world.register(client, registration_id, country="DE")
        assert (await client.get("/readyz")).json()["down"] == ["smtp"]
        world.post.start()
    await world.settles(registration_id, state="awaiting_confirmation")
    assert world.worker.runs
    assert world.api.runs


async def test_while_temporal_is_gone_registrations_are_accepted_and_every_workflow_begins_once_it_is_back(
    world: World,
) -> None:
    ids = [new_id() for _ in range(30)]
    world.temporal.kill()
    async with world.caller() as client:
        for number, registration_id in enumerate(ids):
            lead = await world.register(client, registration_id, country="FR" if number % 2 else "DE")
            assert lead["state"] == ("waiting" if number % 2 else "accepted")
    world.temporal.start()
    await world.temporal.up()
    await world.settles(*ids[::2], state="awaiting_confirmation")
    await until("nothing waits in the outbox", world.outbox_is_empty)
    temporal = await world.client()
    for registration_id in ids:
        assert (await temporal.get_workflow_handle(f"registration/{registration_id}").describe()).status is not None


@asynccontextmanager
async def _no_registration_gets_through(world: World) -> AsyncIterator[None]:
    connection = await asyncpg.connect(world.postgres.url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE registrations IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def _are_held(world: World, how_many: int) -> bool:
    [row] = await world.fetch("SELECT count(*) AS held FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return bool(row["held"] >= how_many)


async def _is_shut(world: World) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, world.api_port)
    except OSError:
        return True
    writer.close()
    return False


async def _restart_worker(world: World) -> None:
    said = len(world.worker.said())
    world.worker.start()
    await world.worker.says('"working"', after=said)


async def _arrived(world: World, registration_id: str) -> bool:
    return len(world.arrived(_address(registration_id))) > 0


def _address(registration_id: str) -> str:
    return f"lea@firma-{registration_id}.example"
