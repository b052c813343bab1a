"""Who is not written to, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from consentflow.domain.addresses import Subject, read_mailbox, subject_of
from consentflow.domain.consent import SUPPRESSION
from consentflow.domain.errors import InvalidInput
from consentflow.domain.paging import Mark, Page
from consentflow.domain.secrets import derive_key
from consentflow.operations.search import PAGE
from consentflow.storage import facts, search
from consentflow.storage.facts import RecordedFact
from consentflow.storage.pool import Database
from consentflow.storage.search import Suppression


@dataclass(frozen=True, slots=True)
class LookedUp:
    """An address that was looked up: its pseudonym, and what suppresses it, if anything."""

    subject: Subject
    reasons: Sequence[RecordedFact]


class Suppressions:
    """Reads who is not written to; changes nothing.

    Args:
        secret: The service's secret; addresses are looked up by their pseudonym.
    """

    def __init__(self, database: Database, secret: str) -> None:
        self._database = database
        self._subject_key = derive_key(secret, "subject")

    async def find_page(self, after: Mark | None) -> Page[Suppression]:
        """Reasons not to write to somebody, newest first.

        Raises:
            InvalidInput: The mark is of another list.
        """
        if after is not None and not (after.key.isascii() and after.key.isdigit()):
            raise InvalidInput("/after", "invalid_mark", "is not a mark of this list")
        async with self._database.transaction() as connection:
            found = await search.suppressions(connection, after, PAGE + 1)
        return Page(found[:PAGE], found[PAGE - 1].mark if len(found) > PAGE else None)

    async def look_up(self, address: str) -> LookedUp:
        """Whether an address, in any of its mailbox's spellings, is written to.

        Raises:
            InvalidInput: This is no address.
        """
        subject = subject_of(read_mailbox(address), self._subject_key)
        async with self._database.transaction() as connection:
            known = await facts.history(connection, subject)
        return LookedUp(subject, [each for each in known if each.fact in SUPPRESSION])
