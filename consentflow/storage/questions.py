"""Questions: the double opt-in a mailbox has open, shared by every registration of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import Question
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question as stored.

    Args:
        registration_id: The registration that asks; others join.
        outcome: ``confirmed``, ``lapsed``, ``suppressed``, ``undeliverable`` or ``dropped``; None while it is open.
        answer_until: UTC; None until the mail has left.
    """

    question_id: UUID
    subject: Subject
    registration_id: str
    outcome: str | None
    asked_at: datetime | None
    answer_until: datetime | None

    @property
    def stage(self) -> Question:
        """How far it has come, as `decide` sees it."""
        if self.outcome is not None:
            return Question.NONE
        return Question.OPEN if self.asked_at is not None else Question.PENDING


_SELECT = "SELECT question_id, subject, registration_id, outcome, asked_at, answer_until FROM questions"


async def put_all(connection: Connection, asked: Sequence[AskedQuestion], at: datetime) -> None:
    """Puts questions; their mails are yet to leave."""
    await connection.execute(
        """
        INSERT INTO questions (question_id, subject, registration_id, created_at)
        SELECT question_id, subject, registration_id, $4
        FROM unnest($1::uuid[], $2::text[], $3::text[]) AS put (question_id, subject, registration_id)
        """,
        [each.question_id for each in asked],
        [each.subject for each in asked],
        [each.registration_id for each in asked],
        at,
    )


async def find(connection: Connection, question_id: UUID) -> AskedQuestion | None:
    """The question with that id."""
    row = await connection.fetchrow(f"{_SELECT} WHERE question_id = $1", question_id)
    return AskedQuestion(**row) if row else None


async def find_open(connection: Connection, subjects: Collection[Subject]) -> dict[Subject, AskedQuestion]:
    """The question that each mailbox has open, whether its mail has left or not; those with none are missing."""
    rows = await connection.fetch(
        f"{_SELECT} JOIN unnest($1::text[]) AS asked (subject) USING (subject) WHERE outcome IS NULL", list(subjects)
    )
    return {row["subject"]: AskedQuestion(**row) for row in rows}


async def asked(connection: Connection, question_id: UUID, at: datetime, answer_until: datetime) -> None:
    """The mail has left."""
    await connection.execute(
        "UPDATE questions SET asked_at = $2, answer_until = $3 WHERE question_id = $1", question_id, at, answer_until
    )


async def close(connection: Connection, question_id: UUID, outcome: str, at: datetime) -> None:
    """The question has its outcome."""
    await connection.execute(
        "UPDATE questions SET outcome = $2, closed_at = $3 WHERE question_id = $1 AND outcome IS NULL",
        question_id,
        outcome,
        at,
    )
