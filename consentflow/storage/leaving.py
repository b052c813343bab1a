"""Letters leaving, many at once: all that is read, and all that is written, by one statement for each step."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from consentflow.domain.registrations import OPEN, Registration
from consentflow.storage import registrations
from consentflow.storage.contacts import Contact
from consentflow.storage.mails import StoredMail
from consentflow.storage.pool import Connection
from consentflow.storage.questions import AskedQuestion


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt at a letter is about.

    Args:
        question_id: Of the question that it puts.
        state: Of the mail.
    """

    mail_id: UUID
    purpose: str
    question_id: UUID | None
    state: str


@dataclass(frozen=True, slots=True)
class Lead:
    """A registration and what of its subject matters to its letter.

    Args:
        attempt: Where one was asked for.
        question: The one that the mailbox has open.
        contact: None once erased.
        has_facts: Whether anything is on record about the subject.
        open_registrations: How many the subject has.
        in_flight: Whether a letter to the subject is on its way.
        faulty: Whether the mail server complained of our set-up when it was last tried.
    """

    registration: Registration
    attempt: Attempt | None
    question: AskedQuestion | None
    contact: Contact | None
    has_facts: bool
    open_registrations: int
    in_flight: bool
    faulty: bool


@dataclass(frozen=True, slots=True)
class Left:
    """A letter that was accepted, and what follows.

    Args:
        reply: The status of the server's reply, if it had one.
        question_id: The question that is asked by it.
        answer_until: The end of its answering time, UTC.
        registration: As it stands now.
    """

    mail_id: UUID
    reply: str | None
    question_id: UUID | None
    answer_until: datetime | None
    registration: Registration


def _read(row: asyncpg.Record) -> Lead:
    registration = registrations.read(row)
    subject = registration.subject
    attempt = question = contact = None
    if row["mail_id"] is not None:
        attempt = Attempt(row["mail_id"], row["purpose"], row["put"], row["mail_state"])
    if row["open_question_id"] is not None:
        question = AskedQuestion(
            row["open_question_id"], subject, row["asker"], None, row["asked_at"], row["answer_until"]
        )
    if row["email"] is not None:
        contact = Contact(subject, row["email"], row["given_name"], row["family_name"], row["language"])
    rest = (row["has_facts"], row["open_registrations"], row["in_flight"], row["faulty"])
    return Lead(registration, attempt, question, contact, *rest)


async def lock(connection: Connection, registration_ids: Collection[str], mail_ids: Collection[UUID]) -> None:
    """Locks the subjects of registrations and of mails as `lock_subjects` does, in the same order."""
    await connection.execute(
        """
        SELECT pg_advisory_xact_lock(hashtextextended(subject, 0)) FROM (
            SELECT subject COLLATE "C" AS subject FROM registrations WHERE registration_id = ANY($1)
            UNION SELECT subject FROM mails WHERE mail_id = ANY($2) ORDER BY subject
        ) AS concerned
        """,
        list(registration_ids),
        list(mail_ids),
    )


async def find(connection: Connection, registration_ids: Collection[str], mail_ids: Collection[UUID]) -> list[Lead]:
    """The registrations with those ids, and those that send mails with those ids, as far as there are any."""
    rows = await connection.fetch(
        f"""
        WITH concerned AS (
            SELECT *, NULL::uuid AS mail_id, NULL AS purpose, NULL::uuid AS put, NULL AS mail_state
            FROM unnest($1::text[]) AS due (registration_id)
            UNION ALL
            SELECT registration_id, mail_id, purpose, question_id, state FROM mails WHERE mail_id = ANY($2)
        )
        SELECT concerned.mail_id, purpose, put, mail_state,
            r.{", r.".join(registrations.NAMES)},
            asked.question_id AS open_question_id, asked.registration_id AS asker, asked.asked_at, asked.answer_until,
            person.email, person.given_name, person.family_name, person.language,
            EXISTS (SELECT FROM facts WHERE facts.subject = r.subject) AS has_facts,
            (SELECT count(*) FROM registrations AS any_of WHERE any_of.subject = r.subject AND any_of.state = ANY($3))
                AS open_registrations,
            EXISTS (
                SELECT FROM mails AS other
                WHERE other.subject = r.subject AND other.state IN ('frozen', 'attempting')
                    AND other.registration_id IS NOT NULL
            ) AS in_flight,
            EXISTS (SELECT FROM mail_fault) AS faulty
        FROM concerned JOIN registrations AS r USING (registration_id)
            LEFT JOIN questions AS asked ON asked.subject = r.subject AND asked.outcome IS NULL
            LEFT JOIN contacts AS person ON person.subject = r.subject
        """,  # noqa: S608 - our own column names
        list(registration_ids),
        list(mail_ids),
        list(OPEN),
    )
    return [_read(row) for row in rows]


async def freeze_and_attempt(connection: Connection, frozen: Sequence[StoredMail], at: datetime) -> None:
    """Stores mails whose first attempt begins at once."""
    mails = [stored.mail for stored in frozen if stored.mail]
    await connection.execute(
        """
        INSERT INTO mails (mail_id, purpose, subject, registration_id, question_id, message_id, envelope_from,
                           envelope_to, content, content_sha256, language, text_version, state, attempts, frozen_at)
        SELECT *, 'attempting', 1, $13::timestamptz FROM unnest(
            $1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::bytea[],
            $10::bytea[], $11::text[], $12::text[]
        )
        """,
        [stored.mail_id for stored in frozen],
        [stored.purpose for stored in frozen],
        [stored.subject for stored in frozen],
        [stored.registration_id for stored in frozen],
        [stored.question_id for stored in frozen],
        [mail.message_id for mail in mails],
        [mail.envelope_from for mail in mails],
        [mail.envelope_to for mail in mails],
        [mail.content for mail in mails],
        [hashlib.sha256(mail.content).digest() for mail in mails],
        [mail.language for mail in mails],
        [mail.text_version for mail in mails],
        at,
    )


async def close_accepted(connection: Connection, left: Sequence[Left], at: datetime) -> None:
    """Writes that mails were accepted: their questions are asked, their registrations go on."""
    await connection.execute(
        """
        WITH gone AS (
            SELECT * FROM unnest(
                $1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::int[]
            ) AS gone (mail_id, reply, question_id, answer_until, registration_id, state, revision)
        ), closed AS (
            UPDATE mails SET state = 'accepted', reply = coalesce(gone.reply, mails.reply), closed_at = $8
            FROM gone WHERE mails.mail_id = gone.mail_id
        ), asked AS (
            UPDATE questions SET asked_at = $8, answer_until = gone.answer_until
            FROM gone WHERE questions.question_id = gone.question_id
        ), extended AS (
            UPDATE tokens SET expires_at = gone.answer_until FROM gone WHERE tokens.question_id = gone.question_id
        )
        UPDATE registrations SET state = gone.state, revision = gone.revision
        FROM gone WHERE registrations.registration_id = gone.registration_id
        """,
        [each.mail_id for each in left],
        [each.reply for each in left],
        [each.question_id for each in left],
        [each.answer_until for each in left],
        [each.registration.registration_id for each in left],
        [each.registration.state for each in left],
        [each.registration.revision for each in left],
        at,
    )
