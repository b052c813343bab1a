"""Officers: added, changed and removed on the command line."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from typer.testing import CliRunner, Result

from consentflow.cli import app
from consentflow.domain.clock import SystemClock
from consentflow.domain.letters import Language
from consentflow.runtime import Parts
from tests.conftest import environment, make_settings

DPO = "dpo@controller.example"


@pytest.fixture
async def parts(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Parts]:
    """Parts in real time, as the commands have them, on the database that the commands are told."""
    for name, value in environment(database_url).items():
        monkeypatch.setenv(name, value)
    async with (built := Parts(make_settings(database_url), SystemClock())).database:
        yield built


async def officers(*arguments: str) -> Result:
    """Runs `consentflow officers`; in a thread of its own, since it runs a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["officers", *arguments])


async def ledger(parts: Parts) -> list[str]:
    async with parts.database.transaction() as connection:
        return [row["event"] for row in await connection.fetch("SELECT event FROM ledger ORDER BY entry_id")]


async def test_an_officer_is_added_listed_and_removed(parts: Parts) -> None:
    added = await officers("add", f" {DPO} ", "--language", "de")
    assert (added.exit_code, added.output) == (0, f"{DPO} may sign in at http://127.0.0.1:8000/console as officer.\n")
    listed = await officers("list")
    for shown in (DPO, "officer", "de"):
        assert shown in listed.output
    assert (await officers("remove", DPO)).exit_code == 0
    assert "There are no officers yet" in (await officers("list")).output
    assert await ledger(parts) == ["officer_added", "officer_removed"]


async def test_adding_again_changes_role_and_language(parts: Parts) -> None:
    await officers("add", DPO)
    assert (await officers("add", DPO.upper(), "--role", "admin", "--language", "fr")).exit_code == 0
    (officer,) = await parts.officers.find_all()
    assert (officer.role, officer.language) == ("admin", Language.FRENCH)


@pytest.mark.parametrize("arguments", [("add", "nobody"), ("remove", "nobody"), ("remove", DPO)])
async def test_a_mistake_ends_in_one_line(parts: Parts, arguments: tuple[str, str]) -> None:
    result = await officers(*arguments)
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert await parts.officers.find_all() == []


@pytest.mark.parametrize("arguments", [("--role", "registrar"), ("--language", "nl")])
async def test_there_are_two_roles_and_six_languages(parts: Parts, arguments: tuple[str, str]) -> None:
    assert (await officers("add", DPO, *arguments)).exit_code == 2
    assert await parts.officers.find_all() == []


async def test_the_ledger_names_no_address(parts: Parts) -> None:
    await officers("add", DPO)
    await officers("remove", DPO)
    async with parts.database.transaction() as connection:
        entries = await connection.fetch("SELECT * FROM ledger")
    assert DPO not in str(entries)
