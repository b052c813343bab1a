"""What purchases credit to partners."""

from datetime import date, datetime

import asyncpg

from consentflow.domain.purchases import Credit, Purchase
from consentflow.storage.events import Key
from consentflow.storage.pool import Connection

_SELECT = "SELECT credit_id, domain, amount, currency, purchased_on, recorded_at FROM credits"


def _read(row: asyncpg.Record) -> Credit:
    purchase = Purchase(row["amount"], row["currency"])
    return Credit(row["credit_id"], row["domain"], purchase, row["purchased_on"], row["recorded_at"])


async def add(
    connection: Connection, partner_id: str, domain: str, purchase: Purchase, day: date, hour: datetime, event: Key
) -> int:
    """Credits a purchase to the owner of the company; returns the credit's number. The event was not seen before.

    Args:
        day: Of the purchase, UTC.
        hour: When it was heard of; nothing finer is kept.
    """
    credit_id: int = await connection.fetchval(
        """
        INSERT INTO credits (partner_id, domain, amount, currency, purchased_on, recorded_at, source, event_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING credit_id
        """,
        partner_id,
        domain,
        purchase.amount,
        purchase.currency,
        day,
        hour,
        *event,
    )
    return credit_id


async def of_partner(
    connection: Connection, partner_id: str, before: int | None = None, most: int | None = None
) -> list[Credit]:
    """A partner's credits, the latest first, from the beginning or before one of them; all of them unless limited."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE partner_id = $1 AND credit_id < coalesce($2, 9223372036854775807) "
        "ORDER BY credit_id DESC LIMIT $3",
        partner_id,
        before,
        most,
    )
    return [_read(row) for row in rows]
