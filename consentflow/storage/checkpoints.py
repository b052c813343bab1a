"""Signed checkpoints over the ledger, one a day."""

import asyncpg

from consentflow.domain.evidence import Checkpoint, Seal
from consentflow.storage.pool import Connection

_SELECT = """
    SELECT day, up_to_entry, previous_root, root, leaf_count, signed_at, signature, public_key FROM checkpoints
"""


def _read(row: asyncpg.Record) -> Checkpoint:
    *seal, signature, public_key = row
    return Checkpoint(Seal(*seal), signature, public_key)


async def take_turn(connection: Connection) -> None:
    """Makes this transaction the only one that makes a checkpoint."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('checkpoint', 2))")


async def insert(connection: Connection, checkpoint: Checkpoint) -> None:
    """Keeps a checkpoint."""
    seal = checkpoint.seal
    await connection.execute(
        """
        INSERT INTO checkpoints (day, up_to_entry, previous_root, root, leaf_count, signed_at, signature, public_key)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        seal.day,
        seal.up_to_entry,
        seal.previous_root,
        seal.root,
        seal.leaf_count,
        seal.signed_at,
        checkpoint.signature,
        checkpoint.public_key,
    )


async def find_latest(connection: Connection) -> Checkpoint | None:
    """The checkpoint of the latest day."""
    row = await connection.fetchrow(f"{_SELECT} ORDER BY day DESC LIMIT 1")
    return _read(row) if row else None


async def find_newest(connection: Connection, most: int) -> list[Checkpoint]:
    """The checkpoints of the latest days, newest first."""
    return [_read(row) for row in await connection.fetch(f"{_SELECT} ORDER BY day DESC LIMIT $1", most)]


async def find_all(connection: Connection) -> list[Checkpoint]:
    """Every checkpoint by day: some hundreds a year."""
    return [_read(row) for row in await connection.fetch(f"{_SELECT} ORDER BY day")]
