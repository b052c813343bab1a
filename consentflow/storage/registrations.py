"""Registrations as rows."""

from collections.abc import Collection
from dataclasses import astuple, fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.domain.registrations import HOLDS_NO_CONTACT, OPEN, Kind, Registration, State
from consentflow.storage.pool import Connection

_NAMES = [field.name for field in fields(Registration)]
_COLUMNS = ", ".join(_NAMES)
_INSERT = (
    f"INSERT INTO registrations ({_COLUMNS}) VALUES ({', '.join(f'${n + 1}' for n in range(len(_NAMES)))}) "  # noqa: S608 - our own column names
    "ON CONFLICT (registration_id) DO NOTHING"
)
_SELECT = f"SELECT {_COLUMNS} FROM registrations"  # noqa: S608 - our own column names


def _read(row: asyncpg.Record | dict[str, Any]) -> Registration:
    return replace(Registration(**row), kind=Kind(row["kind"]), state=State(row["state"]))


async def insert(connection: Connection, registration: Registration) -> bool:
    """Stores a new registration; False, and nothing stored, when the id is taken."""
    done: str = await connection.execute(_INSERT, *astuple(registration))
    return done == "INSERT 0 1"


async def find(connection: Connection, registration_id: str) -> Registration | None:
    """The registration with that id."""
    row = await connection.fetchrow(f"{_SELECT} WHERE registration_id = $1", registration_id)
    return _read(row) if row else None


async def find_open(connection: Connection, subject: Subject) -> list[Registration]:
    """The subject's registrations that still wait for something, oldest first."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE subject = $1 AND state = ANY($2) ORDER BY accepted_at, registration_id", subject, list(OPEN)
    )
    return [_read(row) for row in rows]


async def find_in_state(connection: Connection, subject: Subject, state: State) -> list[Registration]:
    """The subject's registrations that stand there, oldest first."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE subject = $1 AND state = $2 ORDER BY accepted_at, registration_id", subject, state
    )
    return [_read(row) for row in rows]


async def find_by_question(connection: Connection, question_id: UUID) -> list[Registration]:
    """The open registrations that ask a question or have joined it, oldest first."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE question_id = $1 AND state = ANY($2) ORDER BY accepted_at, registration_id",
        question_id,
        list(OPEN),
    )
    return [_read(row) for row in rows]


async def find_all_open(connection: Connection) -> list[tuple[Registration, datetime | None]]:
    """Every registration that waits for something, and until when the question it shares can be answered."""
    names = ", ".join(f"r.{name}" for name in _NAMES)
    rows = await connection.fetch(
        f"SELECT {names}, q.answer_until FROM registrations r LEFT JOIN questions q USING (question_id) "  # noqa: S608 - our own column names
        "WHERE r.state = ANY($1)",
        list(OPEN),
    )
    return [(_read({name: row[name] for name in _NAMES}), row["answer_until"]) for row in rows]


async def update(connection: Connection, registration: Registration) -> None:
    """Writes what can change: location, decision, state, course."""
    await connection.execute(
        """
        UPDATE registrations SET country = $2, country_received = $3, regime = $4, reason = $5, state = $6, due_at = $7,
            policy_version = $8, revision = $9, question_id = $10
        WHERE registration_id = $1
        """,
        registration.registration_id,
        registration.country,
        registration.country_received,
        registration.regime,
        registration.reason,
        registration.state,
        registration.due_at,
        registration.policy_version,
        registration.revision,
        registration.question_id,
    )


async def contact_needed(connection: Connection, subject: Subject) -> bool:
    """Whether any registration has a use for the contact's personal data, of the person or made by the person."""
    needed: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT FROM registrations WHERE subject = $1 AND NOT state = ANY($2))
            OR EXISTS (SELECT FROM registrations WHERE registered_by = $1)
        """,
        subject,
        list(HOLDS_NO_CONTACT),
    )
    return needed


async def known_among(connection: Connection, subjects: Collection[Subject]) -> set[Subject]:
    """Those of the subjects of whom there is a registration or personal data: something may follow for them."""
    rows = await connection.fetch(
        """
        SELECT subject FROM unnest($1::text[]) AS told (subject)
        WHERE EXISTS (SELECT FROM registrations WHERE registrations.subject = told.subject)
            OR EXISTS (SELECT FROM contacts WHERE contacts.subject = told.subject)
        """,
        list(subjects),
    )
    return {row["subject"] for row in rows}
