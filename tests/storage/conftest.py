"""A database with plenty in it, filled once for all who only look at it."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from benchmarks.measured.filling import fill
from consentflow.runtime import Parts
from tests.conftest import HandClock, make_settings

FULL = os.environ.get("FULL") == "1"
NUMBER = 1_000_000 if FULL else 100_000
"""Of registrations."""

FILLING = pytest.mark.timeout(3600 if FULL else 300)
"""For every module that may be the first to ask for them."""

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
async def filled(postgres_url: str) -> AsyncIterator[Parts]:
    """Everything on a database with plenty in it; nothing that is done there stays."""
    connection = await asyncpg.connect(postgres_url.format(database="postgres"))
    await connection.execute("CREATE DATABASE filled TEMPLATE template_migrated STRATEGY wal_log")
    url = postgres_url.format(database="filled")
    await fill(url, NUMBER, NOW)
    parts = Parts(make_settings(url, database_connections=2), HandClock())
    async with parts.database:
        yield parts
    await connection.execute("DROP DATABASE filled WITH (FORCE)")
    await connection.close()
