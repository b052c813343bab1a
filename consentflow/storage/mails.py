"""Mails as they leave: bytes are frozen once, every attempt sends exactly these."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.domain.letters import FrozenMail, Language
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredMail:
    """A mail as stored.

    Args:
        registration_id: The registration that sends it, for a letter to a lead.
        purpose: The letter's kind.
        about: What a mail that no registration sends is about, such as ``digest/…``.
        message_id: With angle brackets.
        state: ``frozen``, ``attempting``, ``accepted``, ``unsure``, ``refused`` or ``dropped``.
        mail: What to send; None once its bytes were erased.
        send_until: After this it need not leave any more, UTC.
    """

    mail_id: UUID
    subject: Subject
    purpose: str
    registration_id: str | None
    question_id: UUID | None
    message_id: str
    state: str
    mail: FrozenMail | None
    about: str | None = None
    send_until: datetime | None = None


_SELECT = """
    SELECT mail_id, subject, purpose, registration_id, question_id, state, message_id, envelope_from, envelope_to,
           content, language, text_version, about, send_until
    FROM mails
"""


def _read(row: asyncpg.Record) -> StoredMail:
    mail = None
    if row["content"] is not None:
        mail = FrozenMail(
            message_id=row["message_id"],
            envelope_from=row["envelope_from"],
            envelope_to=row["envelope_to"],
            content=row["content"],
            language=Language(row["language"]),
            text_version=row["text_version"],
        )
    return StoredMail(
        row["mail_id"],
        row["subject"],
        row["purpose"],
        row["registration_id"],
        row["question_id"],
        row["message_id"],
        row["state"],
        mail,
        row["about"],
        row["send_until"],
    )


async def freeze(connection: Connection, frozen: StoredMail, at: datetime) -> None:
    """Stores a mail that a registration is about to send."""
    mail = frozen.mail
    assert mail is not None  # noqa: S101 - it was made just now
    await connection.execute(
        """
        INSERT INTO mails (mail_id, purpose, subject, registration_id, question_id, state, message_id, envelope_from,
                           envelope_to, content, content_sha256, language, text_version, frozen_at)
        VALUES ($1, $2, $3, $4, $5, 'frozen', $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        frozen.mail_id,
        frozen.purpose,
        frozen.subject,
        frozen.registration_id,
        frozen.question_id,
        mail.message_id,
        mail.envelope_from,
        mail.envelope_to,
        mail.content,
        hashlib.sha256(mail.content).digest(),
        mail.language,
        mail.text_version,
        at,
    )


async def freeze_once(
    connection: Connection,
    mail_id: UUID,
    purpose: str,
    subject: Subject,
    about: str,
    mail: FrozenMail,
    at: datetime,
    send_until: datetime | None,
) -> bool:
    """Stores the bytes of a mail that no registration sends; False when there is one about the same already."""
    done: str = await connection.execute(
        """
        INSERT INTO mails (mail_id, purpose, subject, about, state, message_id, envelope_from, envelope_to, content,
                           content_sha256, language, text_version, frozen_at, send_until)
        VALUES ($1, $2, $3, $4, 'frozen', $5, $6, $7, $8, $9, $10, $11, $12, $13)
        ON CONFLICT (purpose, about) WHERE about IS NOT NULL DO NOTHING
        """,
        mail_id,
        purpose,
        subject,
        about,
        mail.message_id,
        mail.envelope_from,
        mail.envelope_to,
        mail.content,
        hashlib.sha256(mail.content).digest(),
        mail.language,
        mail.text_version,
        at,
        send_until,
    )
    return done == "INSERT 0 1"


async def find_about(connection: Connection, purpose: str, about: str) -> StoredMail | None:
    """The mail of that purpose about that."""
    row = await connection.fetchrow(f"{_SELECT} WHERE purpose = $1 AND about = $2", purpose, about)
    return _read(row) if row else None


async def lock(connection: Connection, mail_id: UUID) -> StoredMail | None:
    """The mail with that id, held for this transaction."""
    row = await connection.fetchrow(f"{_SELECT} WHERE mail_id = $1 FOR UPDATE", mail_id)
    return _read(row) if row else None


async def forget_bytes(connection: Connection, mail_id: UUID) -> None:
    """Recipient and bytes of a mail go; that it was sent stays."""
    await connection.execute("UPDATE mails SET envelope_to = NULL, content = NULL WHERE mail_id = $1", mail_id)


async def find_in_flight(connection: Connection, subject: Subject) -> list[StoredMail]:
    """The letters on their way to the subject as a lead: frozen, or attempted with no end known."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE subject = $1 AND state IN ('frozen', 'attempting') AND registration_id IS NOT NULL", subject
    )
    return [_read(row) for row in rows]


async def find(connection: Connection, mail_id: UUID) -> StoredMail | None:
    """The mail with that id."""
    row = await connection.fetchrow(f"{_SELECT} WHERE mail_id = $1", mail_id)
    return _read(row) if row else None


async def find_to_leave(connection: Connection) -> list[UUID]:
    """Every mail on its way that neither a registration nor a digest sends."""
    rows = await connection.fetch(
        """
        SELECT mail_id FROM mails
        WHERE state IN ('frozen', 'attempting') AND registration_id IS NULL
            AND NOT EXISTS (SELECT FROM digests WHERE digests.mail_id = mails.mail_id)
        """
    )
    return [row["mail_id"] for row in rows]


async def text_version(connection: Connection, mail_id: UUID) -> str | None:
    """Hash of the wording of a mail; it stays when the bytes are erased."""
    version: str | None = await connection.fetchval("SELECT text_version FROM mails WHERE mail_id = $1", mail_id)
    return version


async def attempt(connection: Connection, mail_id: UUID) -> None:
    """An attempt begins. One that never ends leaves this mark."""
    await connection.execute(
        """
        UPDATE mails SET attempts = attempts + 1, state = 'attempting',
            unsure_attempts = unsure_attempts + CASE WHEN state = 'attempting' THEN 1 ELSE 0 END
        WHERE mail_id = $1
        """,
        mail_id,
    )


async def rest(connection: Connection, mail_id: UUID, reply: str) -> None:
    """An attempt ended without the mail having been taken; the same bytes will be tried again."""
    await connection.execute(
        "UPDATE mails SET state = 'frozen', reply = $2 WHERE mail_id = $1 AND state = 'attempting'", mail_id, reply
    )


async def close(connection: Connection, mail_id: UUID, state: str, reply: str | None, at: datetime) -> None:
    """The mail has come to its end: ``accepted``, ``unsure``, ``refused`` or ``dropped``."""
    await connection.execute(
        "UPDATE mails SET state = $2, reply = coalesce($3, reply), closed_at = $4 WHERE mail_id = $1",
        mail_id,
        state,
        reply,
        at,
    )


async def drop_in_flight(connection: Connection, registration_id: str, at: datetime) -> list[str]:
    """The registration's mail need not leave any more: its bytes go, unless an attempt may be under way.

    Returns:
        The purpose of each mail that was dropped.
    """
    rows = await connection.fetch(
        """
        UPDATE mails SET state = 'dropped', closed_at = $2, content = NULL, envelope_to = NULL
        WHERE registration_id = $1 AND state = 'frozen' RETURNING purpose
        """,
        registration_id,
        at,
    )
    return [row["purpose"] for row in rows]


async def attempt_under_way(connection: Connection, question_id: UUID) -> bool:
    """Whether the question's mail may be leaving at this moment, or may have left unnoticed."""
    under_way: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM mails WHERE question_id = $1 AND state = 'attempting')", question_id
    )
    return under_way


async def find_by_bounce_address(connection: Connection, address: str) -> StoredMail | None:
    """The mail whose envelope sender is this bounce address; lower case, ``b-…``."""
    row = await connection.fetchrow(f"{_SELECT} WHERE lower(envelope_from) = $1 AND envelope_from LIKE 'b-%'", address)
    return _read(row) if row else None


async def bounced(connection: Connection, mail_id: UUID, status: str | None, at: datetime) -> bool:
    """The mail came back for good; False when that was known."""
    done: str = await connection.execute(
        "UPDATE mails SET bounced_at = $3, bounce_status = $2 WHERE mail_id = $1 AND bounced_at IS NULL",
        mail_id,
        status,
        at,
    )
    return done == "UPDATE 1"


async def count_soft_bounce(connection: Connection, mail_id: UUID, status: str | None) -> None:
    """The mail did not arrive, or not yet; the mailbox may well exist."""
    await connection.execute(
        "UPDATE mails SET soft_bounces = soft_bounces + 1, bounce_status = $2 WHERE mail_id = $1", mail_id, status
    )
