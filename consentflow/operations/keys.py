"""API keys: made once, shown once, known by their hash."""

from enum import StrEnum

from consentflow.domain.clock import Clock
from consentflow.domain.errors import Conflict
from consentflow.domain.secrets import hash_token, new_token
from consentflow.storage import keys, ledger
from consentflow.storage.pool import Database


class Role(StrEnum):
    """What a key may do; ``admin`` may do everything."""

    REGISTRAR = "registrar"
    TRACKER = "tracker"
    OFFICER = "officer"
    ADMIN = "admin"


class Keys:
    """The operations on API keys."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, role: Role, name: str) -> str:
        """Makes a key and returns it: the only time it can be seen.

        Raises:
            Conflict: A key of that name exists.
        """
        key = f"cf_{role.value}_{new_token()}{new_token()}"
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if not await keys.insert(connection, name, role.value, hash_token(key), now):
                raise Conflict("A key of that name exists.")
            await ledger.append(connection, now, "key_created", {"name": name, "role": role.value})
        return key

    async def role_of(self, key: str) -> Role | None:
        """The role a key gives, None if it is unknown or revoked."""
        async with self._database.transaction() as connection:
            role = await keys.find_role(connection, hash_token(key))
        return Role(role) if role else None
