"""Whether the process lives, what it can reach, and what it does when Postgres is gone."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest

from consentflow.api.app import create_app
from consentflow.operations.keys import Role
from consentflow.runtime import Parts
from consentflow.storage.pool import Database

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock

REQUESTS = [
    ("POST", "/v1/registrations"),
    ("GET", "/v1/registrations/r-1"),
    ("PATCH", "/v1/registrations/r-1"),
    ("DELETE", "/v1/registrations/r-1"),
    ("PUT", "/v1/accounts/firma.example"),
    ("POST", "/v1/events"),
    ("GET", "/confirm/AAAAAAAAAAAAAAAAAAAAAA"),
    ("POST", "/confirm/AAAAAAAAAAAAAAAAAAAAAA"),
    ("POST", "/unsubscribe/AAAAAAAAAAAAAAAAAAAAAA"),
]


@asynccontextmanager
async def visiting(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(parts))
    headers = {"Authorization": "Bearer cf_admin_some-key"}
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
        yield client


def elsewhere(parts: Parts, url: str) -> Parts:
    """The same parts on another database."""
    changed = parts.settings.model_copy(update={"database_url": type(parts.settings.database_url)(url)})
    return Parts(changed, parts.clock)


async def test_a_process_that_answers_is_alive(api: "Api") -> None:
    response = await api.client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_with_postgres_there_the_process_is_ready_and_tells_its_backlog(api: "Api") -> None:
    for backlog in (0, 1):
        response = await api.client.get("/readyz")
        ready = response.json()
        assert (response.status_code, ready["status"], ready["outbox"]) == (200, "ready", backlog)
        assert set(ready["down"]) <= {"temporal", "smtp"}  # neither is needed to accept
        await api.register()


async def test_metrics_count_the_backlog_in_the_format_of_prometheus(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1", country="FR")
    clock.pass_time(days=31)
    response = await api.client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    lines = response.text.splitlines()
    assert "consentflow_postgres_up 1.0" in lines
    assert "consentflow_outbox_messages 1.0" in lines
    assert "consentflow_overdue 1.0" in lines


async def test_metrics_tell_nothing_personal(api: "Api") -> None:
    who = {"given_name": "Zqzqgiven", "family_name": "Zqzqfamily", "email": "zqzqlead@zqzqdomain.example"}
    company = {"name": "Zqzqcompany", "domain": "zqzqdomain.example"}
    by = {"partner_id": "zqzqpartner", "registered_by": "zqzqrep@zqzqpartner.example"}
    await api.register("zqzq-1", contact=who, company=company, **by)
    await api.happened("contact.opted_in", "zqzqlead@zqzqdomain.example")
    for path in ("/v1/registrations/zqzq-1", "/v1/partners/zqzqpartner", "/confirm/zqzqtoken", "/zqzqnowhere"):
        await api.client.get(path)
    await api.client.request("ZQZQ", "/healthz")
    text = (await api.client.get("/metrics")).text
    assert "zqzq" not in text.lower()


@pytest.mark.parametrize("url", ["postgresql:///x?host={folder}&user=postgres", "postgresql://u:secret@127.0.0.1:1/x"])
@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_without_postgres_every_request_that_needs_it_is_answered_503(
    parts: Parts, tmp_path: Path, url: str, method: str, path: str
) -> None:
    async with visiting(elsewhere(parts, url.format(folder=tmp_path))) as client:
        response = await client.request(method, path)
        assert response.status_code == 503
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] == "storage_unavailable"
        assert response.headers["retry-after"]
        assert "secret" not in response.text


async def test_without_postgres_the_process_lives_is_not_ready_and_names_what_is_down(
    api: "Api", tmp_path: Path
) -> None:
    async with visiting(elsewhere(api.parts, f"postgresql:///x?host={tmp_path}&user=postgres")) as client:
        assert (await client.get("/healthz")).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "unready")
        assert "postgres" in ready.json()["down"]
        metrics = await client.get("/metrics")
        assert metrics.status_code == 200
        assert "consentflow_postgres_up 0.0" in metrics.text.splitlines()


async def test_a_database_that_goes_away_and_comes_back_is_found_again(api: "Api", postgres_url: str) -> None:
    name = f"test_{secrets.token_hex(6)}"
    parts = elsewhere(api.parts, postgres_url.format(database=name))
    operator = await asyncpg.connect(postgres_url.format(database="postgres"))
    try:
        async with parts.database, visiting(parts) as client:
            assert (await client.get("/readyz")).status_code == 503  # not there yet

            await operator.execute(f"CREATE DATABASE {name}")
            assert (await client.get("/readyz")).status_code == 503  # there, without its tables
            api.problem(await client.get("/v1/registrations/r-1"), 503, "storage_unavailable")

            await parts.database.migrate()
            assert (await client.get("/readyz")).status_code == 200
            client.headers["Authorization"] = f"Bearer {await parts.keys.create(Role.ADMIN, 'admin')}"
            assert (await client.post("/v1/registrations", json=api.body())).status_code == 202

            await _kick(operator, name)
            await operator.execute(f"ALTER DATABASE {name} RENAME TO {name}_away")
            api.problem(await client.post("/v1/registrations", json=api.body("r-2")), 503, "storage_unavailable")
            assert (await client.get("/readyz")).status_code == 503

            await operator.execute(f"ALTER DATABASE {name}_away RENAME TO {name}")
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.post("/v1/registrations", json=api.body())).status_code == 200
            assert (await client.get("/v1/registrations/r-2")).status_code == 404
    finally:
        await operator.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await operator.close()


async def test_connections_that_were_cut_are_replaced(api: "Api", database_url: str) -> None:
    await api.register("r-0")
    taken = {"r-0"}
    operator = await asyncpg.connect(database_url)
    for number in range(1, 40):
        if number % 4 == 1:
            await _kick(operator, "test_api")
        answer = await api.register(f"r-{number}", email=f"lea{number}@firma.example")
        assert answer.status_code == 202 or api.problem(answer, 503, "storage_unavailable")
        if answer.status_code == 202:
            taken.add(f"r-{number}")
    await operator.close()
    assert len(taken) > 10
    # What was cut in the middle of its commit may be stored although nobody was told.
    assert {row["registration_id"] for row in await api.rows("registrations")} >= taken


async def test_a_pool_that_was_closed_opens_again(api: "Api") -> None:
    await api.parts.database.close()
    assert (await api.register()).status_code == 202


async def test_when_every_connection_is_busy_the_answer_is_503_and_not_a_hang(api: "Api", database_url: str) -> None:
    parts = elsewhere(api.parts, database_url)
    database = Database(database_url, size=1, wait_seconds=0.05)
    object.__setattr__(parts, "database", database)
    async with database, visiting(parts) as client, database.transaction():
        api.problem(await client.get("/v1/registrations/r-1"), 503, "storage_unavailable")


async def _kick(operator: "asyncpg.Connection[asyncpg.Record]", name: str) -> None:
    await operator.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()", name
    )
