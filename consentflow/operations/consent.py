"""What a contact does that matters to the law: consent events, the confirmation, the objection."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from consentflow.domain.addresses import Subject, read_mailbox, subject_of
from consentflow.domain.clock import Clock
from consentflow.domain.consent import FACT_OF_EVENT, Fact, Record
from consentflow.domain.errors import InvalidInput
from consentflow.domain.events import CloudEvent
from consentflow.domain.intake import CLOCK_SKEW
from consentflow.domain.letters import Language
from consentflow.domain.policy import Policy
from consentflow.domain.registrations import State
from consentflow.domain.secrets import derive_key, hash_token
from consentflow.operations.weighing import Weighing
from consentflow.storage import contacts, facts, ledger, mails, questions, registrations, tokens
from consentflow.storage.pool import Connection, Database, lock_subject
from consentflow.storage.tokens import Token

FETCHES_COUNT_ONCE_IN = timedelta(hours=1)
"""A link that is fetched again within this time leaves no second entry."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a batch of events."""

    accepted: int = 0
    duplicate: int = 0
    unmatched: int = 0


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
    """The operations on what contacts say and do."""

    def __init__(self, database: Database, clock: Clock, policy: Policy, secret: str) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._subject_key = derive_key(secret, "subject")

    async def record_events(self, events: Sequence[CloudEvent]) -> Counts:
        """Puts consent events on record, each once by source and id, and weighs the subjects' registrations again.

        Events may come before the registration, late, twice and out of order. Types that concern no contact, and
        consent events without an address, match nothing.

        Raises:
            InvalidInput: One claims to have happened in the future; nothing of the batch is kept.
            StorageUnavailable: Nothing was kept.
        """
        now = self._clock.now()
        for index, event in enumerate(events):
            if event.occurred_at and event.occurred_at > now + CLOCK_SKEW:
                member = "data/occurred_at" if event.data.occurred_at else "time"
                raise InvalidInput(f"/{index}/{member}", "in_the_future", "lies in the future")
        told: dict[Subject, list[tuple[CloudEvent, Fact]]] = {}
        unmatched = 0
        for event in events:
            fact = FACT_OF_EVENT.get(event.type)
            if fact is None or event.data.email is None:
                unmatched += 1
            else:
                subject = subject_of(read_mailbox(event.data.email), self._subject_key)
                told.setdefault(subject, []).append((event, fact))
        accepted = duplicate = 0
        async with self._database.transaction() as connection:
            for subject, happened in sorted(told.items()):  # one order of locks for every batch
                weighing = await Weighing.of(connection, self._policy, subject, now)
                news = 0
                for event, fact in happened:
                    if not await facts.first_seen(connection, event.source, event.id, event.type, now):
                        duplicate += 1
                        continue
                    news += 1
                    occurred_at = event.occurred_at or now
                    await weighing.record(fact, occurred_at)
                    detail = {"fact": fact.value, "occurred_at": occurred_at.isoformat()}
                    await ledger.append(connection, now, "consent_event", detail, subject=subject)
                accepted += news
                if news:
                    await weighing.reconsider()
                    await _forget_if_suppressed(weighing)
        return Counts(accepted, duplicate, unmatched)

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
    await _forget_if_suppressed(weighing)


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


async def _forget_if_suppressed(weighing: Weighing) -> None:
    """A suppressed person's data goes, and with it what a consent allowed: it is withdrawn by objecting."""
    if Record(weighing.facts).suppressed_by is None:
        return
    for confirmed in await registrations.find_in_state(weighing.connection, weighing.subject, State.CONFIRMED):
        await weighing.move(confirmed, State.SUPPRESSED, "suppressed")
    await contacts.erase(weighing.connection, weighing.subject)
