"""Real processes that a test starts, kills and starts again. Only what was started here is ever ended."""

import asyncio
import os
import signal
import subprocess
import sysconfig
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil  # type: ignore[import-untyped] # ships no type information

from consentflow.dev import postgres as embedded
from consentflow.dev.temporal import HOST

DEADLINE_SECONDS = 120
"""How long a condition may take to come true before a test fails: generous, since nothing is measured by it."""

T = TypeVar("T")


async def until(what: str, answer: Callable[[], Awaitable[T | None]], seconds: float = DEADLINE_SECONDS) -> T:
    """Asks again until the answer is true, and returns it."""
    found: T | None = None
    try:
        async with asyncio.timeout(seconds):
            while not (found := await answer()):
                await asyncio.sleep(0.05)
            return found
    except TimeoutError:
        raise AssertionError(f"waited in vain until {what}") from None


class Process:
    """A command that may run several times, one run at a time.

    Args:
        name: What the kill's record calls it.
        port: Where it listens on loopback once it is up; None for one that does not.
        user: Whom it runs as; None for whoever runs the test.
    """

    def __init__(
        self,
        name: str,
        command: list[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        port: int | None = None,
        user: str | None = None,
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self.command = command
        self._folder = folder
        self._environment = environment
        self.port = port
        self.user = user
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        """Whether it runs; one that ended by itself does not."""
        return self._running is not None and self._running.poll() is None

    @property
    def listens(self) -> bool:
        """Whether it is a server."""
        return self.port is not None

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    def start(self) -> None:
        """Starts it, without waiting for anything."""
        assert not self.runs, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                self.command,
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
            )

    async def up(self) -> None:
        """Waits until it listens."""
        await until(f"{self.name} listens", self._listens)

    def kill(self) -> None:
        """``kill -9``, its children included."""
        if self._running is None:
            return
        children = []
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self._running.pid).children(recursive=True)
        self._running.kill()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self._running.wait()
        psutil.wait_procs(children, timeout=10)

    def tell_to_stop(self) -> None:
        """SIGTERM."""
        assert self._running is not None
        self._running.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Waits for its end; its exit code."""
        assert self._running is not None
        return await asyncio.to_thread(self._running.wait, DEADLINE_SECONDS)

    async def stop(self) -> int:
        """Ends it as an operator does; its exit code."""
        self.tell_to_stop()
        return await self.ended()

    def said(self) -> str:
        """All that it has printed, in all its runs."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def says(self, words: str, after: int = 0) -> None:
        """Waits until it has printed these words, after that many characters."""

        async def said() -> bool:
            assert self.runs, f"{self.name} ended by itself: {self.said()[after:]}"
            return words in self.said()[after:]

        await until(f"{self.name} says {words!r}", said)

    async def _listens(self) -> bool:
        assert self.port is not None
        assert self.runs, f"{self.name} ended by itself: {self.said()}"
        try:
            _, writer = await asyncio.open_connection(HOST, self.port)
        except OSError:
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True


class Postgres(Process):
    """The embedded Postgres as a child of ours, so that it can be killed and started on the same data."""

    def __init__(self, folder: Path) -> None:
        data = folder / "postgres"
        server = embedded.get_server(data, start=False)  # type: ignore[attr-defined] # the module knows how to import it quietly
        server.ensure_pgdata_inited()
        command = [str(server.bin_path / "postgres"), "-D", str(data), "-k", str(data), "-h", ""]
        super().__init__("postgres", command, folder, os.environ, user=server.system_user)
        self.url = f"postgresql://postgres:@/postgres?host={data}"
        self.data = data
        self._socket = data / ".s.PGSQL.5432"

    @property
    def listens(self) -> bool:
        """It does, on a socket."""
        return True

    def tell_to_stop(self) -> None:
        """SIGINT, which does not wait for clients, as whatever supervises it does."""
        assert self._running is not None
        self._running.send_signal(signal.SIGINT)

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError:
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True


def temporal(folder: Path, port: int) -> Process:
    """The dev server on a file, so that it remembers."""
    executable = str(Path(sysconfig.get_path("scripts")) / "temporal")
    command = [
        *(executable, "server", "start-dev", "--ip", HOST, "--port", str(port), "--headless"),
        *("--db-filename", str(folder / "temporal.db"), "--log-level", "error"),
        *("--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"),
    ]
    return Process("temporal", command, folder, os.environ, port=port)
