"""A disk of a few megabytes, so that it can really be full: a file system in a mount namespace of its own.

It takes root, or a kernel that lets everybody have namespaces. It is gone with the process that holds it.
"""

import asyncio
import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.faults.processes import Postgres, Process, until

MEGABYTE = 1 << 20
_FILLED_BY = "ballast"
_LITTLE_LOG = ["-c", "max_wal_size=32MB", "-c", "min_wal_size=32MB"]


def is_possible() -> bool:
    """Whether this machine lets us have such a disk."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return False
    tried = subprocess.run([*_unshare(), "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return tried.returncode == 0


class SmallDisk:
    """What Postgres writes below `folder` ends up there; everybody else sees an empty folder.

    Args:
        size: In bytes.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        folder.mkdir()
        script = f'mount -t tmpfs -o size={size},mode=0755 none "$0" && touch "$0/.mounted" && exec sleep infinity'
        command = [*_unshare(), "sh", "-c", script, str(folder)]
        self._holder = Process("disk", command, folder.parent, os.environ)

    async def take(self, postgres: Postgres, *, its_log_too: bool) -> None:
        """Makes the disk and moves a Postgres that does not run onto it, its write-ahead log only if told."""
        if not its_log_too:
            log = postgres.data / "pg_wal"
            elsewhere = log.rename(postgres.data.with_name("pg_wal"))
            log.symlink_to(elsewhere)
        await self._mount(postgres.data, postgres.user)
        plain = [each if each != str(postgres.data) else str(self.folder) for each in postgres.command[:3]]
        postgres.command = self._command_on_it([*plain, *postgres.command[3:], *_LITTLE_LOG], postgres.user)
        postgres.user = None

    async def _mount(self, content: Path, user: str | None) -> None:
        self._holder.start()

        async def mounted() -> bool:
            assert self._holder.runs, self._holder.said()
            return (self._seen / ".mounted").exists()

        await until("the disk is mounted", mounted)
        await asyncio.to_thread(subprocess.run, ["cp", "-a", f"{content}/.", str(self._seen)], check=True)
        if user is not None:
            shutil.chown(self._seen, user)
        self._seen.chmod(0o700)

    def _command_on_it(self, command: list[str], user: str | None) -> list[str]:
        enter = ["nsenter", "--target", str(self._holder.pid), "--mount"]
        if os.geteuid() != 0:
            return [*enter, "--user", "--preserve-credentials", *command]
        if user is None:
            return [*enter, *command]
        return [*enter, "setpriv", "--reuid", user, "--regid", user, "--clear-groups", *command]

    def fill(self, leave: int = 0) -> None:
        """Takes all the room there is, but for so many bytes."""
        with suppress(OSError), (self._seen / _FILLED_BY).open("ab", buffering=0) as ballast:
            while self.room > leave:
                ballast.write(b"\0" * min(MEGABYTE, self.room - leave))

    def make_room(self) -> None:
        """Gives back what was taken."""
        (self._seen / _FILLED_BY).unlink(missing_ok=True)

    @property
    def room(self) -> int:
        """How many bytes are free."""
        return shutil.disk_usage(self._seen).free

    def unmount(self) -> None:
        """Ends it, with all that is on it."""
        self._holder.kill()

    @property
    def _seen(self) -> Path:
        """The disk as those see it who are elsewhere."""
        return Path(f"/proc/{self._holder.pid}/root{self.folder}")


def _unshare() -> list[str]:
    ours = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    return ["unshare", *ours, "--mount"]
