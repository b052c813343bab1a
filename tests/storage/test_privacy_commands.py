"""`consentflow retention` and `consentflow access`, on a real Postgres."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from typer.testing import CliRunner, Result

from consentflow.cli import app
from consentflow.domain.clock import SystemClock
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.retention import RULES
from consentflow.runtime import Parts
from tests.conftest import environment, make_settings

LEA = "lea@firma.example"


@pytest.fixture
async def parts(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    """Parts in real time, as the commands have them, on the database that the commands are told."""
    for name, value in environment(database_url).items():
        monkeypatch.setenv(name, value)
    async with (built := Parts(make_settings(database_url), SystemClock())).database:
        yield built


async def run(*arguments: str) -> Result:
    """Runs a command; in a thread of its own, since it runs a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def count(parts: Parts, table: str) -> int:
    async with parts.database.transaction() as connection:
        rows: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return rows


async def old_events(parts: Parts) -> None:
    async with parts.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO events (source, event_id, type, recorded_at)"
            " SELECT 'site', n::text, 'x', $1 FROM generate_series(1, 1234) AS n",
            SystemClock().now() - timedelta(days=500),
        )


async def test_a_dry_run_says_what_would_go_and_why_and_changes_nothing(parts: Parts) -> None:
    await old_events(parts)
    said = await run("retention", "--dry-run")
    assert said.exit_code == 0
    words = " ".join(said.output.replace("│", " ").split())
    for rule in RULES:
        assert rule.name in words
    assert "1234" in words
    assert f"{SystemClock().now() - timedelta(days=500):%Y-%m-%d}" in words
    assert (await count(parts, "events"), await count(parts, "ledger")) == (1234, 0)


async def test_the_sweep_says_what_went(parts: Parts) -> None:
    await old_events(parts)
    said = await run("retention")
    assert (said.exit_code, said.output) == (0, "     1234  source and id of events already seen\n")
    assert await count(parts, "events") == 0
    assert (await run("retention")).output == "Nothing has been kept too long.\n"


async def test_everything_held_about_a_person_is_handed_out_as_json_or_for_paper(parts: Parts) -> None:
    content = {"registration_id": "r-1", "partner_id": "p-1", "contact": {"email": LEA, "given_name": "Lea"}}
    await parts.registrations.register(RegistrationIn.model_validate(content))
    document = json.loads((await run("access", "export", LEA)).output)
    assert document["sections"][0]["held"][0]["given_name"] == "Lea"
    page = (await run("access", "export", LEA, "--format", "html")).output
    assert page.startswith("<!doctype html>")
    assert LEA in page
    async with parts.database.transaction() as connection:
        actors = await connection.fetch("SELECT detail ->> 'actor' AS actor FROM ledger WHERE event = 'exported'")
    assert [row["actor"] for row in actors] == ["command line"] * 2


async def test_what_is_no_address_ends_in_one_line(parts: Parts) -> None:
    said = await run("access", "export", "nobody")
    assert said.exit_code == 1
    assert len(said.output.splitlines()) == 1
    assert await count(parts, "ledger") == 0
