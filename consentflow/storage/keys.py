"""API keys; only their hashes are kept."""

from datetime import datetime

from consentflow.storage.pool import Connection


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


async def find_role(connection: Connection, key_sha256: bytes) -> str | None:
    """The role of a key in force."""
    role: str | None = await connection.fetchval(
        "SELECT role FROM api_keys WHERE key_sha256 = $1 AND revoked_at IS NULL", key_sha256
    )
    return role
