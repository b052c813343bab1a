"""The fault of our own set-up that the mail server complains of, while it lasts."""

from dataclasses import dataclass
from datetime import datetime

from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class MailFault:
    """What the server refuses, and since when (UTC).

    Args:
        fault: The step, reply code and status, such as ``auth 535 5.7.8``.
    """

    fault: str
    since: datetime
    last_seen: datetime


async def note(connection: Connection, fault: str, at: datetime) -> None:
    """The server has refused our set-up, for the first time or still."""
    await connection.execute(
        """
        INSERT INTO mail_fault (fault, since, last_seen) VALUES ($1, $2, $2)
        ON CONFLICT (only_row) DO UPDATE SET fault = excluded.fault, last_seen = excluded.last_seen
        """,
        fault,
        at,
    )


async def find(connection: Connection) -> MailFault | None:
    """The fault at present."""
    row = await connection.fetchrow("SELECT fault, since, last_seen FROM mail_fault")
    return MailFault(**row) if row else None


async def clear(connection: Connection) -> None:
    """A mail was taken: all is well."""
    await connection.execute("DELETE FROM mail_fault")
