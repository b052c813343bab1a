"""What is on record about a subject."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import CONSENT, Fact
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class RecordedFact:
    """A fact on record: when it happened and when we heard of it, UTC."""

    fact: Fact
    occurred_at: datetime
    recorded_at: datetime


async def record(connection: Connection, subject: Subject, fact: Fact, occurred_at: datetime, at: datetime) -> None:
    """Puts a fact on record."""
    await connection.execute(
        "INSERT INTO facts (subject, fact, occurred_at, recorded_at) VALUES ($1, $2, $3, $4)",
        subject,
        fact,
        occurred_at,
        at,
    )


async def record_all(connection: Connection, happened: Iterable[tuple[Subject, Fact, datetime]], at: datetime) -> None:
    """Puts many facts on record at once, each with when it occurred."""
    await connection.executemany(
        "INSERT INTO facts (subject, fact, occurred_at, recorded_at) VALUES ($1, $2, $3, $4)",
        [(subject, fact, occurred_at, at) for subject, fact, occurred_at in happened],
    )


async def of_subject(connection: Connection, subject: Subject) -> frozenset[Fact]:
    """Every kind of fact on record about the subject, without the consents that were withdrawn since."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT fact FROM facts WHERE subject = $1 AND NOT (fact = ANY($2) AND occurred_at <= coalesce(
            (SELECT max(occurred_at) FROM facts WHERE subject = $1 AND fact = 'consent_withdrawn'), '-infinity'
        ))
        """,
        subject,
        list(CONSENT),
    )
    return frozenset(Fact(row["fact"]) for row in rows)


async def history(connection: Connection, subject: Subject) -> list[RecordedFact]:
    """Everything on record about the subject, in the order it was heard of."""
    rows = await connection.fetch(
        "SELECT fact, occurred_at, recorded_at FROM facts WHERE subject = $1 ORDER BY fact_id", subject
    )
    return [RecordedFact(Fact(row["fact"]), row["occurred_at"], row["recorded_at"]) for row in rows]
