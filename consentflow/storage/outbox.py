"""The outbox: what Temporal must hear of, written in the same transaction as the state it is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consentflow import tracing
from consentflow.storage import trail
from consentflow.storage.pool import Connection, write_at_the_end
from consentflow.storage.trail import CHANNEL, NewMessage

__all__ = ["CHANNEL"]
Payload = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class Row:
    """A message to Temporal that nobody has taken yet."""

    outbox_id: int
    topic: str
    payload: Payload
    attempts: int

    @property
    def trace(self) -> str | None:
        """The ``traceparent`` of what wrote it, if that was traced."""
        trace = self.payload.get("traceparent")
        return trace if isinstance(trace, str) else None


async def write(connection: Connection, topic: str, payload: Payload) -> None:
    """Adds a message and wakes the relay when the transaction commits."""
    await write_all(connection, topic, [payload])


async def write_all(connection: Connection, topic: str, payloads: Sequence[Payload]) -> None:
    """Adds several messages of one topic and wakes the relay when the transaction commits."""
    trace = tracing.current()
    origin = {"traceparent": trace} if trace else {}
    await write_at_the_end(connection, trail.write, [NewMessage(topic, {**payload, **origin}) for payload in payloads])


async def claim(connection: Connection, most: int) -> list[Row]:
    """Takes up to `most` messages that are ready, oldest first, for as long as the transaction lasts.

    Two relays never hold the same message; if one dies, its transaction ends and the messages are free again.
    """
    rows = await connection.fetch(
        """
        SELECT outbox_id, topic, payload, attempts FROM outbox
        WHERE ready_at <= now() ORDER BY ready_at, outbox_id LIMIT $1 FOR UPDATE SKIP LOCKED
        """,
        most,
    )
    return [Row(**row) for row in rows]


async def delivered(connection: Connection, outbox_ids: list[int]) -> None:
    """Removes messages that Temporal has taken."""
    await connection.execute("DELETE FROM outbox WHERE outbox_id = ANY($1)", outbox_ids)


async def postpone(connection: Connection, outbox_ids: list[int], delay: timedelta) -> None:
    """Keeps messages for a later try."""
    await connection.execute(
        "UPDATE outbox SET attempts = attempts + 1, ready_at = clock_timestamp() + $2 WHERE outbox_id = ANY($1)",
        outbox_ids,
        delay,
    )


async def depth(connection: Connection) -> tuple[int, datetime | None]:
    """How many messages wait, and since when the oldest does."""
    row = await connection.fetchrow("SELECT count(*) AS waiting, min(written_at) AS oldest FROM outbox")
    assert row is not None  # noqa: S101 - an aggregate always answers with one row
    return row["waiting"], row["oldest"]
