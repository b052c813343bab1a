"""Which events have been seen, so that a repeated one changes nothing."""

from collections.abc import Sequence
from datetime import datetime

from consentflow.storage.pool import Connection

Key = tuple[str, str]
"""Source and id of an event."""


async def note_new(connection: Connection, keys: Sequence[Key], types: Sequence[str], hour: datetime) -> set[Key]:
    """Notes events, each key once; returns those that were not seen before.

    A purchase whose event is forgotten stays known by its credit.

    Args:
        hour: When they were heard of; nothing finer is kept.
    """
    sources, ids = [key[0] for key in keys], [key[1] for key in keys]
    rows = await connection.fetch(
        """
        INSERT INTO events (source, event_id, type, recorded_at)
        SELECT source, event_id, type, $4
        FROM unnest($1::text[], $2::text[], $3::text[]) AS told (source, event_id, type)
        WHERE NOT EXISTS (
            SELECT FROM credits WHERE credits.source = told.source AND credits.event_id = told.event_id
        )
        ORDER BY source COLLATE "C", event_id COLLATE "C"
        ON CONFLICT DO NOTHING RETURNING source, event_id
        """,
        sources,
        ids,
        types,
        hour,
    )
    return {(row["source"], row["event_id"]) for row in rows}


async def seen(connection: Connection, keys: Sequence[Key]) -> set[Key]:
    """Those of the events that were seen before."""
    sources, ids = [key[0] for key in keys], [key[1] for key in keys]
    rows = await connection.fetch(
        """
        SELECT source, event_id FROM unnest($1::text[], $2::text[]) AS told (source, event_id)
        WHERE EXISTS (SELECT FROM events WHERE events.source = told.source AND events.event_id = told.event_id)
            OR EXISTS (SELECT FROM credits WHERE credits.source = told.source AND credits.event_id = told.event_id)
        """,
        sources,
        ids,
    )
    return {(row["source"], row["event_id"]) for row in rows}
