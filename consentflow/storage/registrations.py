"""Registrations as rows."""

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.domain.registrations import HOLDS_NO_CONTACT, OPEN, Kind, Registration, State
from consentflow.storage.pool import Connection

_NAMES = [field.name for field in fields(Registration)]
NAMES = tuple(_NAMES)
"""The columns of a registration."""
COLUMNS = ", ".join(_NAMES)
_TYPES = {
    "registered_at": "timestamptz",
    "accepted_at": "timestamptz",
    "due_at": "timestamptz",
    "revision": "integer",
    "question_id": "uuid",
    "fingerprint": "bytea",
}
"""Of the columns that are no texts."""


def arrays(names: Sequence[str], *, start: int = 1) -> str:
    """Parameters that are arrays of such columns, numbered from `start`."""
    return ", ".join(f"${n}::{_TYPES.get(name, 'text')}[]" for n, name in enumerate(names, start))


_CHANGING = (
    *("registration_id", "country", "country_received", "regime", "reason", "state", "due_at"),
    *("policy_version", "revision", "question_id"),
)
_UPDATE = (
    f"UPDATE registrations SET {', '.join(f'{name} = changed.{name}' for name in _CHANGING[1:])} "  # noqa: S608 - our own column names
    f"FROM unnest({arrays(_CHANGING)}) AS changed ({', '.join(_CHANGING)}) "
    "WHERE registrations.registration_id = changed.registration_id"
)
_SELECT = f"SELECT {COLUMNS} FROM registrations"  # noqa: S608 - our own column names


def _read(row: asyncpg.Record | dict[str, Any]) -> Registration:
    return replace(Registration(**row), kind=Kind(row["kind"]), state=State(row["state"]))


def read(row: asyncpg.Record) -> Registration:
    """The registration in a row that has its `NAMES` among others."""
    return _read({name: row[name] for name in _NAMES})


async def find(connection: Connection, registration_id: str) -> Registration | None:
    """The registration with that id."""
    return (await find_all(connection, [registration_id])).get(registration_id)


async def find_all(connection: Connection, registration_ids: Collection[str]) -> dict[str, Registration]:
    """The registrations with those ids; those that nobody knows are missing."""
    rows = await connection.fetch(
        f"{_SELECT} JOIN unnest($1::text[]) AS asked (registration_id) USING (registration_id)", list(registration_ids)
    )
    return {row["registration_id"]: _read(row) for row in rows}


async def find_open(connection: Connection, subjects: Collection[Subject]) -> dict[Subject, list[Registration]]:
    """Each subject's registrations that still wait for something, oldest first; nothing is an answer, too."""
    found: dict[Subject, list[Registration]] = {subject: [] for subject in subjects}
    for row in await connection.fetch(
        f"{_SELECT} WHERE subject = ANY($1) AND state = ANY($2) ORDER BY accepted_at, registration_id",
        list(found),
        list(OPEN),
    ):
        found[row["subject"]].append(_read(row))
    return found


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


async def update_all(connection: Connection, changed: Collection[Registration]) -> None:
    """Writes what can change: location, decision, state, course."""
    if changed:
        rows = [[getattr(each, name) for name in _CHANGING] for each in changed]
        await connection.execute(_UPDATE, *(list(column) for column in zip(*rows, strict=True)))


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
