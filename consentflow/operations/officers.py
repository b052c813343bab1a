"""Privacy officers: whom the console lets in."""

from enum import StrEnum

from consentflow.domain.addresses import Subject, read_mailbox, subject_of
from consentflow.domain.clock import Clock
from consentflow.domain.letters import Language
from consentflow.domain.secrets import derive_key
from consentflow.domain.sign_in import Door
from consentflow.storage import ledger, officers, sessions
from consentflow.storage.officers import Officer
from consentflow.storage.pool import Database


class OfficerRole(StrEnum):
    """What an officer may do; ``admin`` may do everything."""

    OFFICER = "officer"
    ADMIN = "admin"


class Officers:
    """The operations on officers."""

    def __init__(self, database: Database, clock: Clock, secret: str) -> None:
        self._database = database
        self._clock = clock
        self._subject_key = derive_key(secret, "subject")

    async def add(self, address: str, role: OfficerRole, language: Language) -> Officer:
        """Lets somebody into the console; for an officer who is there already, changes role and language.

        Raises:
            InvalidInput: This is no address.
        """
        mailbox, now = read_mailbox(address), self._clock.now()
        officer = Officer(subject_of(mailbox, self._subject_key), mailbox.address, role.value, language, now)
        async with self._database.transaction() as connection:
            await officers.keep(connection, officer)
            await ledger.append(connection, now, "officer_added", {"role": role.value}, subject=officer.subject)
        return officer

    async def remove(self, address: str) -> bool:
        """Lets somebody in no more, and ends its sessions at once; False when it was no officer.

        Raises:
            InvalidInput: This is no address.
        """
        subject, now = subject_of(read_mailbox(address), self._subject_key), self._clock.now()
        async with self._database.transaction() as connection:
            if not await officers.remove(connection, subject):
                return False
            await sessions.end_all(connection, subject, Door.CONSOLE)
            await ledger.append(connection, now, "officer_removed", {}, subject=subject)
            return True

    async def find(self, subject: Subject) -> Officer | None:
        """The officer behind a pseudonym."""
        async with self._database.transaction() as connection:
            return await officers.find(connection, subject)

    async def find_all(self) -> list[Officer]:
        """Every officer, by address."""
        async with self._database.transaction() as connection:
            return await officers.find_all(connection)
