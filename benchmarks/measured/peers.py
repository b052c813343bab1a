"""The same job by others: register, and wait for 30 days whatever happens. No floor, and no target: a comparison.

What they do is less than what we do in the same time: they decide nothing, keep no evidence and refuse no repeat with
other content. What they are not asked to do is on the page that shows the figures.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import asyncpg

from benchmarks.figures import Figure, against_floor
from benchmarks.http import Target, send_all
from benchmarks.measured.intake import CONNECTIONS, delayed, registrations
from benchmarks.servers import World, database, listens, process
from consentflow.dev.temporal import HOST, free_port


async def procrastinate(world: World, number: int, rounds: int) -> Figure:
    """Against a job that is due in 30 days."""
    waits = "SELECT count(*) FROM procrastinate_jobs WHERE scheduled_at > now() + interval '29 days'"
    return await _against(world, number, rounds, "procrastinate", "a deferred job, due in 30 days", waits)


async def dbos(world: World, number: int, rounds: int) -> Figure:
    """Against a durable sleep."""
    waits = "SELECT count(*) FROM dbos.operation_outputs WHERE function_name = 'DBOS.sleep'"
    return await _against(world, number, rounds, "dbos", "a durable sleep of 30 days in a workflow", waits)


async def _against(world: World, number: int, rounds: int, peer: str, does: str, waits: str) -> Figure:
    async with world.service() as service, _peer(world, peer) as (target, connection):

        async def ours() -> float:
            return await delayed(service, number)

        async def theirs() -> float:
            requests = registrations(service, number, "FR")
            wanted = await connection.fetchval(waits) + number
            begin = time.perf_counter()
            await send_all(target, requests, connections=CONNECTIONS)
            while await connection.fetchval(waits) < wanted:
                await asyncio.sleep(0.01)
            return number / (time.perf_counter() - begin)

        return await against_floor(
            f"registering and waiting, against {peer}",
            "registrations/s",
            None,
            f"{peer} {version(peer)}: {does}",
            ours,
            theirs,
            rounds=rounds,
        )


@asynccontextmanager
async def _peer(world: World, name: str) -> AsyncIterator[tuple[Target, "asyncpg.Connection[asyncpg.Record]"]]:
    """The peer's API in a process of its own on a fresh database, and a look into that."""
    port = free_port()
    async with (
        database(world.postgres_url, f"peer_{name}_{port}") as url,
        process(
            ["-m", "benchmarks.floors.peer_api", name], {"FLOOR_DATABASE_URL": url, "FLOOR_PORT": str(port)}, world.log
        ),
    ):
        await listens(port)
        connection = await asyncpg.connect(url)
        try:
            yield Target(HOST, port, "nobody-asks"), connection
        finally:
            await connection.close()
