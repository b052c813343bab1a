"""What figures are measured on: one Postgres, one Temporal, one mail sink, and our processes as operators run them."""

import asyncio
import contextlib
import io
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from temporalio.client import Client

from benchmarks.http import Target
from consentflow.dev.postgres import postgres
from consentflow.dev.temporal import HOST, connect, dev_server, free_port
from consentflow.domain.clock import SystemClock
from consentflow.mail.samples import CONTROLLER
from consentflow.neighbours import migrate
from consentflow.operations.keys import Role
from consentflow.runtime import Parts
from consentflow.settings import FixedSettings

STARTUP_SECONDS = 60


@dataclass(frozen=True)
class Sink:
    """The mail sink."""

    port: int
    process: asyncio.subprocess.Process

    async def taken(self) -> int:
        """How many mails it has taken so far."""
        assert self.process.stdin  # noqa: S101 - it was asked for
        assert self.process.stdout  # noqa: S101
        self.process.stdin.write(b"\n")
        return int(await self.process.stdout.readline())


@dataclass(frozen=True)
class World:
    """The servers, and what is needed to use them."""

    postgres_url: str
    temporal_address: str
    temporal: Client
    sink: Sink
    log: Path
    """Where processes write what they have to say."""

    @staticmethod
    def log_in(folder: Path) -> Path:
        """Where that is for the servers on a folder."""
        return folder / "processes.log"

    @asynccontextmanager
    async def service(self, *, api: bool = True, worker: bool = True) -> AsyncIterator["Service"]:
        """Our processes on a fresh database and a task queue of their own."""
        name = f"bench_{secrets.token_hex(6)}"
        async with database(self.postgres_url, name) as url:
            port, queue = free_port(), name
            environment = _environment(url, self.temporal_address, queue, self.sink.port, port)
            parts = Parts(_settings(environment), SystemClock())
            async with AsyncExitStack() as stack:
                stack.push_async_callback(parts.database.close)
                with contextlib.redirect_stdout(io.StringIO()):  # which migrations were applied is no figure
                    await migrate(parts.database)
                keys = {role: await parts.keys.create(role, role.value) for role in Role}
                if api:
                    await stack.enter_async_context(process(["-m", "consentflow", "api"], environment, self.log))
                    await listens(port)
                working = None
                if worker:
                    starting = process(["-m", "consentflow", "worker"], environment, self.log)
                    working = (await stack.enter_async_context(starting)).pid
                yield Service(self, parts, queue, Target(HOST, port, keys[Role.ADMIN]), working)


@dataclass(frozen=True)
class Service:
    """Running processes of ours, and a look behind the door.

    Args:
        worker: The worker's process id, if there is one.
    """

    world: World
    parts: Parts
    queue: str
    http: Target
    worker: int | None = None

    async def fetch(self, query: str, *arguments: object) -> int:
        """One number from the database."""
        async with self.parts.database.transaction() as connection:
            value: int = await connection.fetchval(query, *arguments)
            return value

    async def until(self, query: str, wanted: int) -> None:
        """Waits until the query answers the number."""
        async with asyncio.timeout(600):
            while await self.fetch(query) != wanted:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Starts the servers on a folder."""
    async with (
        postgres(folder / "postgres") as url,
        dev_server(folder / "temporal.db", free_port()) as address,
        mail_sink() as sink,
    ):
        yield World(url, address, await connect(address), sink, World.log_in(folder))


@asynccontextmanager
async def mail_sink() -> AsyncIterator[Sink]:
    """A mail server in a process of its own."""
    sink = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.smtp_sink", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert sink.stdout  # noqa: S101 - it was asked for
        yield Sink(int(await sink.stdout.readline()), sink)
    finally:
        await _stop(sink)


@asynccontextmanager
async def database(server: str, name: str) -> AsyncIterator[str]:
    """An empty database on a running server."""
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        yield server.replace("/postgres?", f"/{name}?")
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@asynccontextmanager
async def process(
    arguments: list[str], environment: Mapping[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python process that is told to stop at the end."""
    with log.open("ab") as out:
        running = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env={**os.environ, **environment},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield running
    finally:
        await _stop(running)


async def listens(port: int) -> None:
    """Waits until something listens on the port."""
    async with asyncio.timeout(STARTUP_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


async def _stop(running: asyncio.subprocess.Process) -> None:
    if running.returncode is None:
        running.terminate()
        try:
            async with asyncio.timeout(40):
                await running.wait()
        except TimeoutError:
            running.kill()
            await running.wait()


def _environment(url: str, temporal: str, queue: str, smtp: int, port: int) -> dict[str, str]:
    controller = {
        f"CONSENTFLOW_CONTROLLER__{name.upper()}": getattr(CONTROLLER, name) for name in CONTROLLER.__dataclass_fields__
    }
    return controller | {
        "CONSENTFLOW_DATABASE_URL": url,
        "CONSENTFLOW_SECRET_KEY": "a-secret-for-benchmarks-that-is-long-enough",
        "CONSENTFLOW_PUBLIC_URL": f"http://{HOST}:{port}",
        "CONSENTFLOW_TEMPORAL__ADDRESS": temporal,
        "CONSENTFLOW_TEMPORAL__TASK_QUEUE": queue,
        "CONSENTFLOW_SMTP__HOST": HOST,
        "CONSENTFLOW_SMTP__PORT": str(smtp),
        "CONSENTFLOW_SMTP__TLS": "off",
        "CONSENTFLOW_MAIL__FROM": "privacy@musterwerk.example",
        "CONSENTFLOW_PORT": str(port),
        "CONSENTFLOW_LOG_FORMAT": "json",
        # One key calls as often as all callers together would: counted as ever, never refused.
        "CONSENTFLOW_LIMITS__PER_KEY": "1000000/second",
    }


def _settings(environment: Mapping[str, str]) -> FixedSettings:
    nested: dict[str, object] = {}
    for variable, value in environment.items():
        group, _, name = variable.removeprefix("CONSENTFLOW_").lower().partition("__")
        if name:
            inner = nested.setdefault(group, {})
            assert isinstance(inner, dict)  # noqa: S101 - made a line above
            inner[name] = value
        else:
            nested[group] = value
    return FixedSettings.model_validate(nested)
