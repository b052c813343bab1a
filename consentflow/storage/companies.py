"""What the CRM says of a company, and which partner owns it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.registrations import OWNERSHIP
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Ownership:
    """A partner owns a company since one instant and until another (UTC); renewing moves the end alone."""

    partner_id: str
    since: datetime
    until: datetime

    def covers(self, instant: datetime) -> bool:
        """Whether the partner owned the company then."""
        return self.since <= instant < self.until


async def set_status(connection: Connection, domain: str, status: str, at: datetime) -> None:
    """Keeps the account status of a company."""
    await connection.execute(
        """
        INSERT INTO accounts (domain, status, updated_at) VALUES ($1, $2, $3)
        ON CONFLICT (domain) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at
        """,
        domain,
        status,
        at,
    )


async def find_owner(connection: Connection, domain: str, at: datetime) -> Ownership | None:
    """Who owns the company at that instant."""
    row = await connection.fetchrow(
        "SELECT partner_id, since, until FROM ownerships WHERE domain = $1 AND until > $2", domain, at
    )
    return Ownership(**row) if row else None


async def find_owners(connection: Connection, domains: Collection[str], at: datetime) -> dict[str, Ownership]:
    """Who owns each of the companies at that instant; those that nobody owns are missing."""
    rows = await connection.fetch(
        """
        SELECT domain, partner_id, since, until FROM ownerships
        JOIN unnest($1::text[]) AS asked (domain) USING (domain) WHERE until > $2
        """,
        domains,
        at,
    )
    return {row["domain"]: Ownership(row["partner_id"], row["since"], row["until"]) for row in rows}


async def owned_by(
    connection: Connection, partner_id: str, at: datetime, after: str, most: int
) -> dict[str, Ownership]:
    """The companies a partner owns at that instant by domain, those after a domain; the empty text begins."""
    rows = await connection.fetch(
        """
        SELECT domain, partner_id, since, until FROM ownerships
        WHERE partner_id = $1 AND until > $2 AND domain > $3 ORDER BY domain LIMIT $4
        """,
        partner_id,
        at,
        after,
        most,
    )
    return {row["domain"]: Ownership(row["partner_id"], row["since"], row["until"]) for row in rows}


async def names(connection: Connection, partner_id: str, domains: Collection[str]) -> dict[str, str]:
    """The companies' names as the partner registered them last; those without one are missing."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (company_domain) company_domain, company_name FROM registrations
        WHERE company_domain = ANY($2) AND partner_id = $1 AND company_name IS NOT NULL AND state <> 'withdrawn'
        ORDER BY company_domain, accepted_at DESC
        """,
        partner_id,
        domains,
    )
    return {row["company_domain"]: row["company_name"] for row in rows}


async def carry_on(connection: Connection, domain: str, partner_id: str) -> None:
    """After a withdrawal: the partner owns the company for as long as the registrations that are left carry it.

    Each carries it for `OWNERSHIP` from its acceptance; those from before this ownership carried an earlier one.
    """
    await connection.execute(
        """
        WITH carried AS (
            SELECT max((accepted_at AT TIME ZONE 'UTC' + make_interval(months => $3)) AT TIME ZONE 'UTC') AS until
            FROM registrations JOIN ownerships ON domain = company_domain AND ownerships.partner_id = $2
            WHERE company_domain = $1 AND registrations.partner_id = $2 AND state <> 'withdrawn'
                AND accepted_at >= since
        ), released AS (
            DELETE FROM ownerships USING carried WHERE domain = $1 AND partner_id = $2 AND carried.until IS NULL
        )
        UPDATE ownerships SET until = carried.until FROM carried
        WHERE domain = $1 AND partner_id = $2 AND carried.until IS NOT NULL
        """,
        domain,
        partner_id,
        OWNERSHIP.months,
    )
