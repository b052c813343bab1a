"""What a partner's people look at: their companies, the busiest first, and what purchases credited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from consentflow.domain.notifications import URGENT
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class MonthOfCredits:
    """What was credited to a partner in one month, in one currency.

    Args:
        month: Its first day.
        purchases: How many.
    """

    month: date
    currency: str
    amount: Decimal
    purchases: int


async def companies(
    connection: Connection,
    partner_id: str,
    *,
    now: datetime,
    since: datetime,
    wanted: str,
    followed_by: str | None,
    skip: int,
    most: int,
) -> tuple[int, Mapping[str, datetime]]:
    """How many companies a partner owns, and until when it owns some of them, by domain.

    In order: those that wait for an answer first, then the latest active, then the others.

    Args:
        since: From when on what they did counts for the order, UTC.
        wanted: A part of name or domain, any case; empty for all.
        followed_by: The subject of a growth specialist, who sees only companies of its own; None for everybody else.
    """
    rows = await connection.fetch(
        """
        WITH lately AS (
            SELECT domain, max(hour) AS latest, max(hour) FILTER (WHERE action = ANY($4)) AS latest_urgent
            FROM company_actions WHERE partner_id = $1 AND hour >= $3 GROUP BY domain
        ), owned AS (
            SELECT domain, until, latest_urgent, latest FROM ownerships LEFT JOIN lately USING (domain)
            WHERE partner_id = $1 AND until > $2
                AND (
                    $5 = '' OR position(lower($5) IN domain) > 0 OR EXISTS (
                        SELECT FROM registrations
                        WHERE company_domain = ownerships.domain AND registrations.partner_id = $1
                            AND position(lower($5) IN lower(company_name)) > 0
                    )
                )
                AND (
                    $6::text IS NULL OR EXISTS (
                        SELECT FROM specialist_companies AS followed JOIN subscribers USING (subscriber_id)
                        WHERE subscribers.partner_id = $1 AND subject = $6 AND followed.domain = ownerships.domain
                    )
                )
        )
        SELECT domain, until, count(*) OVER () AS total FROM owned
        ORDER BY latest_urgent DESC NULLS LAST, latest DESC NULLS LAST, domain OFFSET $7 LIMIT $8
        """,
        partner_id,
        now,
        since,
        list(URGENT),
        wanted,
        followed_by,
        skip,
        most,
    )
    total = rows[0]["total"] if rows else 0
    return total, {row["domain"]: row["until"] for row in rows}


async def months_of_credits(connection: Connection, partner_id: str) -> Sequence[MonthOfCredits]:
    """What was credited, by month, the latest first, and by currency."""
    rows = await connection.fetch(
        """
        SELECT date_trunc('month', purchased_on)::date AS month, currency, sum(amount) AS amount,
            count(*) AS purchases
        FROM credits WHERE partner_id = $1 GROUP BY 1, 2 ORDER BY 1 DESC, 2
        """,
        partner_id,
    )
    return [MonthOfCredits(**row) for row in rows]
