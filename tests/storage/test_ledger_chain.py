"""The ledger on a real Postgres: chains that hold under load, checkpoints over them, and whatever tampering leaves."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from importlib.resources import as_file, files
from pathlib import Path

import asyncpg
import pytest
from pogo_core.util import migrate as pogo

from consentflow.domain.addresses import Subject
from consentflow.domain.audit import Flaw, Wrong
from consentflow.domain.evidence import BEGINNING, Seal, Signer, checkpoint_tree
from consentflow.explaining import findings_in_words
from consentflow.runtime import Parts
from consentflow.storage import ledger
from consentflow.storage.pool import Database
from tests.conftest import BEGINNING as NOW
from tests.conftest import HandClock, make_settings

DAY_1 = NOW.date()
DAY_2 = DAY_1 + timedelta(days=1)
TABLES = ("ledger", "checkpoints")


async def append(parts: Parts, chain: str | None, event: str = "happened") -> None:
    subject = Subject(chain) if chain else None
    async with parts.database.transaction() as connection:
        await ledger.append(
            connection, parts.clock.now(), event, {"note": "Prüfung", "n": 1}, subject=subject, registration_id="r-1"
        )


async def append_all(parts: Parts, chains: str) -> None:
    """Appends to one chain after the other; a dash is the chain without a subject."""
    for chain in chains:
        await append(parts, None if chain == "-" else chain)


@pytest.fixture(scope="session")
async def sealed_database(postgres_url: str) -> str:
    """Entries 1 to 4 under the checkpoint of the first day, 5 to 8 under that of the second, 9 and 10 under none."""
    owner = await asyncpg.connect(postgres_url.format(database="postgres"))
    await owner.execute("CREATE DATABASE test_sealed TEMPLATE template_migrated")
    await owner.close()
    url = postgres_url.format(database="test_sealed")
    clock = HandClock()
    parts = Parts(make_settings(url), clock)
    async with parts.database:
        await append_all(parts, "ab-a")
        await parts.ledger.checkpoint()
        clock.pass_time(days=1)
        await append_all(parts, "a-cb")
        await parts.ledger.checkpoint()
        clock.pass_time(hours=1)
        await append_all(parts, "ab")
        async with parts.database.transaction() as connection:
            for table in TABLES:
                await connection.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")
    return url


@pytest.fixture
async def sealed(sealed_database: str, clock: HandClock) -> AsyncIterator[Parts]:
    """The sealed database, whatever the test before did to it."""
    async with tampering(sealed_database) as connection:
        for table in TABLES:
            await connection.execute(f"DELETE FROM {table}")
            await connection.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
    parts = Parts(make_settings(sealed_database), clock)
    async with parts.database:
        yield parts


@asynccontextmanager
async def tampering(url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """What somebody can do who owns the database but not the service's secret."""
    connection = await asyncpg.connect(url)
    try:
        for table in TABLES:
            await connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        yield connection
        for table in TABLES:
            await connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
    finally:
        await connection.close()


async def rewrite(connection: "asyncpg.Connection[asyncpg.Record]", chain: str) -> None:
    """Computes the hashes of a whole chain anew, as the service would have."""
    head = BEGINNING
    for row in await connection.fetch("SELECT entry_id FROM ledger WHERE subject = $1 ORDER BY entry_id", chain):
        head = await connection.fetchval(
            """
            UPDATE ledger SET previous_hash = $2,
                entry_hash = ledger_hash($2, entry_id, at, subject, registration_id, event, detail)
            WHERE entry_id = $1 RETURNING entry_hash
            """,
            row["entry_id"],
            head,
        )


async def first_flaw(parts: Parts) -> Flaw:
    findings = await parts.ledger.verify()
    assert findings.flaws, "nothing was noticed"
    return findings.flaws[0]


# Chains.


async def test_an_untouched_ledger_verifies_and_is_counted(sealed: Parts) -> None:
    findings = await sealed.ledger.verify()
    assert findings.flaws == ()
    assert (findings.entries, findings.chains, findings.checkpoints, findings.uncovered) == (10, 4, 2, 2)
    words = findings_in_words(findings)
    assert "intact: 10 entries in 4 chains" in words
    assert "2026-11-23" in words
    assert "2 entries wait" in words


async def test_an_empty_ledger_verifies(parts: Parts) -> None:
    findings = await parts.ledger.verify()
    assert (findings.entries, findings.flaws, findings.latest) == (0, (), None)


async def test_what_a_statement_says_of_number_and_hashes_does_not_count(parts: Parts) -> None:
    await append(parts, "a")
    async with parts.database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO ledger (entry_id, at, subject, event, detail, previous_hash, entry_hash)
            VALUES (1, now(), 'a', 'x', '{}', 'false', 'false')
            """
        )
    assert (await parts.ledger.verify()).flaws == ()


async def test_one_statement_may_append_to_many_chains(parts: Parts) -> None:
    async with parts.database.transaction() as connection:
        await connection.execute(
            """
            INSERT INTO ledger (at, subject, event, detail)
            SELECT now(), 'chain ' || n % 7, 'x', '{}' FROM generate_series(1, 100) AS n
            """
        )
    findings = await parts.ledger.verify()
    assert (findings.entries, findings.chains, findings.flaws) == (100, 7, ())


@pytest.mark.parametrize("chain", ["a", None])
async def test_appending_at_once_without_any_lock_keeps_one_chain(
    parts: Parts, database_url: str, chain: str | None
) -> None:
    other = Parts(make_settings(database_url), parts.clock)
    async with other.database:
        await asyncio.gather(*(append(each, chain) for each in (parts, other) * 25))
    findings = await parts.ledger.verify()
    assert (findings.entries, findings.chains, findings.flaws) == (50, 1, ())


async def test_batches_that_append_to_the_same_many_chains_at_once_all_come_through(parts: Parts) -> None:
    async def batch() -> None:
        async with parts.database.transaction() as connection:
            for number in range(40):
                await ledger.append(connection, NOW, "x", {}, subject=Subject(f"s-{number:02}"))

    await asyncio.gather(*(batch() for _ in range(8)))
    findings = await parts.ledger.verify()
    assert (findings.entries, findings.chains, findings.flaws) == (320, 40, ())


async def test_an_isolation_level_that_could_fork_a_chain_is_refused(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    async with connection.transaction(isolation="repeatable_read"):
        with pytest.raises(asyncpg.RaiseError, match="read committed"):
            await connection.execute("INSERT INTO ledger (at, event, detail) VALUES (now(), 'x', '{}')")
    await connection.close()


async def test_the_end_of_a_chain_and_all_neighbours_are_found_by_index(parts: Parts, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        """
        INSERT INTO ledger (at, subject, event, detail)
        SELECT now(), 'chain ' || n % 3, 'x', '{}' FROM generate_series(1, 3000) AS n
        """
    )
    await connection.execute("ANALYZE ledger")
    body: str = await connection.fetchval("SELECT prosrc FROM pg_proc WHERE proname = 'ledger_links'")
    lookup = body[body.index("SELECT subject, entry_hash FROM ledger") :].split(")", 1)[0]
    plan = await connection.fetch("EXPLAIN " + lookup.replace("NEW.subject", "'chain 1'"))
    assert any("ledger_by_subject" in row[0] for row in plan), plan
    await connection.close()
    assert (await parts.ledger.verify()).entries == 3000


# Tampering.


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 microsecond'",
        "at = 'infinity'",
        "at = '20000-01-01'",
        "at = '0044-03-15 BC'",
        "subject = 'z'",
        "subject = NULL",
        "registration_id = 'r-2'",
        "registration_id = NULL",
        "event = 'happened '",
        'detail = \'{"note": "Prüfung", "n": 2}\'',
        "previous_hash = entry_hash",
        "entry_hash = sha256(entry_hash)",
    ],
)
@pytest.mark.parametrize(("entry", "day"), [(1, DAY_1), (5, DAY_2), (10, None)])
async def test_a_changed_field_is_noticed_at_its_entry(
    sealed: Parts, sealed_database: str, change: str, entry: int, day: date | None
) -> None:
    async with tampering(sealed_database) as connection:
        await connection.execute(f"UPDATE ledger SET {change} WHERE entry_id = {entry}")
    assert await first_flaw(sealed) == Flaw(Wrong.ALTERED, entry, entry, day)
    words = findings_in_words(await sealed.ledger.verify())
    assert f"Entry {entry} was altered" in words
    assert (f"checkpoint of {day}" if day else "No checkpoint") in words


async def test_an_entry_changed_together_with_its_hash_is_noticed_at_the_next(
    sealed: Parts, sealed_database: str
) -> None:
    async with tampering(sealed_database) as connection:
        await connection.execute(
            """
            UPDATE ledger SET event = 'x',
                entry_hash = ledger_hash(previous_hash, entry_id, at, subject, registration_id, 'x', detail)
            WHERE entry_id = 4
            """
        )
    assert await first_flaw(sealed) == Flaw(Wrong.PREDECESSOR, 5, 5, DAY_2)


@pytest.mark.parametrize(("removed", "noticed", "day"), [(1, 4, DAY_1), (4, 5, DAY_2), (3, 6, DAY_2), (5, 9, None)])
async def test_a_removed_entry_is_noticed_at_the_next_of_its_chain(
    sealed: Parts, sealed_database: str, removed: int, noticed: int, day: date | None
) -> None:
    async with tampering(sealed_database) as connection:
        await connection.execute("DELETE FROM ledger WHERE entry_id = $1", removed)
    assert await first_flaw(sealed) == Flaw(Wrong.PREDECESSOR, noticed, noticed, day)


@pytest.mark.parametrize("removed", ["subject = 'c'", "subject IS NULL AND entry_id = 6"])
async def test_the_removed_end_of_a_chain_is_noticed_by_the_checkpoint(
    sealed: Parts, sealed_database: str, removed: str
) -> None:
    async with tampering(sealed_database) as connection:
        await connection.execute(f"DELETE FROM ledger WHERE {removed}")
    assert await first_flaw(sealed) == Flaw(Wrong.CHECKPOINT, 5, 8, DAY_2)
    assert "Entries 5 to 8: the checkpoint of 2026-11-23" in findings_in_words(await sealed.ledger.verify())


@pytest.mark.parametrize("columns", ["event", "at", "event, detail, registration_id, at, previous_hash, entry_hash"])
async def test_entries_in_another_order_are_noticed_at_the_first(
    sealed: Parts, sealed_database: str, columns: str
) -> None:
    async with tampering(sealed_database) as connection:
        await connection.execute("UPDATE ledger SET event = 'other', at = at + interval '1 s' WHERE entry_id = 4")
        await rewrite(connection, "a")
        await connection.execute(
            f"""
            UPDATE ledger SET ({columns}) = (
                SELECT {columns} FROM ledger AS other WHERE other.entry_id = 5 - ledger.entry_id
            ) WHERE entry_id IN (1, 4)
            """
        )
    assert await first_flaw(sealed) == Flaw(Wrong.ALTERED, 1, 1, DAY_1)


async def test_an_entry_with_another_number_is_noticed(sealed: Parts, sealed_database: str) -> None:
    async with tampering(sealed_database) as connection:
        await connection.execute("UPDATE ledger SET entry_id = 11 WHERE entry_id = 10")
    assert await first_flaw(sealed) == Flaw(Wrong.ALTERED, 11, 11, None)


async def test_only_the_checkpoint_notices_a_chain_whose_hashes_were_all_computed_anew(
    sealed: Parts, sealed_database: str
) -> None:
    async with tampering(sealed_database) as connection:
        await connection.execute("UPDATE ledger SET event = 'x' WHERE entry_id = 1")
        await rewrite(connection, "a")
    findings = await sealed.ledger.verify()
    assert findings.flaws == (Flaw(Wrong.CHECKPOINT, 1, 4, DAY_1),)
    assert findings.entries == 10


async def test_what_no_checkpoint_covers_yet_could_be_cut_off_unseen_and_verify_says_how_much(
    sealed: Parts, sealed_database: str
) -> None:
    async with tampering(sealed_database) as connection:
        await connection.execute("DELETE FROM ledger WHERE entry_id = 10")
    findings = await sealed.ledger.verify()
    assert (findings.flaws, findings.uncovered) == ((), 1)


@pytest.mark.parametrize(
    "change",
    [
        "root = sha256(root)",
        "previous_root = sha256(root)",
        "leaf_count = leaf_count + 1",
        "up_to_entry = 3",
        "signed_at = signed_at + interval '1 microsecond'",
        "day = day - 1",
        "signature = sha256(signature) || sha256(root)",
        "signature = 'short'",
        "public_key = sha256(public_key)",
        "public_key = 'short'",
    ],
)
async def test_a_changed_checkpoint_is_noticed(sealed: Parts, sealed_database: str, change: str) -> None:
    async with tampering(sealed_database) as connection:
        day = await connection.fetchval(f"UPDATE checkpoints SET {change} WHERE day = $1 RETURNING day", DAY_1)
        through = await connection.fetchval("SELECT up_to_entry FROM checkpoints WHERE day = $1", day)
    assert await first_flaw(sealed) == Flaw(Wrong.SIGNATURE, 1, through, day)
    assert "was not signed by this service" in findings_in_words(await sealed.ledger.verify())


async def test_a_rewritten_chain_under_checkpoints_signed_with_another_key_is_noticed(
    sealed: Parts, sealed_database: str
) -> None:
    forger = Signer(b"f" * 32)
    async with tampering(sealed_database) as connection:
        await connection.execute("UPDATE ledger SET event = 'x' WHERE entry_id = 1")
        await rewrite(connection, "a")
        tree = checkpoint_tree(BEGINNING)
        for number in (2, 3, 4):
            tree.add(await connection.fetchval("SELECT entry_hash FROM ledger WHERE entry_id = $1", number))
        forged = forger.sign(Seal(DAY_1, 4, BEGINNING, tree.root(), 3, NOW))
        await connection.execute(
            "UPDATE checkpoints SET root = $1, signature = $2, public_key = $3, signed_at = $4 WHERE day = $5",
            forged.seal.root,
            forged.signature,
            forged.public_key,
            NOW,
            DAY_1,
        )
    assert await first_flaw(sealed) == Flaw(Wrong.SIGNATURE, 1, 4, DAY_1)


async def test_a_removed_checkpoint_is_noticed_at_the_next(sealed: Parts, sealed_database: str) -> None:
    async with tampering(sealed_database) as connection:
        await connection.execute("DELETE FROM checkpoints WHERE day = $1", DAY_1)
    assert await first_flaw(sealed) == Flaw(Wrong.CHECKPOINT, 1, 8, DAY_2)


async def test_a_bad_entry_is_named_before_the_checkpoint_that_notices_it_too(
    sealed: Parts, sealed_database: str
) -> None:
    async with tampering(sealed_database) as connection:
        await connection.execute("DELETE FROM ledger WHERE entry_id = 2")
        await rewrite(connection, "a")
    findings = await sealed.ledger.verify()
    assert [flaw.wrong for flaw in findings.flaws] == [Wrong.PREDECESSOR, Wrong.CHECKPOINT]
    assert findings.flaws[0].entry_id == 8


@pytest.mark.parametrize("change", ["UPDATE checkpoints SET leaf_count = 0", "DELETE FROM checkpoints"])
async def test_checkpoints_can_be_neither_changed_nor_removed(sealed: Parts, change: str) -> None:
    async with sealed.database.transaction() as connection:
        for statement in (change, "TRUNCATE checkpoints"):
            with pytest.raises(asyncpg.RaiseError, match="append-only"):
                async with connection.transaction():
                    await connection.execute(statement)


# Checkpoints.


async def test_there_is_one_checkpoint_a_day_however_often_and_from_wherever_it_is_made(
    parts: Parts, database_url: str
) -> None:
    await append_all(parts, "ab-")
    other = Parts(make_settings(database_url), parts.clock)
    async with other.database:
        made = await asyncio.gather(*(each.ledger.checkpoint() for each in (parts, other) * 4))
    await append(parts, "a")
    made.append(await parts.ledger.checkpoint())
    assert len(set(made)) == 1
    assert (made[0].seal.up_to_entry, made[0].seal.leaf_count) == (3, 3)
    assert (await parts.ledger.verify()).flaws == ()


async def test_a_day_on_which_nothing_happened_has_a_checkpoint_too(parts: Parts, clock: HandClock) -> None:
    await append(parts, "a")
    for _ in range(3):
        await parts.ledger.checkpoint()
        clock.pass_time(days=1)
    findings = await parts.ledger.verify()
    assert (findings.flaws, findings.checkpoints, findings.uncovered) == ((), 3, 0)
    assert findings.latest
    assert findings.latest.leaf_count == 0


async def test_a_clock_that_is_set_back_makes_no_second_checkpoint(parts: Parts, clock: HandClock) -> None:
    made = await parts.ledger.checkpoint()
    clock.pass_time(days=-2)
    assert await parts.ledger.checkpoint() == made


async def test_a_checkpoint_waits_for_an_entry_that_has_its_number_but_is_not_stored_yet(
    parts: Parts, clock: HandClock, database_url: str
) -> None:
    slow = await asyncpg.connect(database_url)
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute("INSERT INTO ledger (at, subject, event, detail) VALUES (now(), 'slow', 'x', '{}')")
    await append(parts, "quick")
    checkpoint = asyncio.create_task(parts.ledger.checkpoint())
    async with asyncio.timeout(20):
        while not await slow.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            await asyncio.sleep(0.01)
    await transaction.commit()
    await slow.close()
    assert (await checkpoint).seal.leaf_count == 2
    clock.pass_time(days=1)
    await append(parts, "slow")
    await parts.ledger.checkpoint()
    assert (await parts.ledger.verify()).flaws == ()


# A database from before.


async def test_entries_from_before_there_were_chains_become_their_beginning(postgres_url: str, tmp_path: Path) -> None:
    name = "migrated_with_rows"
    owner = await asyncpg.connect(postgres_url.format(database="postgres"))
    await owner.execute(f"CREATE DATABASE {name}")
    url = postgres_url.format(database=name)
    connection = await asyncpg.connect(url)
    with as_file(files("consentflow.storage") / "migrations") as folder:
        shutil.copy(folder / "0001_registrations.sql", tmp_path)
        await pogo.apply(connection, tmp_path, schema_name="public")
        await connection.execute(
            """
            INSERT INTO ledger (at, subject, registration_id, event, detail)
            SELECT now() + n * interval '1.000001 s', CASE WHEN n % 4 > 0 THEN 's-' || n % 4 END, 'r-' || n, 'x',
                   '{"n": 1}'
            FROM generate_series(1, 200) AS n
            """
        )
        async with Database(url) as database:
            await database.migrate()
            clock = HandClock()
            parts = Parts(make_settings(url), clock)
            async with parts.database:
                await append(parts, "s-1")
                await append(parts, None)
                await parts.ledger.checkpoint()
                findings = await parts.ledger.verify()
                assert (findings.entries, findings.chains, findings.flaws) == (202, 4, ())
        await pogo.rollback(connection, folder, schema_name="public")
        await pogo.apply(connection, folder, schema_name="public")
    await connection.close()
    await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await owner.close()
