"""Who looked at, decided, handed out or erased what: noting it in one shape, and listing it.

Whether the ledger itself was tampered with is another question: `Ledger.verify` answers it.
"""

import re
from datetime import datetime

from consentflow.domain.acts import SEEN_ONCE_IN, Act, Actor, RecordedAct
from consentflow.domain.addresses import Subject
from consentflow.domain.errors import InvalidInput
from consentflow.domain.paging import Mark, Page
from consentflow.storage import audit, ledger
from consentflow.storage.audit import Filters
from consentflow.storage.pool import Connection, Database


async def note_act(
    connection: Connection,
    at: datetime,
    actor: Actor,
    act: Act,
    *,
    subject: Subject | None,
    event: str | None = None,
    **detail: str | int | bool | None,
) -> None:
    """Writes to the ledger who did what to whose data.

    Args:
        event: The ledger's name for it, the act's own unless it has a better one.
        detail: What else is worth knowing; no personal data.
    """
    said = {name: value for name, value in detail.items() if value is not None}
    noted = {"actor": actor, "act": act.value, **said}
    await ledger.append(connection, at, event or act.value, noted, subject=subject)


async def note_view(connection: Connection, at: datetime, actor: Actor, subject: Subject, what: str) -> None:
    """Writes to the ledger that personal data was shown; again within `SEEN_ONCE_IN` counts once.

    Args:
        what: What was shown, such as ``source_request``; no personal data.
    """
    seen = {"actor": actor, "act": Act.VIEWED.value, "what": what}
    if not await ledger.knows_since(connection, subject, Act.VIEWED.value, seen, at - SEEN_ONCE_IN):
        await ledger.append(connection, at, Act.VIEWED.value, seen, subject=subject)


class Acts:
    """The list of what was done to personal data."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, filters: Filters, after: Mark | None, most: int) -> Page[RecordedAct]:
        """A page of acts, newest first.

        Raises:
            InvalidInput: The mark is of another list.
        """
        if after is not None and not re.fullmatch(r"[0-9]{1,18}", after.key):
            raise InvalidInput("/after", "invalid_mark", "is not a mark of this list")
        async with self._database.transaction() as connection:
            found = await audit.acts(connection, filters, after, most + 1)
        shown = found[:most]
        more = len(found) > most
        return Page(shown, Mark(shown[-1].at, str(shown[-1].entry_id)) if more else None)
