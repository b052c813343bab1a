"""Embedded Temporal servers: the dev server with its web UI, and the engine that can skip time."""

import asyncio
import socket
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client

from consentflow.calls import SEARCH_ATTRIBUTES
from consentflow.neighbours import connect_temporal
from consentflow.settings import TemporalSettings

HOST = "127.0.0.1"
_STARTUP_SECONDS = 60
_STOP_SECONDS = 10


def free_port() -> int:
    """A TCP port on loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def dev_server(database: Path, ui_port: int) -> AsyncIterator[str]:
    """Runs the dev server on a SQLite file; yields its address. For development: production is a cluster."""
    port = free_port()
    types = {"str": "Keyword", "datetime": "Datetime"}
    attributes = [
        part
        for key in SEARCH_ATTRIBUTES
        for part in ("--search-attribute", f"{key.name}={types[key.value_type.__name__]}")
    ]
    command = [
        *("temporal", "server", "start-dev", "--ip", HOST, "--port", str(port), "--ui-port", str(ui_port)),
        *("--db-filename", str(database), "--log-level", "error"),
        *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
        *attributes,
    ]
    async with _running(command, port):
        yield f"{HOST}:{port}"


@asynccontextmanager
async def time_skipping_server() -> AsyncIterator[str]:
    """Runs the test server, whose clock can be moved; it keeps everything in memory. Yields its address."""
    port = free_port()
    async with _running(["temporal-test-server", str(port)], port):
        yield f"{HOST}:{port}"


async def connect(address: str) -> Client:
    """A client of an embedded server that is up or coming up."""
    async with asyncio.timeout(_STARTUP_SECONDS):
        return await connect_temporal(TemporalSettings(address=address))


@asynccontextmanager
async def _running(command: list[str], port: int) -> AsyncIterator[None]:
    """Runs a command of this environment until the block ends, in a session of its own: we stop it, no signal does."""
    executable = str(Path(sysconfig.get_path("scripts")) / command[0])
    process = await asyncio.create_subprocess_exec(
        executable,
        *command[1:],
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await _listens(process, port)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _listens(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(_STARTUP_SECONDS):
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"the embedded Temporal server ended with exit code {process.returncode}")
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                await writer.wait_closed()
                return
