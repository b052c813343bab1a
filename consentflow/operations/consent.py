"""What a lead does by the links of its mails: the confirmation, the objection."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from consentflow.domain.clock import Clock
from consentflow.domain.consent import Fact, Record
from consentflow.domain.letters import Language
from consentflow.domain.policy import Policy
from consentflow.domain.registrations import State
from consentflow.domain.secrets import hash_token
from consentflow.operations.weighing import Weighing
from consentflow.storage import contacts, facts, ledger, mails, questions, registrations, tokens
from consentflow.storage.pool import Connection, Database, lock_subject
from consentflow.storage.tokens import Token

FETCHES_COUNT_ONCE_IN = timedelta(hours=1)
"""A link that is fetched again within this time leaves no second entry."""


class LinkState(StrEnum):
    """What following a link leads to."""

    OPEN = "open"
    """The button can be pressed."""
    DONE = "done"
    """It has been pressed; pressing again is friendly and changes nothing."""
    UNUSABLE = "unusable"
    """Unknown, expired or overtaken; tells nothing."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link in a mail, looked up. ``language`` is the mail's, None when the link is unknown."""

    state: LinkState
    language: Language | None = None


class Consent:
    """The operations on what leads say."""

    def __init__(self, database: Database, clock: Clock, policy: Policy) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy

    async def look_up(self, purpose: str, token: str) -> Link:
        """What a link leads to; changes nothing."""
        async with self._database.transaction() as connection:
            return await self._link(connection, await tokens.find(connection, hash_token(token), purpose))

    async def fetch(self, token: str) -> Link:
        """The link of a double opt-in was fetched; what it leads to.

        Mail scanners fetch links as people do, so this is evidence that the mail arrived and none of consent. It is
        recorded while the button can be pressed, once per link within `FETCHES_COUNT_ONCE_IN`; nothing else changes.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            found = await tokens.find(connection, hash_token(token), "confirm")
            link = await self._link(connection, found)
            if link.state is LinkState.OPEN and found:
                await lock_subject(connection, found.subject)
                asked = await _what_was_asked(connection, found)
                since = now - FETCHES_COUNT_ONCE_IN
                if not await ledger.knows_since(connection, found.subject, "link_fetched", asked, since):
                    await ledger.append(connection, now, "link_fetched", asked, subject=found.subject)
            return link

    async def confirm(self, token: str) -> Link:
        """The button of a double opt-in was pressed: the evidence of consent (GDPR Art. 7(1), BGH I ZR 164/09).

        Every registration that shares the question is confirmed. Pressing again, or at the same time, changes
        nothing more.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            found = await tokens.find(connection, hash_token(token), "confirm")
            if found is None or found.question_id is None:
                return Link(LinkState.UNUSABLE)
            weighing = await Weighing.of(connection, self._policy, found.subject, now)
            found = await tokens.find(connection, hash_token(token), "confirm") or found  # as it is under the lock
            link = await self._link(connection, found)
            if link.state is LinkState.OPEN and await tokens.use(connection, hash_token(token), now):
                await weighing.record(Fact.CONFIRMED, now)
                await ledger.append(
                    connection,
                    now,
                    "consent_given",
                    {"how": "button", **await _what_was_asked(connection, found)},
                    subject=found.subject,
                )
                await weighing.conclude("confirmed", State.CONFIRMED, "confirmed")
                await weighing.reconsider()
                return Link(LinkState.DONE, found.language)
            return link

    async def object(self, token: str) -> Link:
        """The lead objects through the link of a mail (GDPR Art. 21): no mail to this mailbox any more.

        Its personal data goes; the pseudonym stays on record so that a later registration does not mail it again.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            found = await tokens.find(connection, hash_token(token), "unsubscribe")
            if found is None or found.expires_at <= now:
                return Link(LinkState.UNUSABLE)
            weighing = await Weighing.of(connection, self._policy, found.subject, now)
            if await tokens.use(connection, hash_token(token), now):
                await object_to_contact(weighing)
            return Link(LinkState.DONE, found.language)

    async def _link(self, connection: Connection, found: Token | None) -> Link:
        if found is None or not await self._alive(connection, found):
            return Link(LinkState.UNUSABLE, found.language if found else None)
        return Link(LinkState.DONE if found.used_at else LinkState.OPEN, found.language)

    async def _alive(self, connection: Connection, token: Token) -> bool:
        if token.expires_at <= self._clock.now():
            return False
        if token.question_id is None:
            return True
        question = await questions.find(connection, token.question_id)
        record = Record(await facts.of_subject(connection, token.subject))
        if question is None or record.suppressed_by:
            return False
        # A consent that was taken back since leaves nothing to say yes to: the data is gone.
        return question.outcome is None or (question.outcome == "confirmed" and record.consented)


async def object_to_contact(weighing: Weighing) -> None:
    """The lead objects by a link of ours; again changes nothing."""
    if Fact.OBJECTED not in weighing.facts:
        await weighing.record(Fact.OBJECTED, weighing.at)
        await ledger.append(weighing.connection, weighing.at, "objected", {"how": "link"}, subject=weighing.subject)
        await weighing.reconsider()
    await forget_if_suppressed(weighing)


async def _what_was_asked(connection: Connection, token: Token) -> dict[str, str | int | bool | None]:
    """The question that a link answers, in the mail that it was in."""
    version = await mails.text_version(connection, token.mail_id) if token.mail_id else None
    asked = {
        "question_id": str(token.question_id),
        "mail_id": str(token.mail_id) if token.mail_id else None,
        "text_version": version,
        "language": token.language.value,
    }
    return {name: value for name, value in asked.items() if value is not None}


async def forget_if_suppressed(weighing: Weighing) -> None:
    """A suppressed person's data goes, and with it what a consent allowed: it is withdrawn by objecting."""
    if Record(weighing.facts).suppressed_by is None:
        return
    for confirmed in await registrations.find_in_state(weighing.connection, weighing.subject, State.CONFIRMED):
        await weighing.move(confirmed, State.SUPPRESSED, "suppressed")
    await contacts.erase(weighing.connection, weighing.subject)
