"""Waiting for 30 days, against the plain way: a workflow that the request starts, and that sleeps."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from benchmarks.figures import Figure, against_floor
from benchmarks.floors.bare_timer import QUEUE
from benchmarks.http import Target, send_all
from benchmarks.measured.intake import CONNECTIONS, delayed, registrations
from benchmarks.servers import World, listens, process
from consentflow.dev.temporal import HOST, free_port

_ANSWERED = re.compile(
    r'^temporal_request_latency\w*_count\{[^}]*operation="RespondWorkflowTaskCompleted"[^}]*\} (\d+)', re.MULTILINE
)
_STARTED_SCHEDULED_STARTED_COMPLETED_TIMER = 5
"""Events of a workflow that has begun to sleep."""


async def plain(world: World, number: int, rounds: int) -> Figure:
    """HTTP in → a wait that survives, ours against a timer in a workflow."""
    async with world.service() as service, _plain_way(world) as (target, metrics):

        async def ours() -> float:
            return await delayed(service, number)

        async def floor() -> float:
            requests = registrations(service, number, "FR")
            before = await _answered(metrics)
            begin = time.perf_counter()
            await send_all(target, requests, connections=CONNECTIONS)
            while await _answered(metrics) < before + number:
                await asyncio.sleep(0.01)
            return number / (time.perf_counter() - begin)

        figure = await against_floor(
            "the same against the plain way",
            "registrations/s",
            3,
            "FastAPI starts a workflow, which sleeps for 30 days; until its timer stands",
            ours,
            floor,
            rounds=rounds,
        )
        await _all_sleep(world)
        return figure


@asynccontextmanager
async def _plain_way(world: World) -> AsyncIterator[tuple[Target, str]]:
    """An API and a worker, each in a process of its own, and where the worker's metrics are."""
    port, metrics_port = free_port(), free_port()
    environment = {
        "PLAIN_TEMPORAL": world.temporal_address,
        "PLAIN_METRICS_PORT": str(metrics_port),
        "FLOOR_PORT": str(port),
    }
    async with (
        process(["-m", "benchmarks.floors.bare_timer", "api"], environment, world.log),
        process(["-m", "benchmarks.floors.bare_timer", "worker"], environment, world.log),
    ):
        await listens(port)
        await listens(metrics_port)
        yield Target(HOST, port, "nobody-asks"), f"http://{HOST}:{metrics_port}/metrics"


async def _answered(metrics: str) -> int:
    """How many workflow tasks Temporal has taken back from the worker."""
    async with httpx.AsyncClient() as client:
        told = (await client.get(metrics)).text
    return sum(int(count) for count in _ANSWERED.findall(told))


async def _all_sleep(world: World) -> None:
    """The count was of workflows that sleep."""
    async for found in world.temporal.list_workflows(f"TaskQueue = '{QUEUE}'", limit=10):
        described = await world.temporal.get_workflow_handle(found.id).describe()
        if described.history_length != _STARTED_SCHEDULED_STARTED_COMPLETED_TIMER:
            raise RuntimeError(f"a workflow of the plain way has {described.history_length} events")
