"""While registrations and events pour in, every process is killed at random moments; nothing is lost or done twice.

``FAULTS_SEED`` repeats a round's choices (not its timing), ``FAULTS_ROUNDS`` says how many rounds, ``FULL=1`` makes
them larger and has a subscriber in them who is to be told at once.
"""

import asyncio
import os
import random
import secrets
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from tests.faults.leads import Lead, bodies, leads
from tests.faults.processes import Process, until
from tests.faults.world import World, lead_of, new_id

FULL = os.environ.get("FULL", "") not in {"", "0"}
LEADS = 500 if FULL else 150
KILLS_OF_EACH = 3 if FULL else 1
CALLERS = 8
SETTLING_SECONDS = 400

_seed = os.environ.get("FAULTS_SEED")
_rounds = int(os.environ.get("FAULTS_ROUNDS", "1"))
SEEDS = [int(_seed) + n if _seed else secrets.randbelow(10**6) for n in range(_rounds)]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_is_killed_every_accepted_registration_comes_to_its_right_end_by_itself(
    world: World, seed: int
) -> None:
    _say(f"\nFAULTS_SEED={seed}: {LEADS} leads")
    chance = random.Random(seed)
    found = leads(chance, LEADS)
    world.retries = 0
    world.behave("flaky")
    before = len(world.arrived())
    subscriber = await _subscriber(world) if FULL else None

    pressing = asyncio.create_task(_press(world, [lead for lead in found if lead.presses]))
    killing = asyncio.create_task(_kill(world, chance))
    try:
        if subscriber:
            async with world.caller() as client:
                domain = subscriber.removeprefix("lea@")
                await world.tell(client, f"{domain}-trial", "company.trial_requested", domain=domain)
        await _pour(world, found, killing, chance)
        kills = await killing
        async with asyncio.timeout(SETTLING_SECONDS):
            await pressing
    finally:
        world.behave("normal")
        for task in (pressing, killing):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
    _say(f"killed {dict(Counter(kills))}; requests repeated {world.retries}")

    await until("every registration is in its right state", lambda: _all_right(world, found), SETTLING_SECONDS)
    await until("nothing waits in the outbox", world.outbox_is_empty, SETTLING_SECONDS)
    await until("no mail is on its way", lambda: _no_mail_in_flight(world, found), SETTLING_SECONDS)
    repeats = await _mails_are_right(world, found)
    _say(f"mails arrived {len(world.arrived()) - before}, of them repeats {repeats}")
    if subscriber:
        await _told_once(world, subscriber)
    await _workflows_are_right(world, found)
    code, said = await world.command("ledger", "verify")
    assert code == 0, said


async def _pour(world: World, found: Sequence[Lead], killing: "asyncio.Task[Any]", chance: random.Random) -> None:
    """Several callers register all leads and hand in all events; they take as long as the killing does."""
    content = bodies(list(found))
    waiting = list(found)
    pauses = random.Random(chance.random())

    async def call() -> None:
        async with world.caller() as client:
            while waiting:
                lead = waiting.pop()
                if lead.before:
                    await world.tell(client, f"{lead.registration_id}-before", lead.before, email=lead.email)
                registered = await world.insist(client, "POST", "/v1/registrations", content[lead.registration_id])
                assert registered["registration_id"] == lead.registration_id
                if lead.after:
                    await world.tell(client, f"{lead.registration_id}-after", lead.after, email=lead.email)
                if not killing.done():
                    await asyncio.sleep(pauses.uniform(0, 1.0))

    await asyncio.gather(*(call() for _ in range(CALLERS)))


async def _kill(world: World, chance: random.Random) -> list[str]:
    """Kills every process several times, at random moments, for a random while; returns whom, in order."""
    victims: list[Process] = list(world.processes) * KILLS_OF_EACH
    chance.shuffle(victims)
    for victim in victims:
        await asyncio.sleep(chance.uniform(0.1, 1.5))
        await asyncio.to_thread(victim.kill)
        await asyncio.sleep(chance.uniform(0, 1.5))
        victim.start()
        if chance.random() < 0.7 and victim is not world.worker:
            await victim.up()
    return [victim.name for victim in victims]


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


async def _all_right(world: World, found: Sequence[Lead]) -> bool:
    for process in world.processes:
        assert process.runs, f"{process.name} ended by itself: {process.said()[-2000:]}"
    states = await world.states(*(lead.registration_id for lead in found))
    assert len(states) == len(found), "an accepted registration is gone"
    wrong = {lead: states[lead.registration_id] for lead in found if states[lead.registration_id] not in lead.states}
    return not wrong


async def _no_mail_in_flight(world: World, found: Sequence[Lead]) -> bool:
    rows = await world.fetch(
        "SELECT 1 FROM mails WHERE registration_id = ANY($1) AND state IN ('frozen', 'attempting')",
        [lead.registration_id for lead in found],
    )
    return not rows


async def _mails_are_right(world: World, found: Sequence[Lead]) -> int:
    """One mail at most for a mailbox, and exactly the stored bytes however often; returns the number of repeats."""
    rows = await world.fetch(
        """
        SELECT message_id, content_sha256, state, attempts, unsure_attempts FROM mails WHERE registration_id = ANY($1)
        """,
        [lead.registration_id for lead in found],
    )
    stored = {row["message_id"]: row for row in rows}
    arrived: dict[str, list[Any]] = defaultdict(list)
    for mail in world.arrived(*{lead.email for lead in found}):
        arrived[mail.to].append(mail)
        assert mail.message_id in stored, "a mail left that nobody wrote down"
        assert mail.sha256 == stored[mail.message_id]["content_sha256"], "a repeat differs from the first"
    times = Counter(mail.message_id for mails in arrived.values() for mail in mails)
    for message_id, row in stored.items():
        assert times[message_id] <= 1 + row["unsure_attempts"], f"a repeat was not counted: {dict(row)}"
        if row["state"] == "accepted":
            assert times[message_id] >= 1, "a mail is said to have left and did not"
    states = await world.states(*(lead.registration_id for lead in found))
    for lead in found:
        different = {mail.message_id for mail in arrived[lead.email]}
        state = states[lead.registration_id]
        assert len(different) in lead.mails(state), f"{lead} is {state} and got {len(different)} different mails"
    return sum(count - 1 for count in times.values())


async def _workflows_are_right(world: World, found: Sequence[Lead]) -> None:
    """Whoever waits has a workflow that waits too; none has failed."""
    client = await world.client()
    waiting = [lead for lead in found if lead.states == {"waiting"}]
    for lead in waiting:
        workflow = await client.get_workflow_handle(f"registration/{lead.registration_id}").describe()
        assert workflow.status is WorkflowExecutionStatus.RUNNING
    failed = await client.count_workflows("ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut', 'Canceled')")
    assert failed.count == 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
