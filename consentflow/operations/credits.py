"""What purchases credited to partners."""

from collections.abc import Sequence

from consentflow.domain.errors import InvalidInput
from consentflow.domain.paging import Mark, Page
from consentflow.domain.purchases import Credit
from consentflow.storage import credits as credited
from consentflow.storage.pool import Database

_LONGEST_NUMBER = 18
"""Decimal digits that are sure to fit into what Postgres calls bigint."""


class Credits:
    """The operations of reading credits; they are made by `Events.record`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, partner_id: str, after: Mark | None, most: int) -> Page[Credit]:
        """A partner's credits, the latest first.

        Raises:
            InvalidInput: The mark is none of this list.
        """
        before = _number(after.key) if after else None
        async with self._database.transaction() as connection:
            found = await credited.of_partner(connection, partner_id, before, most + 1)
        last = found[most - 1] if len(found) > most else None
        return Page(found[:most], Mark(last.recorded_at, str(last.credit_id)) if last else None)

    async def all_of(self, partner_id: str) -> Sequence[Credit]:
        """All of a partner's credits, the latest first."""
        async with self._database.transaction() as connection:
            return await credited.of_partner(connection, partner_id)


def _number(key: str) -> int:
    if not (key.isascii() and key.isdecimal() and len(key) <= _LONGEST_NUMBER):
        raise InvalidInput("/after", "invalid_mark", "is not a mark of this list")
    return int(key)
