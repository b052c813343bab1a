"""A service that journeys are gone on, and what it held before."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from consentflow.dev.clock import SteppedClock
from tests.workflow.service import Mail, Service, until

Rows: TypeAlias = dict[str, int]


@dataclass
class Watch:
    """A service on servers of its own kind, and what it held when the journey began."""

    service: Service
    clock: SteppedClock
    rows: Rows = field(default_factory=dict)
    mails: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)

    async def begins(self) -> None:
        """What is there now is not of this journey."""
        await self.service.settles()
        self.rows = await self.counted()
        self.mails = set(await self.mail_ids())
        self.files = {file.name for file in self.service.maildir.rglob("*") if file.is_file()}

    async def counted(self) -> Rows:
        """The rows of every table."""
        names = await self.service.fetch(
            "SELECT array_agg(relname::text) FROM pg_class WHERE relnamespace ="
            " 'public'::regnamespace AND relkind = 'r'"
        )
        return {name: await self.service.fetch(f"SELECT count(*) FROM {name}") for name in sorted(names)}  # noqa: S608

    async def mail_ids(self) -> list[str]:
        """Every mail on record."""
        return await self.service.fetch("SELECT coalesce(array_agg(mail_id::text), '{}') FROM mails") or []

    def mailed_bytes(self) -> list[int]:
        """How large the mails are that arrived since the beginning."""
        arrived = [file for file in self.service.maildir.rglob("*") if file.is_file() and file.name not in self.files]
        return [file.stat().st_size for file in arrived]

    async def mail_to(self, address: str) -> Mail:
        """The mail that arrives there."""

        async def found() -> list[Mail]:
            return [mail for mail in self.service.mails() if mail.to == address]

        return (await until("the mail arrives", found))[-1]


Journey: TypeAlias = Callable[[Watch], Awaitable[list[str]]]


def title(journey: Journey) -> str:
    """What people call it."""
    return (journey.__doc__ or "").splitlines()[0].rstrip(".")


def address_of_somebody() -> str:
    """One that nobody has used."""
    return f"lead-{secrets.token_hex(5)}@company.example"
