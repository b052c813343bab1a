"""The service as an operator runs it, every part a process of its own that can be killed."""

import asyncio
import email.policy
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import asyncpg
import httpx
from temporalio.client import Client

from consentflow.dev.temporal import HOST, connect, free_port
from consentflow.domain.clock import SystemClock
from consentflow.neighbours import migrate
from consentflow.operations.keys import Role
from consentflow.runtime import Parts
from tests.conftest import environment, make_settings
from tests.faults.disk import SmallDisk
from tests.faults.processes import Postgres, Process, temporal, until

Json = dict[str, Any]
Manner = Literal["normal", "busy", "greylisting", "hanging", "hanging_after", "dropping", "flaky", "slow", "full"]

SMTP_TIMEOUT_SECONDS = 3
_CALLER_PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Arrived:
    """A mail as the mail server has it."""

    to: str
    content: bytes

    @cached_property
    def message_id(self) -> str:
        return str(BytesParser(policy=email.policy.default).parsebytes(self.content, headersonly=True)["Message-ID"])

    @cached_property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.content).digest()

    def token(self, purpose: str) -> str | None:
        """The token of the link for that purpose, if there is one."""
        message = BytesParser(policy=email.policy.default).parsebytes(self.content)
        part = message.get_body(("plain",))
        found = re.search(rf"/{purpose}/([\w-]+)", str(part.get_content()) if part else "")
        return found[1] if found else None


@dataclass
class World:
    """All processes, and what a caller, a reader of mail and an operator can do with them."""

    folder: Path
    postgres: Postgres
    temporal: Process
    post: Process
    api: Process
    worker: Process
    settings: Mapping[str, str]
    api_port: int
    queue: str
    key: str = ""
    retries: int = 0
    extra: list[Process] = field(default_factory=list)

    @property
    def processes(self) -> tuple[Process, ...]:
        return (self.postgres, self.temporal, self.post, self.api, self.worker)

    @property
    def ours(self) -> tuple[Process, ...]:
        """Those that run our code, twins included."""
        return (self.api, self.worker, *self.extra)

    def another(self, what: Literal["api", "worker"]) -> Process:
        """One more process of a kind, on a port of its own; it is ended with the world."""
        port = free_port() if what == "api" else None
        settings = {**self.settings, "CONSENTFLOW_PORT": str(port or 0)}
        more = _ours(f"{what}-{len(self.extra) + 2}", what, self.folder, settings, port)
        self.extra.append(more)
        return more

    def behave(self, manner: Manner) -> None:
        """Tells the mail server how to treat mail from now on."""
        fresh = self.folder / "manner.new"
        fresh.write_text(manner)
        fresh.replace(self.folder / "manner")

    def arrived(self, *addresses: str) -> list[Arrived]:
        """The mails that the mail server has, repeats included; those to some addresses, or all."""
        file = self.folder / "mails"
        lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
        mails = [json.loads(line) for line in lines]
        return [
            Arrived(mail["to"], mail["content"].encode("latin-1"))
            for mail in mails
            if not addresses or mail["to"] in addresses
        ]

    @asynccontextmanager
    async def caller(self, port: int | None = None) -> AsyncIterator[httpx.AsyncClient]:
        """Whoever calls the API."""
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"http://{HOST}:{port or self.api_port}"
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=_CALLER_PATIENCE_SECONDS) as client:
            yield client

    async def insist(self, client: httpx.AsyncClient, method: str, path: str, body: Json | None = None) -> Json:
        """Repeats one request until it is answered with success, as careful callers do; 503 is no answer."""
        while True:
            try:
                answer = await client.request(method, path, json=body)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                assert answer.is_success, f"{method} {path.split('/')[1]}: {answer.status_code} {answer.text}"
                is_json = answer.headers.get("content-type", "").startswith("application/json")
                return dict(answer.json()) if is_json else {}
            self.retries += 1
            await asyncio.sleep(0.1)

    async def register(self, client: httpx.AsyncClient, registration_id: str, **more: object) -> Json:
        """Registers a lead of that id for a company of its own."""
        lead = lead_of(registration_id) | more
        return await self.insist(client, "POST", "/v1/registrations", lead)

    async def register_all(self, client: httpx.AsyncClient, leads: Sequence[Json]) -> None:
        """Registers leads one a line; hands in the same lines again until each has been taken."""
        while not await self._register_all_once(client, leads):
            self.retries += 1
            await asyncio.sleep(0.1)

    async def _register_all_once(self, client: httpx.AsyncClient, leads: Sequence[Json]) -> bool:
        async def lines() -> AsyncIterator[bytes]:
            for lead in leads:
                yield json.dumps(lead).encode() + b"\n"
                await asyncio.sleep(0.02)  # so that it can break off in the middle

        try:
            headers = {"Content-Type": "application/x-ndjson"}
            answer = await client.post("/v1/registrations:batch", content=lines(), headers=headers)
        except httpx.TransportError:
            return False
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return False
        assert answer.status_code == httpx.codes.OK, answer.text
        results = [json.loads(line) for line in answer.text.splitlines()]
        statuses = {result["status"] for result in results}
        assert statuses <= {httpx.codes.OK, httpx.codes.ACCEPTED, httpx.codes.SERVICE_UNAVAILABLE}, statuses
        told = [result.get("registration_id") for result in results]
        assert told == [lead["registration_id"] for lead in leads]
        return httpx.codes.SERVICE_UNAVAILABLE not in statuses

    async def tell(self, client: httpx.AsyncClient, event_id: str, kind: str, **data: str) -> Json:
        """Hands in an event, under an id that stays the same when it is repeated."""
        event = {"specversion": "1.0", "id": event_id, "source": "/site", "type": kind, "data": data}
        return await self.insist(client, "POST", "/v1/events", event)

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Rows of the database, once it takes connections: it may have been started a moment ago."""
        connection = await until("postgres takes connections", self._connected)
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record] | None":
        try:
            return await asyncpg.connect(self.postgres.url)
        except (OSError, asyncpg.CannotConnectNowError):
            return None

    async def states(self, *registration_ids: str) -> dict[str, str]:
        """The state of each registration that exists."""
        rows = await self.fetch(
            "SELECT registration_id, state FROM registrations WHERE registration_id = ANY($1)", list(registration_ids)
        )
        return {row["registration_id"]: row["state"] for row in rows}

    async def settles(self, *registration_ids: str, state: str) -> None:
        """Waits until all of them are in the state."""

        async def settled() -> bool:
            found = await self.states(*registration_ids)
            return [*found.values()] == [state] * len(registration_ids)

        await until(f"{len(registration_ids)} registrations are {state}", settled)

    async def outbox_is_empty(self) -> bool:
        [row] = await self.fetch("SELECT count(*) AS waiting FROM outbox")
        return bool(row["waiting"] == 0)

    async def client(self) -> Client:
        """A client of Temporal."""
        return await connect(f"{HOST}:{self.settings['CONSENTFLOW_TEMPORAL__ADDRESS'].rpartition(':')[2]}")

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Runs a command of consentflow to its end: exit code and output."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "consentflow", *arguments),
            cwd=self.folder,
            env=self.settings,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()


def lead_of(registration_id: str) -> Json:
    """A lead of a company that nobody else registers."""
    domain = f"firma-{registration_id}.example"
    return {
        "registration_id": registration_id,
        "partner_id": f"partner-{registration_id}",
        "contact": {"email": f"lea@{domain}", "given_name": "Lea"},
        "company": {"domain": domain},
    }


def new_id() -> str:
    """An id that no other test uses."""
    return f"r{secrets.token_hex(6)}"


def long_ago() -> str:
    """When a lead was registered whose notice is due at once."""
    return datetime(2024, 6, 1, tzinfo=UTC).isoformat()


@asynccontextmanager
async def running(
    folder: Path,
    disk: SmallDisk | None = None,
    *,
    log_on_disk: bool = False,
    more_settings: Mapping[str, str] | None = None,
) -> AsyncIterator[World]:
    """Starts every process on a folder, and ends with the block whatever of it still runs.

    Args:
        disk: Where Postgres keeps its data instead.
        log_on_disk: Whether its write-ahead log is there too.
    """
    world = await asyncio.to_thread(_built, folder, more_settings or {})
    try:
        if disk is not None:
            await disk.take(world.postgres, its_log_too=log_on_disk)
        world.behave("normal")
        for process in (world.postgres, world.temporal, world.post):
            process.start()
        for process in (world.postgres, world.temporal, world.post):
            await process.up()
        parts = Parts(make_settings(world.postgres.url), SystemClock())
        async with parts.database:
            await migrate(parts.database)
            world.key = await parts.keys.create(Role.ADMIN, "faults")
        world.api.start()
        world.worker.start()
        await world.api.up()
        await world.worker.says('"working"')
        yield world
    finally:
        for process in (*world.extra, *reversed(world.processes)):
            process.kill()
        if disk is not None:
            disk.unmount()


def _built(folder: Path, more_settings: Mapping[str, str]) -> World:
    postgres = Postgres(folder)
    temporal_port, smtp_port, api_port = free_port(), free_port(), free_port()
    queue = "faults"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONSENTFLOW_")}
    ours = {
        "TEMPORAL__ADDRESS": f"{HOST}:{temporal_port}",
        "TEMPORAL__TASK_QUEUE": queue,
        "SMTP__HOST": HOST,
        "SMTP__PORT": str(smtp_port),
        "SMTP__TLS": "off",
        "SMTP__TIMEOUT_SECONDS": str(SMTP_TIMEOUT_SECONDS),
        "NOTIFICATIONS__IMMEDIATE_WINDOW_MINUTES": "1",
        "PORT": str(api_port),
        "LOG_FORMAT": "json",
    }
    settings = inherited | environment(postgres.url) | {f"CONSENTFLOW_{name}": value for name, value in ours.items()}
    settings |= more_settings
    post = [sys.executable, str(Path(__file__).with_name("post.py")), str(smtp_port), str(folder)]
    return World(
        folder=folder,
        postgres=postgres,
        temporal=temporal(folder, temporal_port),
        post=Process("post", post, folder, os.environ, port=smtp_port),
        api=_ours("api", "api", folder, settings, api_port),
        worker=_ours("worker", "worker", folder, settings, None),
        settings=settings,
        api_port=api_port,
        queue=queue,
    )


def _ours(name: str, command: str, folder: Path, settings: Mapping[str, str], port: int | None) -> Process:
    return Process(name, [sys.executable, "-m", "consentflow", command], folder, settings, port=port)
