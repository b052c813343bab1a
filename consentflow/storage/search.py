"""Finding registrations among millions: by person, by whoever registered it, by company; newest first.

Every query walks an index of `0012_console` from its newest end, so a page costs the same whatever the table holds.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import SUPPRESSION, Fact
from consentflow.domain.paging import Mark
from consentflow.domain.registrations import Kind, State
from consentflow.storage.pool import Connection

By = Literal["subject", "registered_by", "company_domain"]


@dataclass(frozen=True, slots=True)
class Summary:
    """A registration as a line of a list."""

    registration_id: str
    kind: Kind
    partner_id: str
    subject: Subject
    company_name: str | None
    company_domain: str | None
    country: str | None
    regime: str
    reason: str
    state: State
    registered_at: datetime
    due_at: datetime | None

    @property
    def mark(self) -> Mark:
        """Where the list goes on after this line."""
        return Mark(self.registered_at, self.registration_id)


_SUMMARY = """
    SELECT registration_id, kind, partner_id, subject, company_name, company_domain, country, regime, reason, state,
           registered_at, due_at
    FROM registrations
"""


def _read(row: asyncpg.Record) -> Summary:
    return Summary(**{**row, "kind": Kind(row["kind"]), "state": State(row["state"])})


async def registrations(connection: Connection, by: By, value: str, after: Mark | None, most: int) -> list[Summary]:
    """A person's registrations, or those that a person made, or those of a company."""
    newest_first = "ORDER BY registered_at DESC, registration_id DESC"
    if after is None:
        rows = await connection.fetch(f"{_SUMMARY} WHERE {by} = $1 {newest_first} LIMIT $2", value, most)
    else:
        rows = await connection.fetch(
            f"{_SUMMARY} WHERE {by} = $1 AND (registered_at, registration_id) < ($3, $4) {newest_first} LIMIT $2",
            value,
            most,
            after.at,
            after.key,
        )
    return [_read(row) for row in rows]


async def registration_exists(connection: Connection, registration_id: str) -> bool:
    """Whether there is a registration with that id."""
    known: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM registrations WHERE registration_id = $1)", registration_id
    )
    return known


@dataclass(frozen=True, slots=True)
class RequestSummary:
    """A data-source request as a line of a list."""

    request_id: str
    state: str
    received_at: datetime
    deadline: datetime
    closed_at: datetime | None


async def requests(connection: Connection, subject: Subject) -> list[RequestSummary]:
    """A person's data-source requests, newest first."""
    rows = await connection.fetch(
        """
        SELECT request_id, state, received_at, deadline, closed_at FROM source_requests
        WHERE subject = $1 ORDER BY opened_at DESC, request_id LIMIT 100
        """,
        subject,
    )
    return [RequestSummary(**row) for row in rows]


async def request_exists(connection: Connection, request_id: str) -> bool:
    """Whether there is a data-source request with that id."""
    known: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM source_requests WHERE request_id = $1)", request_id
    )
    return known


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why a person is not written to."""

    fact_id: int
    subject: Subject
    fact: Fact
    recorded_at: datetime

    @property
    def mark(self) -> Mark:
        """Where the list goes on after this line."""
        return Mark(self.recorded_at, str(self.fact_id))


_WORDS = ", ".join(f"'{fact}'" for fact in SUPPRESSION)
# Written out rather than handed over, so that the planner sees that the partial index fits.
_SUPPRESSION = f"SELECT fact_id, subject, fact, recorded_at FROM facts WHERE fact IN ({_WORDS})"  # noqa: S608 - ours


async def suppressions(connection: Connection, after: Mark | None, most: int) -> list[Suppression]:
    """Why persons are not written to, newest first; a person may stand there more than once."""
    newest_first = "ORDER BY recorded_at DESC, fact_id DESC LIMIT $1"
    if after is None:
        rows = await connection.fetch(f"{_SUPPRESSION} {newest_first}", most)
    else:
        rows = await connection.fetch(
            f"{_SUPPRESSION} AND (recorded_at, fact_id) < ($2, $3) {newest_first}", most, after.at, int(after.key)
        )
    return [Suppression(**{**row, "fact": Fact(row["fact"])}) for row in rows]
