"""API keys: made once, shown once, known by their hash."""

from dataclasses import dataclass
from enum import StrEnum
from time import monotonic

from consentflow.domain.acts import Actor, of_key
from consentflow.domain.clock import Clock
from consentflow.domain.errors import Conflict
from consentflow.domain.secrets import hash_token, new_token
from consentflow.storage import keys, ledger
from consentflow.storage.pool import Database

REMEMBERED = 2.0
"""Seconds."""


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
    """The operations on API keys.

    A key that was found is remembered for `REMEMBERED`: nearly every request comes with one that was just there, and
    looking it up would be a fifth of the work. A key that is revoked works for that much longer, in each process; one
    that is unknown is looked up every time, so that a new key works at once and guesses fill no memory.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._remembered: dict[bytes, tuple[Caller, float]] = {}

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
        """Who uses a key, None if it is unknown or was revoked."""
        hashed, now = hash_token(key), monotonic()
        caller, until = self._remembered.get(hashed, (None, 0.0))
        if caller and now < until:
            return caller
        async with self._database.transaction() as connection:
            found = await keys.find(connection, hashed)
        if found is None:
            self._remembered.pop(hashed, None)
            return None
        caller = Caller(Role(found.role), found.name)
        self._remembered[hashed] = caller, now + REMEMBERED
        return caller
