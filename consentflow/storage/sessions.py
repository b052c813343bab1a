"""Sessions of people who are signed in; only hashes of their keys are kept."""

from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.domain.letters import Language
from consentflow.domain.sign_in import Door
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as stored; whether it still counts is for the reader to say.

    Args:
        language: In which its owner signed in.
        last_used_at: UTC; may lag behind by a minute.
        expires_at: When it ends at the latest, UTC.
    """

    door: Door
    subject: Subject
    language: Language
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


async def keep(connection: Connection, session_sha256: bytes, session: StoredSession) -> None:
    """Keeps a new session."""
    await connection.execute(
        """
        INSERT INTO sessions (session_sha256, door, subject, language, created_at, last_used_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        """,
        session_sha256,
        session.door,
        session.subject,
        session.language,
        session.created_at,
        session.last_used_at,
        session.expires_at,
    )


async def find(connection: Connection, session_sha256: bytes, door: Door) -> StoredSession | None:
    """The session behind that hash, expired ones included; never one of another door."""
    row = await connection.fetchrow(
        """
        SELECT door, subject, language, created_at, last_used_at, expires_at FROM sessions
        WHERE session_sha256 = $1 AND door = $2
        """,
        session_sha256,
        door,
    )
    return StoredSession(**{**row, "door": Door(row["door"]), "language": Language(row["language"])}) if row else None


async def touch(connection: Connection, session_sha256: bytes, at: datetime) -> None:
    """The session was used."""
    await connection.execute("UPDATE sessions SET last_used_at = $2 WHERE session_sha256 = $1", session_sha256, at)


async def set_language(connection: Connection, session_sha256: bytes, door: Door, language: Language) -> None:
    """The session goes on in another language."""
    await connection.execute(
        "UPDATE sessions SET language = $3 WHERE session_sha256 = $1 AND door = $2", session_sha256, door, language
    )


async def end(connection: Connection, session_sha256: bytes, door: Door) -> Subject | None:
    """Ends a session; returns whose it was, None if there was none."""
    subject: Subject | None = await connection.fetchval(
        "DELETE FROM sessions WHERE session_sha256 = $1 AND door = $2 RETURNING subject", session_sha256, door
    )
    return subject


async def end_all(connection: Connection, subject: Subject, door: Door | None = None) -> int:
    """Ends every session of a person, at one door or at all; returns how many there were."""
    done: str = await connection.execute(
        "DELETE FROM sessions WHERE subject = $1 AND door = coalesce($2, door)", subject, door
    )
    return int(done.removeprefix("DELETE "))
