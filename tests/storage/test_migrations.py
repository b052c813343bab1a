"""The schema on a real Postgres."""

import asyncio

import asyncpg
import pytest

from consentflow.runtime import Parts
from consentflow.storage.pool import Database


async def test_migrating_twice_and_at_once_from_two_places_is_safe(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url.format(database="postgres"))
    await connection.execute("CREATE DATABASE migrated_at_once")
    url = postgres_url.format(database="migrated_at_once")
    async with Database(url) as one, Database(url) as other:
        await asyncio.gather(one.migrate(), other.migrate())
        await one.migrate()
    fresh = await asyncpg.connect(url)
    assert await fresh.fetchval("SELECT count(*) FROM registrations") == 0
    await fresh.close()
    await connection.execute("DROP DATABASE migrated_at_once WITH (FORCE)")
    await connection.close()


@pytest.mark.parametrize("change", ["UPDATE ledger SET event = 'x'", "DELETE FROM ledger", "TRUNCATE ledger"])
async def test_ledger_rows_can_be_neither_changed_nor_removed(parts: Parts, change: str) -> None:
    await parts.accounts.set_status("firma.example", "customer")
    async with parts.database.transaction() as connection:
        with pytest.raises(asyncpg.RaiseError, match="append-only"):
            async with connection.transaction():
                await connection.execute(change)
        assert await connection.fetchval("SELECT count(*) FROM ledger") == 1
