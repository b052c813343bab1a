"""All parts in one process: embedded Postgres, Temporal and mail sink, API, pages, worker and relay."""

import fcntl
import json
import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from consentflow.api.app import create_app, serving
from consentflow.dev import clock as dev_clock
from consentflow.dev import mailbox
from consentflow.dev.clock import SteppedClock, TimeMachine
from consentflow.dev.postgres import postgres
from consentflow.dev.temporal import HOST, connect, dev_server, free_port, time_skipping_server
from consentflow.domain.clock import Clock, SystemClock
from consentflow.domain.errors import ConsentflowError
from consentflow.domain.letters import Language
from consentflow.mail import samples
from consentflow.neighbours import migrate, prepare_search_attributes
from consentflow.operations.keys import Role
from consentflow.operations.officers import OfficerRole
from consentflow.runtime import Parts
from consentflow.settings import FixedSettings
from consentflow.worker import working

CONTROLLER = asdict(samples.CONTROLLER)
"""The vendor that runs it: the one of the sample letters."""

OFFICER = "officer@musterwerk.example"
"""Who may enter the console of every development stack."""


class StackInUse(ConsentflowError):
    """Another stack runs on the folder, or something listens on the port."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A running development stack; what `dev.json` says, and its parts."""

    info: dict[str, Any]
    parts: Parts
    time_machine: TimeMachine | None


@asynccontextmanager
async def stack(folder: Path, port: int, *, time_skipping: bool = False) -> AsyncIterator[Stack]:
    """Runs everything on the data in `folder` (made if missing) and serves on loopback until the block ends.

    Args:
        port: TCP port of the API and the pages; 0 for any free one.

    Raises:
        StackInUse: The folder or the port is taken.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as running:
        running.enter_context(_held(folder))
        listener = running.enter_context(_listening(port))
        ready = folder / "dev.json"
        ready.unlink(missing_ok=True)
        running.callback(ready.unlink, missing_ok=True)

        clock: Clock = SteppedClock(folder / "clock.json") if time_skipping else SystemClock()
        database_url = await running.enter_async_context(postgres(folder / "postgres"))
        smtp_port = await running.enter_async_context(mailbox.mail_sink(folder / "mail"))
        ui_port = free_port()
        address = await running.enter_async_context(
            time_skipping_server() if time_skipping else dev_server(folder / "temporal.db", ui_port)
        )
        secrets_kept = _kept_secrets(folder / "secrets.json")
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        parts = Parts(_settings(database_url, smtp_port, address, url, secrets_kept["secret_key"]), clock)
        await migrate(parts.database)
        keys = await _kept_keys(parts, folder / "secrets.json", secrets_kept)
        if not await parts.officers.find_all():
            await parts.officers.add(OFFICER, OfficerRole.ADMIN, Language.ENGLISH)

        client = await connect(address)
        machine = None
        if isinstance(clock, SteppedClock):
            machine = TimeMachine(clock, client, parts.agenda)
            await machine.catch_up()
            await parts.agenda.announce_open()  # this engine forgets when it ends
        searchable = await prepare_search_attributes(client)
        await running.enter_async_context(working(parts, client, searchable=searchable))

        app = create_app(parts)
        app.include_router(mailbox.router)
        app.state.maildir = folder / "mail"
        if machine:
            app.include_router(dev_clock.router)
            app.state.time_machine = machine
        await running.enter_async_context(serving(app, listener))

        info = {
            "api": url,
            "keys": keys,
            "maildir": str(folder / "mail"),
            "postgres": database_url,
            "temporal": address,
            "temporal_ui": "" if time_skipping else f"http://{HOST}:{ui_port}",
        }
        _write(ready, info)
        yield Stack(info, parts, machine)
        ready.unlink(missing_ok=True)


def _settings(database_url: str, smtp_port: int, temporal: str, url: str, secret_key: str) -> FixedSettings:
    return FixedSettings.model_validate(
        {
            "database_url": database_url,
            "secret_key": secret_key,
            "public_url": url,
            "temporal": {"address": temporal},
            "smtp": {"host": HOST, "port": smtp_port, "tls": "off"},
            "limits": {"per_key": "", "forms": ""},  # everybody comes from one address
            "mail": {"from": "privacy@musterwerk.example", "from_name": CONTROLLER["name"]},
            "controller": CONTROLLER,
        }
    )


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackInUse(f"another stack is running on {folder}") from None
        yield


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((HOST, port), backlog=2048)
    except OSError:
        raise StackInUse(f"port {port} is taken; choose another with --port") from None
    with listener:
        yield listener


def _kept_secrets(file: Path) -> dict[str, Any]:
    if file.exists():
        kept: dict[str, Any] = json.loads(file.read_text())
        return kept
    fresh: dict[str, Any] = {"secret_key": secrets.token_urlsafe(32), "keys": {}}
    _write(file, fresh)
    return fresh


async def _kept_keys(parts: Parts, file: Path, kept: dict[str, Any]) -> dict[str, str]:
    for role in Role:
        if role.value not in kept["keys"]:
            kept["keys"][role.value] = await parts.keys.create(role, f"dev {role.value} {secrets.token_hex(4)}")
            _write(file, kept)
    keys: dict[str, str] = kept["keys"]
    return keys


def _write(file: Path, content: dict[str, Any]) -> None:
    """Replaces the file in one step, readable by its owner only: it holds keys."""
    fresh = file.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(content, out, indent=2)
    fresh.replace(file)
