"""What is on record about a subject."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import CONSENT, Fact
from consentflow.storage.pool import Connection

STANDS = f"""
    NOT (facts.fact IN ({", ".join(f"'{each}'" for each in sorted(CONSENT))}) AND facts.occurred_at <= coalesce(
        (SELECT max(occurred_at) FROM facts AS taken_back
         WHERE taken_back.subject = facts.subject AND taken_back.fact = 'consent_withdrawn'), '-infinity'
    ))
"""  # noqa: S608 - our own names of facts
"""The condition that a row of facts is no consent that was withdrawn since."""


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
    return (await of_subjects(connection, [subject]))[subject]


async def of_subjects(connection: Connection, subjects: Collection[Subject]) -> dict[Subject, frozenset[Fact]]:
    """What is on record about each of the subjects, as `of_subject` says it; nothing about some is an answer, too."""
    rows = await connection.fetch(
        f"""
        SELECT subject, array_agg(DISTINCT fact) AS facts
        FROM facts JOIN unnest($1::text[]) AS asked (subject) USING (subject) WHERE {STANDS} GROUP BY subject
        """,  # noqa: S608 - our own condition
        list(subjects),
    )
    found = {row["subject"]: frozenset(map(Fact, row["facts"])) for row in rows}
    return {subject: found.get(subject, frozenset()) for subject in subjects}


async def history(connection: Connection, subject: Subject) -> list[RecordedFact]:
    """Everything on record about the subject, in the order it was heard of."""
    rows = await connection.fetch(
        "SELECT fact, occurred_at, recorded_at FROM facts WHERE subject = $1 ORDER BY fact_id", subject
    )
    return [RecordedFact(Fact(row["fact"]), row["occurred_at"], row["recorded_at"]) for row in rows]
