"""Taking registrations: a set of them in one transaction, each as if it had come by itself and in its turn.

Whatever the set touches is locked and read at once. Each request is then decided in memory, in order, so that a later
one meets what an earlier one did: it joins its question, finds its company owned, repeats or contradicts it. What
follows is written at once.
"""

import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from consentflow import tracing
from consentflow.domain.addresses import Mailbox, Subject, read_mailbox, subject_of
from consentflow.domain.companies import CompanyRefusal, read_company_domain
from consentflow.domain.errors import Conflict, InvalidInput, LeadUnavailable, RegistrationConflict
from consentflow.domain.intake import CLOCK_SKEW, RegistrationIn
from consentflow.domain.locations import Location, read_location
from consentflow.domain.policy import Policy, Regime
from consentflow.domain.registrations import HOLDS_NO_CONTACT, OWNERSHIP, Registration, State
from consentflow.operations.deals import insist_on_a_deal, name_specialist
from consentflow.operations.weighing import Weighing
from consentflow.storage import companies, ledger, registrations, taking
from consentflow.storage.companies import Ownership
from consentflow.storage.contacts import Contact
from consentflow.storage.ledger import Entry
from consentflow.storage.pool import Connection, lock_subjects_and_companies
from consentflow.storage.questions import AskedQuestion
from consentflow.storage.taking import New

_REFUSALS = {
    "customer": ("existing_customer", "The company is already a customer."),
    "in_sales_process": ("active_sales_process", "The company is in an active sales process."),
    "owned_by_representative": ("owned_by_representative", "The company belongs to a representative of the vendor."),
}
_TAKEN = ("owned_by_other_partner", "The company is registered by another partner.")


@dataclass(frozen=True, slots=True)
class Standing:
    """A registration with everything a caller is told about it.

    Args:
        owned_until: Until when its partner owns the company, UTC; None when it does not.
        as_of: The instant the standing is true of.
    """

    registration: Registration
    owned_until: datetime | None
    timeline: list[Entry]
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """A registration that was taken, now or before.

    Args:
        new: False when the same was taken before.
    """

    standing: Standing
    new: bool


class TakenMeanwhileError(Exception):
    """Somebody else took one of the ids while the set was being taken; nothing of the set may stay."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whom a request names."""

    subject: Subject
    mailbox: Mailbox

    @classmethod
    def read(cls, address: str, key: bytes) -> Self:
        """Who that is; `key` makes the pseudonym."""
        mailbox = read_mailbox(address)
        return cls(subject_of(mailbox, key), mailbox)


@dataclass(frozen=True, slots=True)
class Application:
    """A request to register, with all that can be read from it alone.

    Args:
        company: The registrable domain, or why nobody can own it.
        trace: What the request is part of.
    """

    request: RegistrationIn
    fingerprint: bytes
    lead: Person
    registrant: Person | None
    specialist: Person | None
    company: str | CompanyRefusal
    location: Location
    trace: str | None = None

    @classmethod
    def read(
        cls, request: RegistrationIn, subject_key: bytes, fingerprint_key: bytes, *, trace: str | None = None
    ) -> Self:
        """Reads a request."""
        registrant, specialist = request.registered_by, request.growth_specialist
        lead = Person.read(request.contact.email, subject_key)
        return cls(
            request=request,
            fingerprint=request.fingerprint(fingerprint_key),
            lead=lead,
            registrant=Person.read(registrant, subject_key) if registrant else None,
            specialist=Person.read(specialist, subject_key) if specialist else None,
            company=read_company_domain(request.company.domain if request.company else None, lead.mailbox),
            location=read_location(request.country),
            trace=trace,
        )

    @property
    def domain(self) -> str | None:
        """The domain that its partner would own."""
        return None if isinstance(self.company, CompanyRefusal) else self.company

    @property
    def contact(self) -> Contact:
        """The lead as it was described."""
        told = self.request.contact
        return Contact(self.lead.subject, self.lead.mailbox.address, told.given_name, told.family_name, told.language)


@dataclass(slots=True)
class Taking:
    """A set that is being taken.

    Args:
        known: By id, registrations that were taken before, by this set or earlier.
        timelines: What happened to them.
        owners: By domain, who owns the companies in question.
    """

    connection: Connection
    policy: Policy
    now: datetime
    weighings: dict[Subject, Weighing]
    known: dict[str, Registration]
    timelines: dict[str, list[Entry]]
    statuses: dict[str, str]
    owners: dict[str, Ownership]
    _until: datetime = field(init=False)
    _new: list[Registration] = field(default_factory=list)
    _asked: list[AskedQuestion] = field(default_factory=list)
    _given: dict[str, Ownership] = field(default_factory=dict)
    _introduced: dict[Subject, Contact] = field(default_factory=dict)
    _kept: dict[Subject, Contact] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._until = self.now + OWNERSHIP

    @classmethod
    async def of(
        cls, connection: Connection, policy: Policy, applications: Collection[Application], now: datetime
    ) -> Self:
        """Locks and reads whatever the applications touch: first the persons, then the companies."""
        leads = {each.lead.subject for each in applications}
        specialists = {each.specialist.subject for each in applications if each.specialist}
        domains = {each.domain for each in applications if each.domain}
        await lock_subjects_and_companies(connection, leads | specialists, domains)
        ids = {each.request.registration_id for each in applications}
        on_record = await taking.find(connection, ids, leads, domains, now)
        weighings = {
            lead: Weighing(connection, policy, lead, now, on_record.facts[lead], on_record.questions.get(lead))
            for lead in leads
        }
        known: dict[str, Registration] = {}
        timelines: dict[str, list[Entry]] = {}
        owners = on_record.owners
        if on_record.known:
            known = await registrations.find_all(connection, on_record.known)
            timelines = await ledger.of_registrations(connection, known)
            theirs = {each.company_domain for each in known.values() if each.company_domain} - domains
            owners |= await companies.find_owners(connection, theirs, now) if theirs else {}
        return cls(connection, policy, now, weighings, known, timelines, on_record.statuses, owners)

    async def take(self, application: Application) -> Taken:
        """Takes one of the applications; a refused one leaves nothing behind.

        Raises:
            RegistrationConflict: The id is known with other content.
            LeadUnavailable: The company cannot be registered by this partner.
            InvalidInput: It claims to have been made in the future, or says what can be said only of a deal.
        """
        request = application.request
        if known := self.known.get(request.registration_id):
            if not hmac.compare_digest(known.fingerprint, application.fingerprint):
                raise RegistrationConflict(request.registration_id)
            return Taken(self._standing(known), new=False)
        if request.registered_at and request.registered_at > self.now + CLOCK_SKEW:
            raise InvalidInput("/registered_at", "in_the_future", "lies in the future")
        insist_on_a_deal(request, self.policy.regime_of(application.location.country))
        if application.domain:
            self._take_company(application.domain, request.partner_id)
        taken = await self._decide(application)
        if application.registrant:
            self._introduce(application.registrant)
        if taken.state not in HOLDS_NO_CONTACT:
            self._keep(application.contact)
        if application.specialist:
            specialist = application.specialist
            await name_specialist(self.connection, taken, specialist.subject, specialist.mailbox, self.now)
        return Taken(self._standing(taken), new=True)

    async def write(self) -> None:
        """Writes what taking them has led to.

        Raises:
            TakenMeanwhileError: The transaction must not be committed.
        """
        if not self._new:
            return
        persons = self._introduced | self._kept
        introduced = self._introduced.keys() - self._kept
        new = New(self._new, self._asked, self._given, persons.values(), introduced)
        if not await taking.write(self.connection, new, self.now):
            raise TakenMeanwhileError

    def _take_company(self, domain: str, partner_id: str) -> None:
        if refusal := _REFUSALS.get(self.statuses.get(domain, "")):
            raise LeadUnavailable(*refusal)
        owner = self.owners.get(domain)
        if owner and owner.partner_id != partner_id:
            raise LeadUnavailable(*_TAKEN)
        renewed = Ownership(partner_id, owner.since, max(owner.until, self._until)) if owner else None
        self.owners[domain] = self._given[domain] = renewed or Ownership(partner_id, self.now, self._until)

    async def _decide(self, application: Application) -> Registration:
        request, specialist, weighing = (
            application.request,
            application.specialist,
            self.weighings[application.lead.subject],
        )
        draft = Registration(
            registration_id=request.registration_id,
            kind=request.kind,
            partner_id=request.partner_id,
            registered_by=application.registrant.subject if application.registrant else None,
            subject=application.lead.subject,
            company_name=request.company.name if request.company else None,
            company_domain=application.domain,
            company_refusal=application.company if isinstance(application.company, CompanyRefusal) else None,
            country=application.location.country,
            country_received=application.location.received,
            regime=Regime.NO_CONTACT,
            reason="",
            state=State.ACCEPTED,
            registered_at=request.registered_at or self.now,
            accepted_at=self.now,
            due_at=None,
            policy_version=self.policy.version,
            revision=1,
            question_id=None,
            fingerprint=application.fingerprint,
            deal_reference=request.deal_reference,
            growth_specialist=specialist.subject if specialist else None,
        )
        taken, noted = await weighing.take(draft)
        if weighing.question and weighing.question.registration_id == taken.registration_id:
            self._asked.append(weighing.question)
        self._new.append(taken)
        self.known[taken.registration_id] = taken
        self.timelines[taken.registration_id] = noted
        return taken

    def _introduce(self, registrant: Person) -> None:
        """The registering person is kept as a contact of its own: personal data has one table."""
        contact = Contact(registrant.subject, registrant.mailbox.address, None, None, None)
        self._introduced.setdefault(registrant.subject, self._kept.get(registrant.subject, contact))

    def _keep(self, lead: Contact) -> None:
        before = self._kept.get(lead.subject) or self._introduced.get(lead.subject)
        self._kept[lead.subject] = before.filled_from(lead) if before else lead

    def _standing(self, registration: Registration) -> Standing:
        owner = self.owners.get(registration.company_domain or "")
        owned_until = owner.until if owner and owner.partner_id == registration.partner_id else None
        return Standing(registration, owned_until, self.timelines[registration.registration_id], self.now)


async def take_all(
    connection: Connection, policy: Policy, applications: Sequence[Application], now: datetime
) -> list[Taken | InvalidInput | Conflict]:
    """Takes a set within a transaction; one that is refused stops no other.

    Raises:
        TakenMeanwhileError: Somebody else took one of the ids; the transaction must not be committed.
    """
    together = await Taking.of(connection, policy, applications, now)
    results: list[Taken | InvalidInput | Conflict] = []
    for application in applications:
        try:
            with tracing.within(application.trace):
                results.append(await together.take(application))
        except (InvalidInput, Conflict) as refusal:
            results.append(refusal)
    await together.write()
    return results
