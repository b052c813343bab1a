"""Whom the pages let in: a partner's people."""

from consentflow.domain.addresses import Subject
from consentflow.storage.pool import Connection


async def partners_of(connection: Connection, subject: Subject) -> list[str]:
    """The ids of the partners a person acts for, in order.

    It steps from partner to partner in the index: somebody may have registered a hundred thousand leads for one.
    """
    rows = await connection.fetch(
        """
        WITH RECURSIVE registered (partner_id) AS (
            SELECT min(partner_id) FROM registrations WHERE registered_by = $1
            UNION ALL
            SELECT (SELECT min(partner_id) FROM registrations
                    WHERE registered_by = $1 AND partner_id > registered.partner_id)
            FROM registered WHERE partner_id IS NOT NULL
        )
        SELECT partner_id FROM registered WHERE partner_id IS NOT NULL
        UNION
        SELECT partner_id FROM subscribers WHERE subject = $1
        ORDER BY partner_id
        """,
        subject,
    )
    return [row["partner_id"] for row in rows]


async def address_of(connection: Connection, subject: Subject) -> str | None:
    """Where a partner's person is written to: as a subscriber, else as somebody who registered leads."""
    address: str | None = await connection.fetchval(
        """
        SELECT coalesce(
            (SELECT email FROM subscribers WHERE subject = $1 ORDER BY partner_id LIMIT 1),
            (SELECT email FROM contacts WHERE subject = $1
                AND EXISTS (SELECT FROM registrations WHERE registered_by = $1))
        )
        """,
        subject,
    )
    return address


async def has_registered(connection: Connection, subject: Subject, partner_id: str) -> bool:
    """Whether the person has registered leads for the partner."""
    has: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM registrations WHERE registered_by = $1 AND partner_id = $2)", subject, partner_id
    )
    return has
