"""Everything that is held about one person, in every role, as an officer looks at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from consentflow.domain.acts import Actor
from consentflow.domain.addresses import Subject
from consentflow.domain.clock import Clock
from consentflow.domain.errors import InvalidInput
from consentflow.domain.paging import Mark, Page
from consentflow.domain.partners import Subscriber
from consentflow.operations.audit import note_view
from consentflow.operations.search import PAGE, registrations_page
from consentflow.storage import contacts, facts, mail_records, officers, search, subscribers
from consentflow.storage.contacts import Contact
from consentflow.storage.facts import RecordedFact
from consentflow.storage.mail_records import MailRecord
from consentflow.storage.pool import Connection, Database
from consentflow.storage.search import RequestSummary, Summary


class Part(StrEnum):
    """The lists of a dossier that may go on and on."""

    REGISTRATIONS = "registrations"
    MADE = "made"
    """Registrations that the person made for a partner."""
    MAILS = "mails"


@dataclass(frozen=True, slots=True)
class Dossier:
    """What is held about a person; the lists that can be long hold their newest entries.

    Args:
        contact: Address and name, as a lead or as somebody who registers; None when there are none.
        facts: In the order they were heard of.
        subscriptions: To notifications of partners.
        is_officer: Whether the person may enter the console.
    """

    subject: Subject
    contact: Contact | None
    registrations: Page[Summary]
    made: Page[Summary]
    facts: Sequence[RecordedFact]
    mails: Page[MailRecord]
    requests: Sequence[RequestSummary]
    subscriptions: Sequence[Subscriber]
    is_officer: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is held."""
        return not (
            self.contact
            or self.registrations.entries
            or self.made.entries
            or self.facts
            or self.mails.entries
            or self.requests
            or self.subscriptions
            or self.is_officer
        )


class Dossiers:
    """Reads what is held about people; all that changes is that the look is noted."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, subject: Subject, actor: Actor) -> Dossier:
        """Everything about a person; empty for somebody of whom nothing is held.

        Args:
            actor: Who looks at it.
        """
        async with self._database.transaction() as connection:
            dossier = Dossier(
                subject=subject,
                contact=await contacts.find(connection, subject),
                registrations=await registrations_page(connection, "subject", subject),
                made=await registrations_page(connection, "registered_by", subject),
                facts=await facts.history(connection, subject),
                mails=await _mails(connection, subject),
                requests=await search.requests(connection, subject),
                subscriptions=await subscribers.of_person(connection, subject),
                is_officer=await officers.find(connection, subject) is not None,
            )
            if not dossier.is_empty:
                await note_view(connection, self._clock.now(), actor, subject, "person")
            return dossier

    async def go_on(self, subject: Subject, part: Part, after: Mark, actor: Actor) -> Page[Summary] | Page[MailRecord]:
        """Further entries of a list.

        Raises:
            InvalidInput: The mark is of another list.
        """
        async with self._database.transaction() as connection:
            await note_view(connection, self._clock.now(), actor, subject, "person")
            match part:
                case Part.REGISTRATIONS:
                    return await registrations_page(connection, "subject", subject, after)
                case Part.MADE:
                    return await registrations_page(connection, "registered_by", subject, after)
                case Part.MAILS:
                    return await _mails(connection, subject, after)


async def _mails(connection: Connection, subject: Subject, after: Mark | None = None) -> Page[MailRecord]:
    if after is not None:
        _insist_on_uuid(after.key)
    found = await mail_records.of_subject(connection, subject, after, PAGE + 1)
    return Page(found[:PAGE], found[PAGE - 1].mark if len(found) > PAGE else None)


def _insist_on_uuid(text: str) -> None:
    try:
        UUID(text)
    except ValueError:
        raise InvalidInput("/after", "invalid_mark", "is not a mark of this list") from None
