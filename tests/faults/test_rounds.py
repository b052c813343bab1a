"""While registrations and events pour in, every process is killed at random moments; nothing is lost or done twice.

``FAULTS_SEED`` repeats a round's choices (not its timing), ``FAULTS_ROUNDS`` says how many rounds, ``FULL=1`` makes
them larger and has a subscriber in them who is to be told at once.
"""

import asyncio
import os
import random
import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import httpx
import pytest

from tests.faults import records
from tests.faults.claims import SETTLING_SECONDS, everything_comes_right
from tests.faults.leads import Lead, bodies, leads
from tests.faults.processes import Process, until
from tests.faults.records import Record
from tests.faults.world import World, lead_of, new_id

FULL = os.environ.get("FULL", "") not in {"", "0"}
LEADS = 500 if FULL else 150
KILLS_OF_EACH = 3 if FULL else 1
CALLERS = 8
A_BATCH = 20
A_MINUTE = 60.0

_seed = os.environ.get("FAULTS_SEED")
_rounds = int(os.environ.get("FAULTS_ROUNDS", "1"))


@pytest.fixture(scope="module", autouse=True)
async def twins(world: World) -> None:
    """A second API and a second worker: all of them work at once, and all of them are killed."""
    api, worker = world.another("api"), world.another("worker")
    api.start()
    worker.start()
    await api.up()
    await worker.says('"working"')


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(_rounds))
async def test_whatever_is_killed_every_accepted_registration_comes_to_its_right_end_by_itself(
    world: World, number: int
) -> None:
    seed = int(_seed) + number if _seed else secrets.randbelow(10**6)
    chance = random.Random(seed)
    found = leads(chance, LEADS)
    together = {lead for lead in found if not lead.before and chance.random() < 0.3}
    _say(f"\nFAULTS_SEED={seed}: {LEADS} leads, {len(together)} of them in batches")
    begun, world.retries, before = monotonic(), 0, len(world.arrived())
    kills: list[str] = []
    repeats, verdict = 0, "broken off"
    try:
        await _live_through(world, found, together, chance, kills)
        _say(f"killed {dict(Counter(kills))}; requests repeated {world.retries}")
        repeats = await everything_comes_right(world, found)
        verdict = "held"
    except AssertionError as error:
        verdict = str(error).splitlines()[0][:200] if str(error) else "broken"
        _say("\n".join(f"{process.name}: {process.said()[-2000:]}" for process in world.ours))
        raise
    finally:
        record = Record(
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=seed,
            leads=len(found),
            by_batch=len(together),
            kills=dict(Counter(kills)),
            retries=world.retries,
            mails=len(world.arrived()) - before,
            repeats=repeats,
            seconds=round(monotonic() - begun, 1),
            verdict=verdict,
        )
        records.write(record)
        _say(str(record))


async def _live_through(
    world: World, found: Sequence[Lead], together: set[Lead], chance: random.Random, kills: list[str]
) -> None:
    """Leads and events pour in, buttons are pressed, processes are killed, until all of it is over."""
    world.behave("flaky")
    subscriber = await _subscriber(world) if FULL else None
    pressing = asyncio.create_task(_press(world, [lead for lead in found if lead.presses]))
    killing = asyncio.create_task(_kill(world, chance, kills))
    try:
        if subscriber:
            async with world.caller() as client:
                domain = subscriber.removeprefix("lea@")
                await world.tell(client, f"{domain}-trial", "company.trial_requested", domain=domain)
        await _pour(world, found, together, killing, chance)
        await killing
        async with asyncio.timeout(SETTLING_SECONDS):
            await pressing
    finally:
        world.behave("normal")
        for task in (pressing, killing):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
    if subscriber:
        await _told_once(world, subscriber)


async def _pour(
    world: World, found: Sequence[Lead], together: set[Lead], killing: "asyncio.Task[Any]", chance: random.Random
) -> None:
    """Several callers register all leads and hand in all events; they take as long as the killing does."""
    content = bodies(list(found))
    waiting = [lead for lead in found if lead not in together]
    batched = [lead for lead in found if lead in together]
    pauses = random.Random(chance.random())
    ports = [world.api_port, *(process.port for process in world.extra if process.port)]

    async def hand_in(client: httpx.AsyncClient, lead: Lead, event: str | None, when: str) -> None:
        if event:
            await world.tell(client, f"{lead.registration_id}-{when}", event, email=lead.email)

    async def rest() -> None:
        if not killing.done():
            await asyncio.sleep(pauses.uniform(0, 1.0))

    async def call(port: int) -> None:
        async with world.caller(port) as client:
            while waiting:
                lead = waiting.pop()
                await hand_in(client, lead, lead.before, "before")
                registered = await world.insist(client, "POST", "/v1/registrations", content[lead.registration_id])
                assert registered["registration_id"] == lead.registration_id
                await hand_in(client, lead, lead.after, "after")
                await rest()

    async def call_with_many(port: int) -> None:
        async with world.caller(port) as client:
            while batched:
                batch = [batched.pop() for _ in range(min(A_BATCH, len(batched)))]
                await world.register_all(client, [content[lead.registration_id] for lead in batch])
                for lead in batch:
                    await hand_in(client, lead, lead.after, "after")
                await rest()

    some = [call(ports[number % len(ports)]) for number in range(CALLERS)]
    await asyncio.gather(*some, *(call_with_many(port) for port in ports))


async def _kill(world: World, chance: random.Random, kills: list[str]) -> None:
    """Kills every process several times, at random moments, for a random while; keeps whom, in order.

    Postgres is restarted in good order besides, and in a large round Temporal is gone for a minute once.
    """
    victims: list[Process] = [*world.processes, *world.extra] * KILLS_OF_EACH
    chance.shuffle(victims)
    restarted, long_gone = chance.randrange(len(victims)), victims.index(world.temporal) if FULL else None
    for number, victim in enumerate(victims):
        if number == restarted:
            await world.postgres.up()  # a signal that comes before it knows what to do with it would just end it
            assert await world.postgres.stop() == 0
            kills.append("postgres in good order")
            world.postgres.start()
        await asyncio.sleep(chance.uniform(0.1, 1.5))
        await asyncio.to_thread(victim.kill)
        kills.append(victim.name)
        await asyncio.sleep(A_MINUTE if number == long_gone else chance.uniform(0, 1.5))
        victim.start()
        if chance.random() < 0.7 and victim.listens:
            await victim.up()


async def _press(world: World, found: Sequence[Lead]) -> None:
    """Confirms every lead that wants to as soon as its mail is there."""
    waiting = {lead.email for lead in found}
    async with world.caller() as client:
        while waiting:
            for mail in await asyncio.to_thread(world.arrived, *waiting):
                if mail.to in waiting and (token := mail.token("confirm")):
                    await world.insist(client, "POST", f"/confirm/{token}")
                    waiting.discard(mail.to)
            await asyncio.sleep(0.3)


async def _subscriber(world: World) -> str:
    """Somebody who wants to be told at once what the company of a lead does; the lead's own address will do."""
    registration_id = new_id()
    lead = lead_of(registration_id)
    address, partner = str(lead["contact"]["email"]), f"/v1/partners/{lead['partner_id']}"
    async with world.caller() as client:
        await world.register(client, registration_id, country="US")
        await world.insist(client, "PUT", partner, {"name": "Partner"})
        choice = {"actions": "all", "delivery": "immediate"}
        await world.insist(client, "PUT", f"{partner}/subscribers/{address}", choice)

        async def question() -> str | None:
            tokens = [mail.token("subscription") for mail in world.arrived(address)]
            return tokens[0] if tokens else None

        token = await until("the subscriber is asked", question)
        await world.insist(client, "POST", f"/subscription/{token}")
    return address


async def _told_once(world: World, subscriber: str) -> None:
    """The subscriber has the question and one notification, however often either was repeated."""

    async def told() -> bool:
        return len({mail.message_id for mail in world.arrived(subscriber)}) > 1

    await until("the subscriber is told", told, SETTLING_SECONDS)
    await until("nothing waits in the outbox", world.outbox_is_empty)
    rows = await world.fetch("SELECT mail_id FROM mails WHERE envelope_to = $1 AND purpose = 'digest'", subscriber)
    assert len(rows) == 1
    assert len({mail.message_id for mail in world.arrived(subscriber)}) == 2
    assert len({mail.sha256 for mail in world.arrived(subscriber)}) == 2


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
