"""Mails as an officer reads them afterwards: what was sent, when, how often, what came back."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.domain.paging import Mark
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class MailRecord:
    """A mail and what became of it.

    Args:
        registration_id: The registration that sent it, for a letter to a lead.
        about: What any other mail is about.
        state: ``frozen``, ``attempting``, ``accepted``, ``unsure``, ``refused`` or ``dropped``.
        content: The bytes as they left; None once they were erased, or in a list.
        kept: Whether the bytes are still there.
        attempts: How often it was tried; `unsure_attempts` of those ended without an answer.
        reply: The status the mail server answered with, no more.
    """

    mail_id: UUID
    purpose: str
    subject: Subject
    registration_id: str | None
    about: str | None
    state: str
    attempts: int
    unsure_attempts: int
    message_id: str
    language: str
    text_version: str
    frozen_at: datetime
    closed_at: datetime | None
    reply: str | None
    bounced_at: datetime | None
    bounce_status: str | None
    soft_bounces: int
    kept: bool
    content: bytes | None = None

    @property
    def mark(self) -> Mark:
        """Where the list goes on after this mail."""
        return Mark(self.frozen_at, str(self.mail_id))


_LISTED = """
    SELECT mail_id, purpose, subject, registration_id, about, state, attempts, unsure_attempts, message_id, language,
           text_version, frozen_at, closed_at, reply, bounced_at, bounce_status, soft_bounces,
           content IS NOT NULL AS kept
    FROM mails
"""
_WHOLE = """
    SELECT mail_id, purpose, subject, registration_id, about, state, attempts, unsure_attempts, message_id, language,
           text_version, frozen_at, closed_at, reply, bounced_at, bounce_status, soft_bounces,
           content IS NOT NULL AS kept, content
    FROM mails
"""


def _read(row: asyncpg.Record) -> MailRecord:
    return MailRecord(**row)


async def of_registration(connection: Connection, registration_id: str) -> list[MailRecord]:
    """The letters that a registration sent, oldest first, with their bytes."""
    rows = await connection.fetch(f"{_WHOLE} WHERE registration_id = $1 ORDER BY frozen_at, mail_id", registration_id)
    return [_read(row) for row in rows]


async def of_subject(connection: Connection, subject: Subject, after: Mark | None, most: int) -> list[MailRecord]:
    """The mails to a person in whatever role, newest first, without their bytes."""
    newest_first = "ORDER BY frozen_at DESC, mail_id DESC LIMIT $2"
    if after is None:
        rows = await connection.fetch(f"{_LISTED} WHERE subject = $1 {newest_first}", subject, most)
    else:
        rows = await connection.fetch(
            f"{_LISTED} WHERE subject = $1 AND (frozen_at, mail_id) < ($3, $4) {newest_first}",
            subject,
            most,
            after.at,
            UUID(after.key),
        )
    return [_read(row) for row in rows]
