"""What a lead can choose by the link in its mails: the language, to withdraw its consent, to be left alone."""

from dataclasses import dataclass
from enum import StrEnum

from consentflow.domain.clock import Clock
from consentflow.domain.consent import CONSENT, Fact, Record
from consentflow.domain.letters import Language
from consentflow.domain.policy import Policy
from consentflow.domain.registrations import State
from consentflow.domain.secrets import hash_token
from consentflow.operations.consent import object_to_contact
from consentflow.operations.weighing import Weighing
from consentflow.storage import contacts, facts, ledger, registrations, tokens
from consentflow.storage.pool import Connection, Database
from consentflow.storage.tokens import Token


class Standing(StrEnum):
    """What holds for a lead now."""

    CONSENTED = "consented"
    HELD = "held"
    """We hold its data without a consent."""
    ERASED = "erased"
    """We hold no data; a partner may give it to us again."""
    STOPPED = "stopped"
    """We hold no data, and shall not write whatever a partner gives us."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Where a lead stands, and the language it is written to in."""

    standing: Standing
    language: Language


class Preferences:
    """The operations behind the page of choices. Each answers None for a link that cannot be used.

    The link may be used as often as its owner likes; doing the same again changes nothing.
    """

    def __init__(self, database: Database, clock: Clock, policy: Policy) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy

    async def look_up(self, token: str) -> Choices | None:
        """Where the lead stands; changes nothing."""
        async with self._database.transaction() as connection:
            found = await self._find(connection, token)
            return await self._choices(connection, found) if found else None

    async def set_language(self, token: str, language: Language) -> Choices | None:
        """Mails to the lead are written in this language from now on."""
        async with self._database.transaction() as connection:
            found = await self._find(connection, token)
            if found is None:
                return None
            await contacts.set_language(connection, found.subject, language)
            return await self._choices(connection, found)

    async def withdraw(self, token: str) -> Choices | None:
        """The lead withdraws its consent (GDPR Art. 7(3)): earlier consents count no more.

        Its confirmed registrations are withdrawn, and the personal data goes with the last registration that rests on
        another ground. A later registration may ask again.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            found = await self._find(connection, token)
            if found is None:
                return None
            weighing = await Weighing.of(connection, self._policy, found.subject, now)
            if Record(weighing.facts).consented:
                await weighing.record(Fact.CONSENT_WITHDRAWN, now)
                weighing.facts -= CONSENT
                await ledger.append(connection, now, "consent_withdrawn", {"how": "button"}, subject=found.subject)
                for confirmed in await registrations.find_in_state(connection, found.subject, State.CONFIRMED):
                    await weighing.move(confirmed, State.WITHDRAWN, "withdrawn_by_lead")
                await weighing.reconsider()
                await weighing.forget_unless_needed()
            return await self._choices(connection, found)

    async def object(self, token: str) -> Choices | None:
        """The lead objects to any contact (GDPR Art. 21)."""
        async with self._database.transaction() as connection:
            found = await self._find(connection, token)
            if found is None:
                return None
            weighing = await Weighing.of(connection, self._policy, found.subject, self._clock.now())
            await object_to_contact(weighing)
            return await self._choices(connection, found)

    async def _find(self, connection: Connection, token: str) -> Token | None:
        found = await tokens.find(connection, hash_token(token), "preferences")
        return found if found and found.expires_at > self._clock.now() else None

    async def _choices(self, connection: Connection, token: Token) -> Choices:
        contact = await contacts.find(connection, token.subject)
        record = Record(await facts.of_subject(connection, token.subject))
        if record.suppressed_by:
            standing = Standing.STOPPED
        elif contact is None:
            standing = Standing.ERASED
        else:
            standing = Standing.CONSENTED if record.consented else Standing.HELD
        chosen = contact.language if contact else None
        return Choices(standing, Language(chosen) if chosen in set(Language) else token.language)
