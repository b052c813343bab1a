"""API keys: made once, shown once, known by their hash."""

from dataclasses import dataclass
from enum import StrEnum

from consentflow.domain.acts import Actor, of_key
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


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever uses an API key."""

    role: Role
    name: str

    @property
    def actor(self) -> Actor:
        """As the ledger names it."""
        return of_key(self.name)


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

    async def caller_of(self, key: str) -> Caller | None:
        """Who uses a key, None if it is unknown or revoked."""
        async with self._database.transaction() as connection:
            found = await keys.find(connection, hash_token(key))
        return Caller(Role(found.role), found.name) if found else None
