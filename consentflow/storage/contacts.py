"""Contacts: the one table of personal data, a row per person."""

from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Contact:
    """A person as registered. ``email`` has its domain as A-labels; ``language`` is as received."""

    subject: Subject
    email: str
    given_name: str | None
    family_name: str | None
    language: str | None


async def keep(connection: Connection, contact: Contact, at: datetime) -> None:
    """Stores a contact. What is known already stays; a later registration only fills what was missing."""
    await connection.execute(
        """
        INSERT INTO contacts AS known (subject, email, given_name, family_name, language, recorded_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (subject) DO UPDATE SET
            given_name  = coalesce(known.given_name, excluded.given_name),
            family_name = coalesce(known.family_name, excluded.family_name),
            language    = coalesce(known.language, excluded.language)
        """,
        contact.subject,
        contact.email,
        contact.given_name,
        contact.family_name,
        contact.language,
        at,
    )


async def introduce(connection: Connection, contact: Contact, at: datetime) -> None:
    """Stores a contact that may be known already, and leaves it alone if it is: nobody waits for a common row.

    A shared lock, taken in the same breath, keeps the sweep from taking it for one that nobody needs any more.
    """
    await connection.execute(
        """
        INSERT INTO contacts (subject, email, given_name, family_name, language, recorded_at)
        SELECT $1, $2, $3, $4, $5, $6::timestamptz
        FROM (SELECT pg_advisory_xact_lock_shared(hashtextextended($1, 4))) AS kept ON CONFLICT DO NOTHING
        """,
        contact.subject,
        contact.email,
        contact.given_name,
        contact.family_name,
        contact.language,
        at,
    )


async def find(connection: Connection, subject: Subject) -> Contact | None:
    """The person behind a subject, unless erased."""
    row = await connection.fetchrow(
        "SELECT subject, email, given_name, family_name, language FROM contacts WHERE subject = $1", subject
    )
    return Contact(**row) if row else None


async def set_language(connection: Connection, subject: Subject, language: str) -> None:
    """Keeps the language that mails to the person are written in."""
    await connection.execute("UPDATE contacts SET language = $2 WHERE subject = $1", subject, language)


async def erase(connection: Connection, subject: Subject) -> None:
    """Removes the person: the contact, and recipient and bytes of every letter to it as a lead."""
    await connection.execute("DELETE FROM contacts WHERE subject = $1", subject)
    await connection.execute(
        "UPDATE mails SET envelope_to = NULL, content = NULL WHERE subject = $1 AND registration_id IS NOT NULL",
        subject,
    )
