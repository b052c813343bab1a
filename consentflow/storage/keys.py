"""API keys; only their hashes are kept."""

from dataclasses import dataclass
from datetime import datetime

from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What a key stands for."""

    name: str
    role: str


async def insert(connection: Connection, name: str, role: str, key_sha256: bytes, at: datetime) -> bool:
    """Keeps a new key; False when a key of that name is in force."""
    done: str = await connection.execute(
        """
        INSERT INTO api_keys (name, role, key_sha256, created_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (name) DO NOTHING
        """,
        name,
        role,
        key_sha256,
        at,
    )
    return done == "INSERT 0 1"


async def find(connection: Connection, key_sha256: bytes) -> StoredKey | None:
    """The key in force with that hash."""
    row = await connection.fetchrow(
        "SELECT name, role FROM api_keys WHERE key_sha256 = $1 AND revoked_at IS NULL", key_sha256
    )
    return StoredKey(**row) if row else None
