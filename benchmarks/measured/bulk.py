"""Taking registrations in bulk: a batch over HTTP and an import from a file, against bare inserts of the same rows."""

import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

import asyncpg

from benchmarks.figures import Figure, Measure, against_floor
from benchmarks.servers import Service, World, database
from consentflow.importing.files import UTF_8, open_source
from consentflow.importing.refusals import Refusal
from consentflow.importing.run import bring_in
from consentflow.importing.showing import Showing

SLICE = 500
"""Rows that the floor inserts by one call."""

_ids = count()

Row = dict[str, object]


async def batch(world: World, number: int, rounds: int) -> Figure:
    """One body of many lines, sent at once while its results are read."""
    async with world.service(worker=False) as service, database(world.postgres_url, f"floor_{next(_ids)}_b") as url:

        async def ours() -> float:
            body = _as_lines(_rows(number))
            begin = time.perf_counter()
            taken = await _send(service, body)
            took = time.perf_counter() - begin
            _insist(taken == number, f"{taken} of {number} lines were taken")
            return number / took

        return await _against_inserts("batch, rows accepted", url, ours, number, rounds)


async def importing(world: World, number: int, rounds: int) -> Figure:
    """`consentflow import` of a file, less the start of its process."""
    async with (
        world.service(api=False, worker=False) as service,
        database(world.postgres_url, f"floor_{next(_ids)}_i") as url,
    ):

        async def ours() -> float:
            with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
                file.write(_as_lines(_rows(number)))
                file.flush()
                with closing(open_source(Path(file.name), None, UTF_8)) as source:
                    begin = time.perf_counter()
                    tally = await bring_in(service.parts, source.rows(), _insist_on_none, Showing(source))
                    took = time.perf_counter() - begin
            _insist(tally.new == number, tally.in_words())
            return number / took

        return await _against_inserts("import, rows accepted", url, ours, number, rounds)


async def _against_inserts(name: str, url: str, ours: Measure, number: int, rounds: int) -> Figure:
    bare = await asyncpg.connect(url)
    try:
        await bare.execute(
            """
            CREATE TABLE rows (
                registration_id text PRIMARY KEY, partner_id text, registered_by text, email text, given_name text,
                family_name text, company_name text, company_domain text, country text
            )
            """
        )

        async def floor() -> float:
            rows = [_flat(row) for row in _rows(number)]
            begin = time.perf_counter()
            for start in range(0, number, SLICE):
                await bare.executemany(
                    "INSERT INTO rows VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", rows[start : start + SLICE]
                )
            return number / (time.perf_counter() - begin)

        floor_is = f"asyncpg executemany of the same rows into one table, {SLICE} at a time"
        return await against_floor(name, "rows/s", 0.1, floor_is, ours, floor, rounds=rounds)
    finally:
        await bare.close()


def _rows(number: int) -> list[Row]:
    """Registrations of fresh contacts, a few at each company, in every region."""
    return [_row(next(_ids)) for _ in range(number)]


def _row(n: int) -> Row:
    domain = f"company{n // 3}.example"
    return {
        "registration_id": f"bulk-{n}",
        "partner_id": f"p-{n // 3 % 50}",
        "registered_by": f"person{n % 200}@partner{n % 50}.example",
        "contact": {"email": f"lead{n}@{domain}", "given_name": "Lea", "family_name": "Muster"},
        "company": {"name": f"Company {n // 3}", "domain": domain},
        "country": ("FR", "DE", "US")[n % 3],
    }


def _flat(row: Row) -> Sequence[object]:
    contact, company = row["contact"], row["company"]
    assert isinstance(contact, dict)  # noqa: S101 - made above
    assert isinstance(company, dict)  # noqa: S101
    return (
        *(row["registration_id"], row["partner_id"], row["registered_by"]),
        *contact.values(),
        *company.values(),
        row["country"],
    )


def _as_lines(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


async def _send(service: Service, body: bytes) -> int:
    """Sends a batch and reads its results meanwhile; how many lines were taken."""
    target = service.http
    reader, writer = await asyncio.open_connection(target.host, target.port, limit=2**22)
    writer.write(target.request("POST", "/v1/registrations:batch", body, "application/x-ndjson"))
    _, answer = await asyncio.gather(writer.drain(), reader.read())
    writer.close()
    _insist(answer.startswith(b"HTTP/1.1 200 "), repr(answer[:300]))
    return answer.count(b'"status":202')


def _insist_on_none(refusals: Sequence[Refusal]) -> None:
    _insist(not refusals, repr(refusals))


def _insist(right: bool, otherwise: str) -> None:
    if not right:
        raise RuntimeError(otherwise)
