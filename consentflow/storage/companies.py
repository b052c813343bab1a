"""What the CRM says of a company, and which partner owns it."""

from dataclasses import dataclass
from datetime import datetime

from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Ownership:
    """A partner owns a company until an instant (UTC)."""

    partner_id: str
    until: datetime


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


async def find_status(connection: Connection, domain: str) -> str | None:
    """The account status of a company, None when nobody told."""
    status: str | None = await connection.fetchval("SELECT status FROM accounts WHERE domain = $1", domain)
    return status


async def find_owner(connection: Connection, domain: str, at: datetime) -> Ownership | None:
    """Who owns the company at that instant."""
    row = await connection.fetchrow(
        "SELECT partner_id, until FROM ownerships WHERE domain = $1 AND until > $2", domain, at
    )
    return Ownership(**row) if row else None


async def give(connection: Connection, domain: str, owner: Ownership, since: datetime) -> None:
    """Makes the partner owner; a renewal keeps the earlier beginning."""
    await connection.execute(
        """
        INSERT INTO ownerships AS held (domain, partner_id, since, until) VALUES ($1, $2, $3, $4)
        ON CONFLICT (domain) DO UPDATE SET
            partner_id = excluded.partner_id,
            since = CASE WHEN held.partner_id = excluded.partner_id AND held.until > excluded.since
                         THEN held.since ELSE excluded.since END,
            until = greatest(excluded.until, CASE WHEN held.partner_id = excluded.partner_id THEN held.until END)
        """,
        domain,
        owner.partner_id,
        since,
        owner.until,
    )


async def release_unless_registered(connection: Connection, domain: str, partner_id: str) -> None:
    """Ends an ownership that no registration of the partner carries any more."""
    await connection.execute(
        """
        DELETE FROM ownerships WHERE domain = $1 AND partner_id = $2 AND NOT EXISTS (
            SELECT FROM registrations WHERE company_domain = $1 AND partner_id = $2 AND state <> 'withdrawn'
        )
        """,
        domain,
        partner_id,
    )
