"""Decisions as they were taken, put together from the ledger and from what was on record then."""

from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import CONSENT, Fact, Question, Record
from consentflow.domain.policy import Reason, Regime
from consentflow.domain.registrations import State
from consentflow.domain.simulation import TakenDecision, Treatment
from consentflow.storage.pool import Connection

_AT_ONCE = 1000
"""Rows that one trip to Postgres brings."""

_LONGEST_WAIT = 3600
"""Seconds until the first of them: all are put in order before."""


async def walk(connection: Connection) -> AsyncIterator[TakenDecision]:
    """For every registration, by id, the decision that its location led to; rows come as they are needed."""
    rows = connection.cursor(
        """
        SELECT registration.registration_id, registration.subject, registration.country, registration.registered_at,
            located.at, decided.detail ->> 'regime' AS regime, decided.detail ->> 'reason' AS reason,
            decided.detail ->> 'state' AS state, decided.detail ->> 'due_at' AS due_at,
            decided.detail ->> 'policy_version' AS policy_version,
            question.asked_at <= located.at AS has_left, question.registration_id AS asked_by,
            located.again AND question.question_id = registration.question_id AS shared,
            ARRAY(
                SELECT DISTINCT fact FROM facts
                WHERE facts.subject = registration.subject AND recorded_at <= located.at
                  AND NOT (fact = ANY($1) AND occurred_at <= coalesce((
                      SELECT max(occurred_at) FROM facts AS taken_back
                      WHERE taken_back.subject = registration.subject AND taken_back.fact = 'consent_withdrawn'
                        AND taken_back.recorded_at <= located.at
                  ), '-infinity'))
            ) AS facts
        FROM registrations AS registration
        CROSS JOIN LATERAL (
            SELECT greatest(registration.accepted_at, max(entry.at)) AS at, count(*) > 0 AS again FROM ledger AS entry
            WHERE entry.registration_id = registration.registration_id AND entry.event = 'location_corrected'
        ) AS located
        CROSS JOIN LATERAL (
            SELECT detail FROM ledger AS entry
            WHERE entry.registration_id = registration.registration_id AND entry.event = 'decided'
              AND entry.at <= located.at
            ORDER BY entry_id DESC LIMIT 1
        ) AS decided
        LEFT JOIN questions AS question ON question.subject = registration.subject
            AND question.created_at <= located.at AND (question.closed_at IS NULL OR question.closed_at > located.at)
        ORDER BY registration.registration_id
        """,
        list(CONSENT),
        prefetch=_AT_ONCE,
        timeout=_LONGEST_WAIT,
    )
    async for row in rows:
        yield _read(row)


def _read(row: asyncpg.Record) -> TakenDecision:
    stage = Question.NONE
    if row["has_left"]:
        stage = Question.OPEN
    elif row["asked_by"] not in (None, row["registration_id"]):  # its own, not asked yet, keeps nothing from changing
        stage = Question.PENDING
    waits = row["state"] == State.WAITING and row["due_at"] is not None
    return TakenDecision(
        registration_id=row["registration_id"],
        subject=Subject(row["subject"]),
        country=row["country"],
        registered_at=row["registered_at"],
        at=row["at"],
        asked=bool(row["shared"]) and stage is Question.OPEN,
        record=Record(frozenset(map(Fact, row["facts"])), stage),
        policy_version=row["policy_version"],
        treatment=Treatment(
            regime=Regime(row["regime"]),
            reason=Reason(row["reason"]),
            notice_due=datetime.fromisoformat(row["due_at"]) if waits else None,
        ),
    )
