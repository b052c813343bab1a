"""Taking registrations: accepted over HTTP, and on to a workflow that waits or asks."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count

from temporalio.worker import Worker

from benchmarks.figures import Figure, against_floor
from benchmarks.floors.bare import NoOp, Nothing, OneActivity
from benchmarks.http import Target, send_all
from benchmarks.servers import Service, World, database, listens, process
from consentflow.dev.temporal import HOST, free_port

CONNECTIONS = 16
IN_FLIGHT = 100
"""As many calls at once as the relay has."""

_ids = count()


def registrations(service: Service, number: int, country: str) -> list[bytes]:
    """Requests to register fresh contacts, each at a company of its own."""
    return [
        service.http.post(
            "/v1/registrations",
            {
                "registration_id": f"b-{(n := next(_ids))}",
                "partner_id": f"p-{n % 50}",
                "registered_by": f"person{n % 200}@partner{n % 50}.example",
                "contact": {"email": f"lead{n}@company{n}.example", "given_name": "Lea", "family_name": "Muster"},
                "company": {"name": f"Company {n}", "domain": f"company{n}.example"},
                "country": country,
            },
        )
        for _ in range(number)
    ]


async def delayed(service: Service, number: int) -> float:
    """Registers so many, until each has a workflow in Temporal that sleeps; returns how many a second."""
    requests = registrations(service, number, "FR")
    begin = time.perf_counter()
    await send_all(service.http, requests, connections=CONNECTIONS)
    await service.until("SELECT count(*) FROM outbox", 0)
    return number / (time.perf_counter() - begin)


async def waiting(world: World, number: int, rounds: int) -> Figure:
    """HTTP in → delayed workflow exists, against the bare start."""
    async with world.service() as service:

        async def ours() -> float:
            return await delayed(service, number)

        async def floor() -> float:
            return await _starts(world, number, delay=timedelta(days=30))

        return await against_floor(
            "waiting registrations, HTTP in to delayed workflow",
            "registrations/s",
            0.95,
            "bare start_workflow with start_delay",
            ours,
            floor,
            rounds=rounds,
        )


async def asking(world: World, number: int, rounds: int) -> Figure:
    """HTTP in → mail in the sink, against a bare start with one activity that does nothing."""
    async with world.service() as service, _bare_worker(world) as (queue, no_op):

        async def ours() -> float:
            requests = registrations(service, number, "DE")
            before = await world.sink.taken()
            begin = time.perf_counter()
            await send_all(service.http, requests, connections=CONNECTIONS)
            while await world.sink.taken() < before + number:
                await asyncio.sleep(0.01)
            return number / (time.perf_counter() - begin)

        async def floor() -> float:
            return await _runs(world, number, queue, no_op)

        return await against_floor(
            "double opt-in, HTTP in to mail in the sink",
            "registrations/s",
            0.85,
            "bare start_workflow and one activity that does nothing",
            ours,
            floor,
            rounds=rounds,
        )


async def accepting(world: World, number: int, rounds: int) -> Figure:
    """HTTP in → 202, with Temporal not in the way, against one insert of the same size by the same framework."""
    async with world.service(worker=False) as service, bare_api(world) as target:

        async def ours() -> float:
            return await _answers(service.http, registrations(service, number, "FR"))

        async def floor() -> float:
            return await _answers(target, registrations(service, number, "FR"))

        return await against_floor(
            "accepting, one API process",
            "registrations/s",
            0.5,
            "FastAPI and one asyncpg insert of the request",
            ours,
            floor,
            rounds=rounds,
        )


@asynccontextmanager
async def bare_api(world: World) -> AsyncIterator[Target]:
    """The floor of accepting, in a process of its own."""
    port = free_port()
    async with (
        database(world.postgres_url, f"floor_{port}") as url,
        process(["-m", "benchmarks.floors.bare_api"], {"FLOOR_DATABASE_URL": url, "FLOOR_PORT": str(port)}, world.log),
    ):
        await listens(port)
        yield Target(HOST, port, "nobody-asks")


async def _answers(target: Target, requests: list[bytes]) -> float:
    begin = time.perf_counter()
    await send_all(target, requests, connections=CONNECTIONS)
    return len(requests) / (time.perf_counter() - begin)


async def _starts(world: World, number: int, delay: timedelta) -> float:
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def start(name: str) -> None:
        async with gate:
            await world.temporal.start_workflow(
                Nothing.run, name, id=name, task_queue="bench-nobody", start_delay=delay
            )

    begin = time.perf_counter()
    await asyncio.gather(*(start(f"floor-{next(_ids)}") for _ in range(number)))
    return number / (time.perf_counter() - begin)


async def _runs(world: World, number: int, queue: str, no_op: NoOp) -> float:
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def start(name: str) -> None:
        async with gate:
            await world.temporal.start_workflow(OneActivity.run, name, id=name, task_queue=queue)

    wanted = no_op.done + number
    begin = time.perf_counter()
    await asyncio.gather(*(start(f"floor-{next(_ids)}") for _ in range(number)))
    while no_op.done < wanted:  # as ours is done when the mail is there, whatever the workflow does then
        await asyncio.sleep(0.01)
    return number / (time.perf_counter() - begin)


@asynccontextmanager
async def _bare_worker(world: World) -> AsyncIterator[tuple[str, NoOp]]:
    queue, no_op = f"bench-bare-{next(_ids)}", NoOp()
    async with Worker(world.temporal, task_queue=queue, workflows=[OneActivity], activities=[no_op.run]):
        yield queue, no_op
