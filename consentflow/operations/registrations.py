"""Registering, correcting, withdrawing and reading registrations."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from consentflow import tracing
from consentflow.domain.clock import Clock
from consentflow.domain.companies import CompanyRefusal, registrable_domain
from consentflow.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    NotStorable,
    RegistrationClosed,
    RegistrationConflict,
    StorageUnavailable,
)
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.locations import read_location
from consentflow.domain.policy import Policy
from consentflow.domain.registrations import CHANGEABLE, Registration, State
from consentflow.domain.secrets import derive_key
from consentflow.operations.deals import release_specialist
from consentflow.operations.gathering import Collect, Gathering
from consentflow.operations.taking import Application, Standing, Taken, TakenMeanwhileError, take_all
from consentflow.operations.weighing import Weighing
from consentflow.storage import companies, contacts, ledger, registrations
from consentflow.storage.pool import Connection, Database, lock_company, lock_subjects

__all__ = ["Accounts", "Registrations", "Standing", "Taken"]

MOST_AT_ONCE = 200
"""Registrations that are taken in one transaction; each holds up to four locks of it for that long."""

_log = structlog.get_logger("consentflow.registrations")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request to register, and the trace that it is part of."""

    request: RegistrationIn
    trace: str | None


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
        self._gathering = Gathering(self._take, most=MOST_AT_ONCE)

    def make_ready(self) -> None:
        """Reads the tables of countries and of domains, so that the first registration need not wait for them."""
        read_location("DE")
        registrable_domain("company.example")

    async def register(self, request: RegistrationIn) -> tuple[Standing, bool]:
        """Takes a registration, once; True when it is new, False when the same was taken before.

        Raises:
            RegistrationConflict: The id is known with other content.
            LeadUnavailable: The company cannot be registered by this partner.
            InvalidInput: It claims to have been made in the future, or says what can be said only of a deal.
            StorageUnavailable: Nothing was taken.
        """
        with tracing.span("register"):
            taken = await self._gathering.ask(_Asked(request, tracing.current()))
        return taken.standing, taken.new

    async def register_all(self, requests: Sequence[RegistrationIn]) -> list[Taken | InvalidInput | Conflict]:
        """Takes several registrations, each as `register` does; one that is refused stops no other.

        Returns:
            For each request, in order, what became of it or why it was refused.

        Raises:
            StorageUnavailable: None is known to be taken; all can be handed in again.
        """
        results: list[Taken | InvalidInput | Conflict] = []
        asked = [_Asked(request, tracing.current()) for request in requests]
        for start in range(0, len(requests), MOST_AT_ONCE):
            results += [
                result if isinstance(result, Taken | InvalidInput | Conflict) else NotStorable()
                for result in await self._take_those(asked[start : start + MOST_AT_ONCE])
            ]
            await asyncio.sleep(0)
        return results

    async def _take(self, collect: Collect[_Asked]) -> Sequence[Taken | Exception]:
        """Takes a set in one transaction; if that fails, each by itself, so that nobody pays for a neighbour.

        Raises:
            StorageUnavailable: None is known to be taken.
        """
        asked: Sequence[_Asked] = []
        try:
            async with self._database.transaction() as connection:
                asked = collect()
                read = [self._read(each) for each in asked]
                return await take_all(connection, self._policy, read, self._clock.now())
        except StorageUnavailable:
            raise
        except Exception as error:
            if not asked:
                raise
            if len(asked) > 1:
                return [result for each in asked for result in await self._take_those([each])]
            if isinstance(error, TakenMeanwhileError):
                return [RegistrationConflict(each.request.registration_id) for each in asked]
            _log.error("a registration cannot be taken", error=type(error).__name__)
            return [error]

    async def _take_those(self, asked: Sequence[_Asked]) -> Sequence[Taken | Exception]:
        return await self._take(lambda: asked)

    def _read(self, asked: _Asked) -> Application:
        return Application.read(asked.request, self._subject_key, self._fingerprint_key, trace=asked.trace)

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
                await registrations.update_all(connection, [registration])
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

    async def _standing(self, connection: Connection, registration: Registration, now: datetime) -> Standing:
        owner = (
            await companies.find_owner(connection, registration.company_domain, now)
            if registration.company_domain
            else None
        )
        owned_until = owner.until if owner and owner.partner_id == registration.partner_id else None
        timelines = await ledger.of_registrations(connection, [registration.registration_id])
        return Standing(registration, owned_until, timelines[registration.registration_id], now)


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
