"""Partners as rows; one that nobody has told us about has none."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from consentflow.domain.letters import Language
from consentflow.domain.partners import Partner
from consentflow.storage.pool import Connection

_SELECT = "SELECT partner_id, name, language, time_zone FROM partners"


def _read(row: asyncpg.Record) -> Partner:
    return Partner(**{**row, "language": Language(row["language"])})


async def put(connection: Connection, partner: Partner, at: datetime) -> bool:
    """Keeps what is known of a partner; False when it was known already."""
    done: str = await connection.execute(
        """
        INSERT INTO partners AS known (partner_id, name, language, time_zone, updated_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (partner_id) DO UPDATE SET
            name = excluded.name, language = excluded.language, time_zone = excluded.time_zone,
            updated_at = excluded.updated_at
        WHERE (known.name, known.language, known.time_zone)
            IS DISTINCT FROM (excluded.name, excluded.language, excluded.time_zone)
        """,
        partner.partner_id,
        partner.name,
        partner.language,
        partner.time_zone,
        at,
    )
    return done == "INSERT 0 1"


async def find(connection: Connection, partner_id: str) -> Partner | None:
    """What is known of a partner."""
    row = await connection.fetchrow(f"{_SELECT} WHERE partner_id = $1", partner_id)
    return _read(row) if row else None


async def find_all(connection: Connection, partner_ids: Sequence[str]) -> dict[str, Partner]:
    """Those of the partners that something is known of, by id."""
    rows = await connection.fetch(f"{_SELECT} WHERE partner_id = ANY($1)", partner_ids)
    return {row["partner_id"]: _read(row) for row in rows}


async def find_or_name(connection: Connection, partner_id: str) -> Partner:
    """The partner; by its id alone if nothing is known of it."""
    return await find(connection, partner_id) or Partner(partner_id, partner_id)
