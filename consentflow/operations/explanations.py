"""Why a lead was mailed or not: everything that an officer must see to explain one registration."""

from dataclasses import dataclass

from consentflow.domain.acts import Actor
from consentflow.domain.clock import Clock
from consentflow.operations.audit import note_view
from consentflow.operations.registrations import Registrations, Standing
from consentflow.storage import contacts, facts, mail_records, partners, questions
from consentflow.storage.contacts import Contact
from consentflow.storage.facts import RecordedFact
from consentflow.storage.mail_records import MailRecord
from consentflow.storage.pool import Database


@dataclass(frozen=True, slots=True)
class Explanation:
    """A registration with what led to its decision and what came of it.

    Args:
        partner: The partner's name, if we were told.
        contact: The person; None when erased.
        registrant: The person who registered it; None when nobody was named, or when erased.
        facts: On record about the person, in the order they were heard of.
        mails: The letters that this registration sent, oldest first.
        asked_by: The registration whose question it joined; None when it asks its own, or none.
    """

    standing: Standing
    partner: str | None
    contact: Contact | None
    registrant: Contact | None
    facts: list[RecordedFact]
    mails: list[MailRecord]
    asked_by: str | None


class Explanations:
    """Reads what explains a registration; all that changes is that the look is noted."""

    def __init__(self, database: Database, clock: Clock, registrations: Registrations) -> None:
        self._database = database
        self._clock = clock
        self._registrations = registrations

    async def explain(self, registration_id: str, actor: Actor) -> Explanation:
        """The registration and all that belongs to it.

        Args:
            actor: Who looks at it.

        Raises:
            NotFound: No such registration.
        """
        standing = await self._registrations.find(registration_id)
        registration = standing.registration
        async with self._database.transaction() as connection:
            partner = await partners.find(connection, registration.partner_id)
            registrant, question_id = registration.registered_by, registration.question_id
            question = await questions.find(connection, question_id) if question_id else None
            joined = question and question.registration_id != registration_id
            seen = f"registration {registration_id}"
            await note_view(connection, self._clock.now(), actor, registration.subject, seen)
            return Explanation(
                standing=standing,
                partner=partner.name if partner else None,
                contact=await contacts.find(connection, registration.subject),
                registrant=await contacts.find(connection, registrant) if registrant else None,
                facts=await facts.history(connection, registration.subject),
                mails=await mail_records.of_registration(connection, registration_id),
                asked_by=question.registration_id if question and joined else None,
            )
