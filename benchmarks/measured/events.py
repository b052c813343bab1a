"""Taking events of the vendor's site: large batches, most of which concern nobody."""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

import asyncpg

from benchmarks.figures import Figure, against_floor
from benchmarks.http import send_all
from benchmarks.servers import Service, World, database
from consentflow.domain.intake import RegistrationIn

BATCH = 500
CONNECTIONS = 2
"""A site sends its events one batch after the other; two lines keep the server busy between them."""

MATCHING, OF_LEADS = 25, 12
"""How many of a batch match, and how many of these are of a lead: each ends its waiting. The others are news."""

PAGES = 5
"""How many pages the others look at, each."""

AT_ONCE = 100
"""How many leads are registered by one transaction before the clock starts."""

_MEDIA_TYPE = "application/cloudevents-batch+json"
_ids = count()
_people = count()

Event = dict[str, object]


async def events(world: World, number: int, rounds: int) -> Figure:
    """Batches over HTTP, one event in twenty matching, against a bare insert of the same events."""
    async with (
        world.service(worker=False) as service,
        database(world.postgres_url, f"events_{service.queue}") as url,
        asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool,
    ):
        await pool.execute(
            "CREATE TABLE events ("
            "source text, id text, type text, time timestamptz, data jsonb, PRIMARY KEY (source, id))"
        )

        async def ours() -> float:
            people = [next(_people) for _ in range(number // BATCH * MATCHING)]
            await _register(service, people)
            requests = [service.http.post("/v1/events", batch, _MEDIA_TYPE) for batch in _batches(number, people)]
            known = await service.fetch("SELECT count(*) FROM events")
            begin = time.perf_counter()
            await send_all(service.http, requests, connections=CONNECTIONS)
            took = time.perf_counter() - begin
            if await service.fetch("SELECT count(*) FROM events") != known + len(people):
                raise RuntimeError("not as many events matched as should have")
            return number / took

        async def floor() -> float:
            batches = iter([[_row(event) for event in batch] for batch in _batches(number, range(number))])

            async def line() -> None:
                async with pool.acquire() as connection:
                    for rows in batches:
                        await connection.executemany("INSERT INTO events VALUES ($1, $2, $3, $4, $5)", rows)

            begin = time.perf_counter()
            await asyncio.gather(*(line() for _ in range(CONNECTIONS)))
            return number / (time.perf_counter() - begin)

        return await against_floor(
            "events, batches of 500, one in twenty matching",
            "events/s",
            0.15,
            "asyncpg.executemany of the same events into one table with a key",
            ours,
            floor,
            rounds=rounds,
        )


def _batches(number: int, people: Sequence[int]) -> list[list[Event]]:
    """Fresh events of these leads and companies, among many of companies that nobody owns."""
    return [_batch(people[at * MATCHING : (at + 1) * MATCHING]) for at in range(number // BATCH)]


def _batch(people: Sequence[int]) -> list[Event]:
    leads, companies = people[:OF_LEADS], people[OF_LEADS:]
    told = [_event("contact.form_submitted", {"email": f"lead{n}@company{n}.example"}) for n in leads]
    told += [_event("company.pricing_viewed", {"domain": f"company{n}.example"}) for n in companies]
    return told + [_stranger(next(_ids)) for _ in range(BATCH - MATCHING)]


def _stranger(number: int) -> Event:
    """Somebody looks at five pages. Half of the events name the company, half an address there."""
    company = f"stranger{number // PAGES}.example"
    named: dict[str, object] = {"domain": company} if number % 2 else {"email": f"visitor{number}@{company}"}
    return _event("company.content_viewed", named | {"page": f"/guides/{number % 40}"})


def _event(kind: str, data: dict[str, object]) -> Event:
    return {
        "specversion": "1.0",
        "id": f"e-{next(_ids)}",
        "source": "https://www.musterwerk.example/site",
        "type": kind,
        "time": datetime.now(UTC).isoformat(),
        "data": data,
    }


async def _register(service: Service, people: Sequence[int]) -> None:
    registrations = [
        RegistrationIn.model_validate(
            {
                "registration_id": f"e-{n}",
                "partner_id": f"p-{n % 50}",
                "contact": {"email": f"lead{n}@company{n}.example", "given_name": "Lea", "family_name": "Muster"},
                "country": "FR",
            }
        )
        for n in people
    ]
    for at in range(0, len(registrations), AT_ONCE):
        for outcome in await service.parts.registrations.register_all(registrations[at : at + AT_ONCE]):
            if isinstance(outcome, Exception):
                raise outcome


def _row(event: Event) -> tuple[object, ...]:
    return (
        event["source"],
        event["id"],
        event["type"],
        datetime.fromisoformat(str(event["time"])),
        json.dumps(event["data"]),
    )
