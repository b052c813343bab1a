"""What a transaction leaves behind beside its state: entries of the ledger, and messages to Temporal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.storage.pool import Connection

CHANNEL = "outbox"
Values = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What happened, for the end of a chain of the ledger."""

    at: datetime
    subject: Subject | None
    registration_id: str | None
    event: str
    detail: Values


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What Temporal must hear of."""

    topic: str
    payload: Values


async def write(connection: Connection, left: Sequence[NewEntry | NewMessage]) -> None:
    """Adds entries and messages in their order, by one statement, and wakes the relay if there is a message."""
    await connection.execute(f"WITH {steps()} SELECT {WAKING}", *columns(left))


def columns(left: Sequence[NewEntry | NewMessage]) -> tuple[object, ...]:
    """What `steps` adds, as its parameters."""
    entries = [each for each in left if isinstance(each, NewEntry)]
    messages = [each for each in left if isinstance(each, NewMessage)]
    return (
        [each.at for each in entries],
        [each.subject for each in entries],
        [each.registration_id for each in entries],
        [each.event for each in entries],
        [dict(each.detail) for each in entries],
        [each.topic for each in messages],
        [dict(each.payload) for each in messages],
    )


def steps(*, after: str = "true") -> str:
    """The steps ``entries`` and ``messages`` of a statement, whose first parameters are `columns`.

    Args:
        after: What is looked at before the first entry: it waits for what other steps wait for.
    """
    # In the order in which they were added; the trigger that links an entry sees those before it.
    return f"""
        entries AS (
            INSERT INTO ledger (at, subject, registration_id, event, detail)
            SELECT at, subject, registration_id, event, detail
            FROM ROWS FROM (
                unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[]), jsonb_array_elements($5)
            ) WITH ORDINALITY AS added (at, subject, registration_id, event, detail, place)
            WHERE {after} ORDER BY place
        ), messages AS (
            INSERT INTO outbox (topic, payload)
            SELECT topic, payload
            FROM ROWS FROM (unnest($6::text[]), jsonb_array_elements($7))
                WITH ORDINALITY AS written (topic, payload, place)
            ORDER BY place
        )
    """  # noqa: S608 - our own condition


WAKING = f"CASE WHEN cardinality($6::text[]) > 0 THEN pg_notify('{CHANNEL}', '') END"
"""Wakes the relay once the transaction commits, if there is a message."""
