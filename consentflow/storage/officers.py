"""Privacy officers: who may enter the console. Their addresses belong to that role alone."""

from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.domain.letters import Language
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Officer:
    """Somebody who may enter the console.

    Args:
        role: ``officer`` or ``admin``.
        language: In which it is written to.
    """

    subject: Subject
    email: str
    role: str
    language: Language
    added_at: datetime


_SELECT = "SELECT subject, email, role, language, added_at FROM officers"


async def keep(connection: Connection, officer: Officer) -> None:
    """Adds an officer, or changes one who is there."""
    await connection.execute(
        """
        INSERT INTO officers (subject, email, role, language, added_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (subject) DO UPDATE SET
            email = excluded.email, role = excluded.role, language = excluded.language
        """,
        officer.subject,
        officer.email,
        officer.role,
        officer.language,
        officer.added_at,
    )


async def remove(connection: Connection, subject: Subject) -> bool:
    """Removes an officer; False when there was none."""
    done: str = await connection.execute("DELETE FROM officers WHERE subject = $1", subject)
    return done == "DELETE 1"


async def find(connection: Connection, subject: Subject) -> Officer | None:
    """The officer behind a pseudonym."""
    row = await connection.fetchrow(f"{_SELECT} WHERE subject = $1", subject)
    return Officer(**{**row, "language": Language(row["language"])}) if row else None


async def find_all(connection: Connection) -> list[Officer]:
    """Every officer, by address."""
    rows = await connection.fetch(f"{_SELECT} ORDER BY email")
    return [Officer(**{**row, "language": Language(row["language"])}) for row in rows]
