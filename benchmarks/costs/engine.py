"""How many bytes a workflow needs in Temporal's database."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from benchmarks.costs.stored import lead, set_up
from benchmarks.servers import World, database
from consentflow.dev.clock import SteppedClock
from consentflow.dev.temporal import connect, dev_server, free_port
from consentflow.runtime import Parts
from tests.workflow.service import PostOffice, Service, make_parts

AT_ONCE = 500
PATIENCE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class EngineBytes:
    """What one workflow needs in Temporal's database (the dev server's SQLite file, packed), indexes included.

    Args:
        waiting: A registration that sleeps by its start delay.
        asked: One that waits for an answer, after the mail.
        no_contact: One that is over and had no mail.
        notified: One that is over and had a mail.
        waiting_by_table: What makes up ``waiting``.
    """

    waiting: float
    asked: float
    no_contact: float
    notified: float
    waiting_by_table: Mapping[str, float]


async def engine_bytes(servers: World, folder: Path, number: int) -> EngineBytes:
    """Of each kind of workflow: so many that wait, and a quarter as many of each other kind."""
    file, post, few = folder / "engine.db", PostOffice(folder / "engine-mail"), max(number // 4, 1)
    async with (
        dev_server(file, free_port()) as address,
        database(servers.postgres_url, "engine") as url,
        post.open(),
    ):
        client = await connect(address)
        parts = make_parts(url, SteppedClock(folder / "engine.json"), address, post.port)
        async with parts.database:
            await set_up(parts)
            service = Service(parts, client, post.maildir)
            async with service.working():  # makes what is there once, such as schedules
                pass
            before = await asyncio.to_thread(_by_table, file)
            await _register_all(parts, "FR", number)
            relay = service.relay()
            while await relay.deliver():
                pass
            waiting = _grown(before, after := await asyncio.to_thread(_by_table, file), number)
            sizes = []
            long_ago = (parts.clock.now() - timedelta(days=parts.policy.notice.after_days, hours=1)).isoformat()
            still_open = number
            for country, registered_at, stay in (("DE", None, few), ("US", None, 0), ("FR", long_ago, 0)):
                still_open += stay
                async with service.working():
                    await _register_all(parts, country, few, registered_at)
                    await _are_open(service, still_open)
                before, after = after, await asyncio.to_thread(_by_table, file)
                sizes.append(sum(_grown(before, after, few).values()))
    asked, no_contact, notified = sizes
    largest = sorted(waiting.items(), key=lambda item: -item[1])
    parts_of_it = {name: size for name, size in largest if size >= 1}
    return EngineBytes(sum(waiting.values()), asked, no_contact, notified, parts_of_it)


async def _register_all(parts: Parts, country: str, number: int, registered_at: str | None = None) -> None:
    for first in range(0, number, AT_ONCE):
        leads = [lead(country, registered_at) for _ in range(min(AT_ONCE, number - first))]
        await parts.registrations.register_all(leads)


async def _are_open(service: Service, number: int) -> None:
    queue = service.parts.settings.temporal.task_queue
    running = f"TaskQueue = '{queue}' AND ExecutionStatus = 'Running'"

    async with asyncio.timeout(PATIENCE_SECONDS):  # how long it takes is no figure here
        while (
            await service.parts.agenda.unsettled(service.parts.clock.now())
            or (await service.client.count_workflows(running)).count != number
        ):
            await asyncio.sleep(0.5)


def _grown(before: Mapping[str, int], after: Mapping[str, int], number: int) -> dict[str, float]:
    return {name: (size - before.get(name, 0)) / number for name, size in after.items()}


def _by_table(file: Path) -> dict[str, int]:
    """Bytes of each table and index, in a packed copy of a database that is in use."""
    copy = file.with_suffix(".copy")
    with contextlib.closing(sqlite3.connect(file)) as live:
        live.execute("VACUUM INTO ?", (str(copy),))
    try:
        with contextlib.closing(sqlite3.connect(copy)) as packed:
            query = (
                "SELECT coalesce(s.tbl_name, d.name), sum(d.pgsize) FROM dbstat AS d"
                " LEFT JOIN sqlite_schema AS s ON s.name = d.name GROUP BY 1"
            )
            return dict(packed.execute(query).fetchall())
    finally:
        copy.unlink()
