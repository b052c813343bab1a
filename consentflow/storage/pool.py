"""The way to Postgres: one pool, one kind of transaction, foreign errors translated once."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from typing import Any, Self, TypeAlias, TypeVar

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pogo_core.util import migrate as pogo

from consentflow.domain.errors import StorageUnavailable

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]"
"""A connection inside a transaction."""

_MIGRATION_LOCK = 0x636F6E73656E74  # "consent": one migration at a time, whoever starts it

Row = TypeVar("Row")
Write: TypeAlias = Callable[[Connection, Sequence[Row]], Awaitable[None]]
"""Writes rows of one kind, in their order, by one statement."""


@dataclass(slots=True)
class _UnderWay:
    """A transaction that has not ended.

    Args:
        rows: By what writes them, rows that nobody reads before the end.
        once_committed: To be called then.
    """

    connection: Connection
    rows: dict[Write[Any], list[Any]] = field(default_factory=dict)
    once_committed: list[Callable[[], object]] = field(default_factory=list)

    async def write_rows(self) -> None:
        rows, self.rows = self.rows, {}
        for write, kept in rows.items():
            await write(self.connection, kept)


_under_way: ContextVar[_UnderWay | None] = ContextVar("under_way", default=None)


class Database:
    """A pool of connections to one database.

    Args:
        url: ``postgresql://…``; may name a Unix socket.
        size: The most connections it keeps.
        wait_seconds: How long a caller waits for a free connection.
    """

    def __init__(self, url: str, *, size: int = 10, wait_seconds: float = 10) -> None:
        self._url = url
        self._size = size
        self._wait = wait_seconds
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes every connection; the next use opens the pool again."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction on a connection of the pool: commits at the end, rolls back on any exception.

        Raises:
            StorageUnavailable: Postgres cannot be reached, or went away; nothing was stored. When it went away
                during the commit itself the outcome is open, as with any database; callers repeat by id.
        """
        with _translated():
            pool = await self._opened()
            outer = _under_way.get()
            async with pool.acquire(timeout=self._wait) as connection, connection.transaction():
                this = _UnderWay(connection)
                _under_way.set(this)
                try:
                    yield connection
                    await this.write_rows()
                finally:
                    _under_way.set(outer)
            for call in this.once_committed:
                call()

    async def listen(self, channel: str, heard: asyncio.Event) -> "Listener":
        """Sets `heard` whenever somebody notifies `channel`, until the listener is closed."""
        with _translated():
            connection = await asyncpg.connect(self._url, timeout=self._wait)
            try:
                await connection.add_listener(channel, lambda *_: heard.set())
            except BaseException:
                connection.terminate()
                raise
            connection.add_termination_listener(lambda *_: heard.set())
        return Listener(connection)

    async def migrate(self) -> None:
        """Brings the database to the current schema; safe to run twice, and at once from two places."""
        with _translated():
            connection = await asyncpg.connect(self._url, timeout=self._wait)
            try:
                await connection.execute("SELECT pg_advisory_lock($1)", _MIGRATION_LOCK)
                with as_file(files("consentflow.storage") / "migrations") as folder:
                    await pogo.apply(connection, folder, schema_name="public")
            finally:
                await connection.close()

    async def _opened(self) -> "asyncpg.Pool[asyncpg.Record]":
        async with self._opening:
            if self._pool is None:
                self._pool = await asyncpg.create_pool(
                    self._url,
                    min_size=1,
                    max_size=self._size,
                    init=_set_up,
                    reset=_nothing_outlives_a_transaction,
                    timeout=self._wait,
                    command_timeout=60,
                )
            return self._pool


class Listener:
    """A connection that listens."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    @property
    def alive(self) -> bool:
        """Whether it still hears."""
        return not self._connection.is_closed()

    async def close(self) -> None:
        """Stops listening."""
        if self.alive:
            await self._connection.close()


def after_commit(call: Callable[[], object]) -> None:
    """Calls once the transaction that this task is in has been committed; never, if it is rolled back or there is none.

    What is called must neither fail nor take time.
    """
    this = _under_way.get()
    if this is not None:
        this.once_committed.append(call)


async def write_at_the_end(connection: Connection, write: Write[Row], rows: Sequence[Row]) -> None:
    """Keeps rows until the end of the transaction, when all that were kept for `write` go by one statement.

    For what is only ever added and hardly read again in the same transaction; whoever reads it calls `write_now` first.
    Outside of `Database.transaction` the rows are written at once.
    """
    this = _under_way.get()
    if this is not None and this.connection is connection:
        this.rows.setdefault(write, []).extend(rows)
    else:
        await write(connection, rows)


def take_along(connection: Connection, write: Write[Row]) -> Sequence[Row]:
    """Takes back what was kept for `write`: the caller writes it by a statement of its own."""
    this = _under_way.get()
    return this.rows.pop(write, []) if this is not None and this.connection is connection else []


async def write_now(connection: Connection) -> None:
    """Writes what was kept for the end of the transaction, so that it can be read."""
    this = _under_way.get()
    if this is not None and this.connection is connection:
        await this.write_rows()


async def lock_subject(connection: Connection, subject: str) -> None:
    """Makes this transaction the only one that weighs or changes what concerns the subject."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", subject)


async def lock_subjects(connection: Connection, subjects: Collection[str]) -> None:
    """Locks several subjects as `lock_subject` does, always in one order, so that nobody waits for each other."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(subject, 0)) FROM unnest($1::text[]) AS subject",
        sorted(subjects),
    )


async def lock_company(connection: Connection, domain: str) -> None:
    """Makes this transaction the only one that gives the company an owner. Taken after the subject's lock."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))", domain)


async def lock_subjects_and_companies(
    connection: Connection, subjects: Collection[str], domains: Collection[str]
) -> None:
    """Locks as `lock_subjects`, and then as `lock_company` does, always in one order."""
    await connection.execute(
        """
        SELECT pg_advisory_xact_lock(hashtextextended(name, kind))
        FROM unnest($1::text[], $2::bigint[]) AS held (name, kind)
        """,
        [*sorted(subjects), *sorted(domains)],
        [0] * len(subjects) + [1] * len(domains),
    )


async def lock_partners(connection: Connection, partner_ids: Collection[str]) -> None:
    """Makes this transaction the only one that adds to what these partners are told. Taken after all other locks."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(partner_id, 3)) FROM unnest($1::text[]) AS partner_id",
        sorted(partner_ids),
    )


async def _set_up(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _nothing_outlives_a_transaction(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Spares a round trip whenever a connection goes back: what we set or lock ends with its transaction.

    The pool itself ends a transaction that was cut short.
    """


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
        raise StorageUnavailable(type(error).__name__) from error
    except (
        asyncpg.InternalClientError,  # what asyncpg says of a connection that was cut in mid-sentence
        asyncpg.InvalidCatalogNameError,  # the database is not there,
        asyncpg.UndefinedTableError,  # or nobody has migrated it yet
        asyncpg.CannotConnectNowError,
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.TooManyConnectionsError,
        asyncpg.DiskFullError,
        asyncpg.OutOfMemoryError,  # of the shared kind: too many locks are held at present
        asyncpg.DeadlockDetectedError,
        asyncpg.QueryCanceledError,
        asyncpg.ReadOnlySQLTransactionError,
    ) as error:
        raise StorageUnavailable(type(error).__name__) from error
