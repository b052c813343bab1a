"""Contacts: the one table of personal data, a row per person."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Self

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

    def filled_from(self, other: Self) -> Self:
        """What is known stays, and what was missing is taken from the other."""
        return replace(
            self,
            given_name=other.given_name if self.given_name is None else self.given_name,
            family_name=other.family_name if self.family_name is None else self.family_name,
            language=other.language if self.language is None else self.language,
        )


async def fill_all(connection: Connection, persons: Collection[Contact]) -> None:
    """Adds to known persons what was missing; what is known stays."""
    await connection.execute(
        """
        UPDATE contacts AS known SET
            given_name  = coalesce(known.given_name, told.given_name),
            family_name = coalesce(known.family_name, told.family_name),
            language    = coalesce(known.language, told.language)
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
            AS told (subject, email, given_name, family_name, language)
        WHERE known.subject = told.subject AND (
            known.given_name IS NULL AND told.given_name IS NOT NULL
            OR known.family_name IS NULL AND told.family_name IS NOT NULL
            OR known.language IS NULL AND told.language IS NOT NULL
        )
        """,
        *columns(persons),
    )


def columns(persons: Collection[Contact]) -> tuple[list[str | None], ...]:
    """Persons as columns of subject, address, names and language."""
    return (
        [each.subject for each in persons],
        [each.email for each in persons],
        [each.given_name for each in persons],
        [each.family_name for each in persons],
        [each.language for each in persons],
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
