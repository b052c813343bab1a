"""What is still to come, and what is overdue."""

from datetime import datetime

from consentflow.storage.pool import Connection


async def next_due(connection: Connection, after: datetime) -> datetime | None:
    """The next instant at which a mail is due or a question closes."""
    instant: datetime | None = await connection.fetchval(
        """
        SELECT least(
            (SELECT min(due_at) FROM registrations WHERE state IN ('accepted', 'waiting') AND due_at > $1),
            (SELECT min(answer_until) FROM questions WHERE outcome IS NULL AND answer_until > $1)
        )
        """,
        after,
    )
    return instant


async def overdue(connection: Connection, at: datetime) -> int:
    """How many registrations and questions should have moved on by that instant."""
    count: int = await connection.fetchval(
        """
        SELECT (SELECT count(*) FROM registrations WHERE state IN ('accepted', 'waiting') AND due_at <= $1)
             + (SELECT count(*) FROM questions WHERE outcome IS NULL AND answer_until <= $1)
        """,
        at,
    )
    return count
