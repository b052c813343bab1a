"""What is on record about a subject, and which events have been seen."""

from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import CONSENT, Fact
from consentflow.storage.pool import Connection


async def record(connection: Connection, subject: Subject, fact: Fact, occurred_at: datetime, at: datetime) -> None:
    """Puts a fact on record."""
    await connection.execute(
        "INSERT INTO facts (subject, fact, occurred_at, recorded_at) VALUES ($1, $2, $3, $4)",
        subject,
        fact,
        occurred_at,
        at,
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


async def first_seen(connection: Connection, source: str, event_id: str, event_type: str, at: datetime) -> bool:
    """Notes an event; False when the same source has sent the same id before."""
    done: str = await connection.execute(
        "INSERT INTO events (source, event_id, type, recorded_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        source,
        event_id,
        event_type,
        at,
    )
    return done == "INSERT 0 1"
