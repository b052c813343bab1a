"""What is held about a person under its pseudonym alone, for the export of all that is held."""

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.storage.pool import Connection


async def registrations_of(connection: Connection, subject: Subject) -> list[asyncpg.Record]:
    """The registrations of a person, the oldest first, without who made them and what the partner noted for itself."""
    return await connection.fetch(
        """
        SELECT registration_id, kind, company_name, company_domain, country, country_received, regime, reason, state,
               registered_at, due_at, policy_version
        FROM registrations WHERE subject = $1 ORDER BY registered_at, registration_id
        """,
        subject,
    )


async def registrations_by(connection: Connection, subject: Subject) -> list[asyncpg.Record]:
    """The registrations that a person made, the oldest first, without whom they were about."""
    return await connection.fetch(
        """
        SELECT registration_id, kind, partner_id, company_domain, registered_at
        FROM registrations WHERE registered_by = $1 ORDER BY registered_at, registration_id
        """,
        subject,
    )


async def companies_followed(connection: Connection, subject: Subject) -> list[asyncpg.Record]:
    """The companies that a growth specialist is told about."""
    return await connection.fetch(
        """
        SELECT partner_id, domain FROM specialist_companies JOIN subscribers USING (subscriber_id)
        WHERE subject = $1 ORDER BY partner_id, domain
        """,
        subject,
    )
