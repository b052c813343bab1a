"""Finding a person, a company, a registration or a request, whatever an officer has in hand."""

from dataclasses import dataclass
from enum import StrEnum

from consentflow.domain.addresses import read_person
from consentflow.domain.companies import CompanyRefusal, registrable_domain
from consentflow.domain.errors import InvalidInput
from consentflow.domain.paging import Mark, Page
from consentflow.domain.secrets import derive_key
from consentflow.storage import search
from consentflow.storage.pool import Connection, Database
from consentflow.storage.search import By, Summary

PAGE = 50
"""Entries of a page."""


class Found(StrEnum):
    """What a search can lead to."""

    PERSON = "person"
    REGISTRATION = "registration"
    COMPANY = "company"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Hit:
    """What was found; the key is a pseudonym, an id or a domain, never an address."""

    found: Found
    key: str


class Search:
    """The operations of searching; they change nothing.

    Args:
        secret: The service's secret; addresses are looked up by their pseudonym.
    """

    def __init__(self, database: Database, secret: str) -> None:
        self._database = database
        self._subject_key = derive_key(secret, "subject")

    async def look_up(self, text: str) -> Hit | None:
        """What somebody means who types an address, a pseudonym, an id or a company's domain.

        An address always leads to its person, of whom nothing may be held. None for an id or a domain nobody knows.

        Raises:
            InvalidInput: It was meant as an address and is none.
        """
        text = text.strip()
        try:
            return Hit(Found.PERSON, read_person(text, self._subject_key)[0])
        except InvalidInput:
            if "@" in text:
                raise
        domain = registrable_domain(text)
        async with self._database.transaction() as connection:
            if await search.registration_exists(connection, text):
                return Hit(Found.REGISTRATION, text)
            if await search.request_exists(connection, text):
                return Hit(Found.REQUEST, text)
            if not isinstance(domain, CompanyRefusal) and await search.registrations(
                connection, "company_domain", domain, None, 1
            ):
                return Hit(Found.COMPANY, domain)
        return None

    async def of_company(self, domain: str, after: Mark | None = None) -> Page[Summary]:
        """The registrations of a company, newest first."""
        async with self._database.transaction() as connection:
            return await registrations_page(connection, "company_domain", domain, after)


async def registrations_page(connection: Connection, by: By, value: str, after: Mark | None = None) -> Page[Summary]:
    """Registrations, newest first."""
    found = await search.registrations(connection, by, value, after, PAGE + 1)
    return Page(found[:PAGE], found[PAGE - 1].mark if len(found) > PAGE else None)
