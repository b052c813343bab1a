"""What companies did while a partner owned them: by the hour, without an address, an event or an exact time."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from consentflow.domain.notifications import Action, Happened
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an action is counted.

    Args:
        partner_id: Whoever owned the company.
        hour: When the hour began, UTC.
    """

    partner_id: str
    domain: str
    action: Action
    hour: datetime


async def add(connection: Connection, counts: Mapping[Place, int]) -> None:
    """Counts actions, a row for each place; in one order, so that two batches never wait for each other."""
    places = sorted(counts)
    await connection.execute(
        """
        INSERT INTO company_actions AS counted (partner_id, domain, action, hour, count)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::bigint[])
        ON CONFLICT (partner_id, domain, action, hour) DO UPDATE SET count = counted.count + excluded.count
        """,
        [place.partner_id for place in places],
        [place.domain for place in places],
        [place.action for place in places],
        [place.hour for place in places],
        [counts[place] for place in places],
    )


async def since(
    connection: Connection, partner_id: str, domains: Collection[str], beginning: datetime
) -> list[Happened]:
    """What a partner's companies did from an hour on, the latest first."""
    rows = await connection.fetch(
        """
        SELECT domain, action, hour, count FROM company_actions
        WHERE partner_id = $1 AND domain = ANY($2) AND hour >= $3 ORDER BY hour DESC, domain, action
        """,
        partner_id,
        domains,
        beginning,
    )
    return [Happened(row["domain"], Action(row["action"]), row["hour"], row["count"]) for row in rows]
