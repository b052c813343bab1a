"""The disk of Postgres is full: nothing is half-done, and with room again all goes on by itself."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

import asyncpg
import httpx
import pytest

from tests.faults import disk
from tests.faults.claims import everything_comes_right
from tests.faults.disk import MEGABYTE, SmallDisk
from tests.faults.leads import Lead, bodies
from tests.faults.world import Json, World, lead_of, new_id, running

Full = Literal["tables", "log"]

LEADS = 20


@pytest.fixture(params=["tables", "log"])
async def full(request: pytest.FixtureRequest) -> Full:
    """What there is no more room for: the tables alone, or the write-ahead log too, which makes Postgres give up."""
    if not disk.is_possible():
        reason = "neither root nor namespaces for everybody: no disk was full"
        if os.environ.get("CONSENTFLOW_TESTS_MUST_NOT_SKIP"):
            pytest.fail(reason)
        pytest.skip(reason)
    found: Full = request.param
    return found


@pytest.fixture
async def small(full: Full) -> AsyncIterator[tuple[World, SmallDisk]]:
    """The service with Postgres on a small disk."""
    folder = Path(tempfile.mkdtemp(prefix="consentflow-faults-"))
    try:
        its_disk = SmallDisk(folder / "disk", 192 * MEGABYTE)
        async with running(folder, its_disk, log_on_disk=full == "log") as world:
            yield world, its_disk
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(600)
async def test_while_the_disk_is_full_nothing_is_half_done_and_with_room_again_all_comes_to_its_right_end(
    small: tuple[World, SmallDisk], full: Full
) -> None:
    world, its_disk = small
    callers = Callers(world)
    async with world.caller() as client:
        while len(callers.accepted) < LEADS:
            await callers.register(client)
        said = len(world.worker.said())
        while len(callers.refused) < LEADS:
            its_disk.fill()
            if full == "log":
                await _use_up_the_log(world)
            await callers.register(client)
        assert callers.refusals == {httpx.codes.SERVICE_UNAVAILABLE}
        if full == "tables":
            await _all_or_nothing_is_stored(world, callers)
            known = await client.get(f"/v1/registrations/{callers.accepted[0].registration_id}")
            assert known.status_code == httpx.codes.OK
        else:
            assert "PANIC" in world.postgres.said()
            await world.worker.says("postgres is not there; waiting", after=said)
        assert all(process.runs for process in world.ours)

        its_disk.make_room()
        if not world.postgres.runs:
            world.postgres.start()  # as whatever supervises it does
            await world.postgres.up()
        await callers.insist(client)
    await everything_comes_right(world, callers.accepted)


class Callers:
    """They register one lead after the other and remember what they were told."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._bodies: dict[str, Json] = {}
        self.accepted: list[Lead] = []
        self.refused: list[Lead] = []
        self.refusals: set[int] = set()

    async def register(self, client: httpx.AsyncClient) -> None:
        registration_id = new_id()
        country = "DE" if len(self._bodies) % 2 else "FR"
        lead = Lead(registration_id, lead_of(registration_id)["contact"]["email"], country, overdue=country == "FR")
        self._bodies |= bodies([lead])
        answer = await client.post("/v1/registrations", json=self._bodies[registration_id])
        if answer.is_success:
            self.accepted.append(lead)
        else:
            self.refused.append(lead)
            self.refusals.add(answer.status_code)

    async def insist(self, client: httpx.AsyncClient) -> None:
        """Registers the refused ones again, as careful callers do."""
        for lead in self.refused:
            await self._world.insist(client, "POST", "/v1/registrations", self._bodies[lead.registration_id])
        self.accepted += self.refused


async def _use_up_the_log(world: World) -> None:
    with suppress(
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError
    ):  # it may be gone by now, or go because of this
        connection = await asyncpg.connect(world.postgres.url)
        try:
            await connection.execute("SELECT pg_switch_wal()")
        finally:
            await connection.close()


async def _all_or_nothing_is_stored(world: World, callers: Callers) -> None:
    """A registration that was refused has left no trace; one that was accepted is there with person and evidence."""
    for leads, times in ((callers.accepted, 1), (callers.refused, 0)):
        [row] = await world.fetch(
            """
            SELECT (SELECT count(*) FROM registrations WHERE registration_id = ANY($1)) AS registrations,
                   (SELECT count(*) FROM contacts WHERE email = ANY($2)) AS contacts,
                   (SELECT count(DISTINCT registration_id) FROM ledger WHERE registration_id = ANY($1)) AS evidence
            """,
            [lead.registration_id for lead in leads],
            [lead.email for lead in leads],
        )
        assert set(row.values()) == {times * len(leads)}
