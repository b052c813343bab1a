"""What waits, counted: open data-source requests by deadline."""

from consentflow.domain.source_requests import SourceState
from consentflow.domain.worklist import Open
from consentflow.storage.pool import Connection


async def count_open(connection: Connection) -> list[Open]:
    """How many open requests share each deadline. A paused one waits for whoever asked until its pause ends."""
    rows = await connection.fetch(
        """
        SELECT deadline, state = ANY($1) AS requester, count(*) AS count
        FROM source_requests WHERE closed_at IS NULL GROUP BY deadline, requester ORDER BY deadline
        """,
        [SourceState.RECEIVED, SourceState.IDENTITY_PENDING],
    )
    return [Open(**row) for row in rows]
