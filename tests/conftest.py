"""Real parts for every test: one embedded Postgres a run, a fresh database a test made from a migrated template."""

import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from consentflow.dev.postgres import postgres
from consentflow.runtime import Parts
from consentflow.settings import FixedSettings
from consentflow.storage.pool import Database

CONTROLLER = {
    "name": "Controller Test AG",
    "address": "Teststraße 1, 10115 Berlin",
    "email": "hello@controller.example",
    "dpo_email": "dpo@controller.example",
    "privacy_policy_url": "https://controller.example/privacy",
    "privacy_policy_version": "2026-11",
    "supervisory_authority": "Test Authority",
}
BEGINNING = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

os.environ["COLUMNS"] = (
    "200"  # what commands print is as wide as that, whoever runs the tests, one by one or in parallel
)


LONGEST_FIRST = ("faults", "acceptance", "workflow", "api", "storage")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes share the files, none is left alone with a long one at the end."""
    if hasattr(config, "workerinput"):
        last = len(LONGEST_FIRST)
        tests = Path(__file__).parent
        rank = {folder: place for place, folder in enumerate(LONGEST_FIRST)}
        items.sort(key=lambda item: rank.get(item.path.relative_to(tests).parts[0], last))


class HandClock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.at = BEGINNING

    def now(self) -> datetime:
        return self.at

    def pass_time(self, **by: float) -> None:
        self.at += timedelta(**by)


def make_settings(database_url: str, **more: object) -> FixedSettings:
    return FixedSettings.model_validate(
        {
            "database_url": database_url,
            "secret_key": "a-secret-for-tests-that-is-long-enough",
            "public_url": "http://127.0.0.1:8000",
            "smtp": {"tls": "off"},
            "limits": {"per_key": "", "forms": ""},
            "mail": {"from": "privacy@controller.example"},
            "controller": CONTROLLER,
        }
        | more
    )


def environment(database_url: str) -> dict[str, str]:
    """The settings of `make_settings`, as commands read them."""
    settings = {
        "DATABASE_URL": database_url,
        "SECRET_KEY": "a-secret-for-tests-that-is-long-enough",
        "PUBLIC_URL": "http://127.0.0.1:8000",
        "MAIL__FROM": "privacy@controller.example",
        **{f"CONTROLLER__{name.upper()}": value for name, value in CONTROLLER.items()},
    }
    return {f"CONSENTFLOW_{name}": value for name, value in settings.items()}


@pytest.fixture(scope="session")
async def postgres_url() -> AsyncIterator[str]:
    """The URL of the run's Postgres, with `{database}` where the database's name goes."""
    # Not below pytest's own folder, which the next run closes to the user that Postgres runs as.
    folder = Path(tempfile.mkdtemp(prefix="consentflow-tests-"))
    async with postgres(folder / "data") as url:
        pattern = url.replace("/postgres?", "/{database}?")
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("ALTER SYSTEM SET fsync = off")  # nobody needs the data after a crash
            await connection.execute("SELECT pg_reload_conf()")
            await connection.execute("CREATE DATABASE template_migrated")
        finally:
            await connection.close()
        async with Database(pattern.format(database="template_migrated")) as template:
            await template.migrate()
        yield pattern
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def database_url(postgres_url: str) -> AsyncIterator[str]:
    """A migrated database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres_url.format(database="postgres"))
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template_migrated STRATEGY file_copy")
        yield postgres_url.format(database=name)
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def parts(database_url: str, clock: HandClock) -> AsyncIterator[Parts]:
    """Everything that needs no Temporal and no SMTP, on a database of the test's own and a clock in its hand."""
    built = Parts(make_settings(database_url), clock)
    async with built.database:
        yield built
