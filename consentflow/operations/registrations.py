"""Registering, correcting, withdrawing and reading registrations."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from consentflow.domain.addresses import Mailbox, Subject, read_mailbox, subject_of
from consentflow.domain.clock import Clock
from consentflow.domain.companies import CompanyRefusal, read_company_domain, registrable_domain
from consentflow.domain.errors import (
    Conflict,
    InvalidInput,
    LeadUnavailable,
    NotFound,
    RegistrationClosed,
    RegistrationConflict,
)
from consentflow.domain.intake import CLOCK_SKEW, RegistrationIn
from consentflow.domain.locations import read_location
from consentflow.domain.policy import Policy, Regime
from consentflow.domain.registrations import CHANGEABLE, HOLDS_NO_CONTACT, OWNERSHIP, Registration, State
from consentflow.domain.secrets import derive_key
from consentflow.operations.deals import insist_on_a_deal, name_specialist, release_specialist
from consentflow.operations.weighing import Weighing
from consentflow.storage import companies, contacts, ledger, registrations
from consentflow.storage.companies import Ownership
from consentflow.storage.contacts import Contact
from consentflow.storage.ledger import Entry
from consentflow.storage.pool import Connection, Database, lock_company, lock_subjects

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


class Registrations:
    """The operations on registrations.

    Args:
        secret: The service's secret; subjects and fingerprints are keyed with it.
    """

    def __init__(self, database: Database, clock: Clock, policy: Policy, secret: str) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._subject_key = derive_key(secret, "subject")
        self._fingerprint_key = derive_key(secret, "fingerprint")

    async def register(self, request: RegistrationIn) -> tuple[Standing, bool]:
        """Takes a registration, once; True when it is new, False when the same was taken before.

        Raises:
            RegistrationConflict: The id is known with other content.
            LeadUnavailable: The company cannot be registered by this partner.
            InvalidInput: It claims to have been made in the future, or says what can be said only of a deal.
            StorageUnavailable: Nothing was taken.
        """
        now = self._clock.now()
        mailbox = request.contact.mailbox
        subject = subject_of(mailbox, self._subject_key)
        fingerprint = request.fingerprint(self._fingerprint_key)
        specialist = self._specialist(request)
        async with self._database.transaction() as connection:
            if specialist:  # both in the one order, before the lead alone is locked
                await lock_subjects(connection, {subject, specialist[0]})
            weighing = await Weighing.of(connection, self._policy, subject, now)
            if known := await registrations.find(connection, request.registration_id):
                if not hmac.compare_digest(known.fingerprint, fingerprint):
                    raise RegistrationConflict(request.registration_id)
                return await self._standing(connection, known, now), False
            if request.registered_at and request.registered_at > now + CLOCK_SKEW:
                raise InvalidInput("/registered_at", "in_the_future", "lies in the future")
            location = read_location(request.country)
            insist_on_a_deal(request, self._policy.regime_of(location.country))

            given = request.company.domain if request.company else None
            company = read_company_domain(given, mailbox)
            refusal = company if isinstance(company, CompanyRefusal) else None
            domain = None if isinstance(company, CompanyRefusal) else company
            if domain:
                await self._take_company(connection, domain, request.partner_id, now)
            draft = Registration(
                registration_id=request.registration_id,
                kind=request.kind,
                partner_id=request.partner_id,
                registered_by=await self._registrant(connection, request.registered_by, now),
                subject=subject,
                company_name=request.company.name if request.company else None,
                company_domain=domain,
                company_refusal=refusal,
                country=location.country,
                country_received=location.received,
                regime=Regime.NO_CONTACT,
                reason="",
                state=State.ACCEPTED,
                registered_at=request.registered_at or now,
                accepted_at=now,
                due_at=None,
                policy_version=self._policy.version,
                revision=0,
                question_id=None,
                fingerprint=fingerprint,
                deal_reference=request.deal_reference,
                growth_specialist=specialist[0] if specialist else None,
            )
            settled = await weighing.apply(draft, await weighing.decide(draft), new=True)
            if settled.state not in HOLDS_NO_CONTACT:
                await contacts.keep(
                    connection,
                    Contact(
                        subject,
                        mailbox.address,
                        request.contact.given_name,
                        request.contact.family_name,
                        request.contact.language,
                    ),
                    now,
                )
            if specialist:
                await name_specialist(connection, settled, *specialist, now)
            return await self._standing(connection, settled, now), True

    async def register_all(self, requests: Sequence[RegistrationIn]) -> list[Taken | InvalidInput | Conflict]:
        """Takes several registrations, each as `register` does; one that is refused stops no other.

        Returns:
            For each request, in order, what became of it or why it was refused.

        Raises:
            StorageUnavailable: None is known to be taken; all can be handed in again.
        """
        results: list[Taken | InvalidInput | Conflict] = []
        for request in requests:
            try:
                results.append(Taken(*await self.register(request)))
            except (InvalidInput, Conflict) as error:
                results.append(error)
        return results

    async def correct_location(self, registration_id: str, country: str | None) -> Standing:
        """Sets the location anew and decides afresh, as long as the lead was told nothing final.

        Raises:
            NotFound: No such registration.
            RegistrationClosed: It has come to its end, or there is nobody left to write to.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            weighing, registration = await self._changeable(connection, registration_id, now)
            if await contacts.find(connection, registration.subject) is None:
                raise RegistrationClosed("The contact was erased.")  # it lapsed, or objected, by another registration
            location = read_location(country)
            if (location.country, location.received) != (registration.country, registration.country_received):
                registration = replace(registration, country=location.country, country_received=location.received)
                await registrations.update(connection, registration)
                await weighing.note(registration, "location_corrected", country=location.country)
                registration = await weighing.apply(registration, await weighing.decide(registration))
                await weighing.reconsider()
            return await self._standing(connection, registration, now)

    async def withdraw(self, registration_id: str) -> Standing:
        """The registering side takes a registration back; doing so again changes nothing.

        The contact's personal data goes with the last registration that has a use for it.

        Raises:
            NotFound: No such registration.
            RegistrationClosed: It has come to another end.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            known = await registrations.find(connection, registration_id)
            if known and known.state is State.WITHDRAWN:
                return await self._standing(connection, known, now)
            if known and known.growth_specialist:
                await lock_subjects(connection, {known.subject, known.growth_specialist})
            weighing, registration = await self._changeable(connection, registration_id, now)
            withdrawn = await weighing.move(registration, State.WITHDRAWN, "withdrawn")
            await weighing.reconsider()
            if withdrawn.company_domain:
                await lock_company(connection, withdrawn.company_domain)
                await companies.carry_on(connection, withdrawn.company_domain, withdrawn.partner_id)
            await release_specialist(connection, withdrawn, now)
            await weighing.forget_unless_needed()
            return await self._standing(connection, withdrawn, now)

    async def find(self, registration_id: str) -> Standing:
        """Where a registration stands.

        Raises:
            NotFound: No such registration.
        """
        async with self._database.transaction() as connection:
            registration = await registrations.find(connection, registration_id)
            if registration is None:
                raise NotFound("registration")
            return await self._standing(connection, registration, self._clock.now())

    async def _changeable(
        self, connection: Connection, registration_id: str, now: datetime
    ) -> tuple[Weighing, Registration]:
        found = await registrations.find(connection, registration_id)
        if found is None:
            raise NotFound("registration")
        weighing = await Weighing.of(connection, self._policy, found.subject, now)
        registration = await registrations.find(connection, registration_id)  # as it is now that the subject is locked
        if registration is None or registration.state not in CHANGEABLE:
            raise RegistrationClosed("The registration has come to its end.")
        return weighing, registration

    async def _take_company(self, connection: Connection, domain: str, partner_id: str, now: datetime) -> None:
        await lock_company(connection, domain)
        if refusal := _REFUSALS.get(await companies.find_status(connection, domain) or ""):
            raise LeadUnavailable(*refusal)
        owner = await companies.find_owner(connection, domain, now)
        if owner and owner.partner_id != partner_id:
            raise LeadUnavailable(*_TAKEN)
        await companies.give(connection, domain, Ownership(partner_id, now, now + OWNERSHIP))

    def _specialist(self, request: RegistrationIn) -> tuple[Subject, Mailbox] | None:
        if request.growth_specialist is None:
            return None
        mailbox = read_mailbox(request.growth_specialist)
        return subject_of(mailbox, self._subject_key), mailbox

    async def _registrant(self, connection: Connection, text: str | None, now: datetime) -> Subject | None:
        """The registering person, kept as a contact of its own: personal data has one table."""
        if text is None:
            return None
        mailbox = read_mailbox(text)
        subject = subject_of(mailbox, self._subject_key)
        await contacts.introduce(connection, Contact(subject, mailbox.address, None, None, None), now)
        return subject

    async def _standing(self, connection: Connection, registration: Registration, now: datetime) -> Standing:
        owner = (
            await companies.find_owner(connection, registration.company_domain, now)
            if registration.company_domain
            else None
        )
        owned_until = owner.until if owner and owner.partner_id == registration.partner_id else None
        timeline = await ledger.of_registration(connection, registration.registration_id)
        return Standing(registration, owned_until, timeline, now)


class Accounts:
    """What the CRM says of companies."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def set_status(self, domain: str, status: str) -> str:
        """Keeps the status of a company; returns its registrable domain.

        Raises:
            InvalidInput: Not a domain that a company can own.
        """
        company = registrable_domain(domain)
        if isinstance(company, CompanyRefusal):
            raise InvalidInput("/domain", company.value, "is not a domain that a company can own")
        now = self._clock.now()
        async with self._database.transaction() as connection:
            await lock_company(connection, company)
            await companies.set_status(connection, company, status, now)
            await ledger.append(connection, now, "account_status", {"domain": company, "status": status})
        return company
