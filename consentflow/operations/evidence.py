"""Handing out what the ledger says of a person to an officer, so that the ledger says this, too."""

from consentflow.domain.acts import Actor
from consentflow.domain.addresses import Subject
from consentflow.domain.clock import Clock
from consentflow.operations.audit import note_view
from consentflow.operations.ledger import Export, Ledger
from consentflow.storage.pool import Database


class Evidence:
    """The operation of handing out evidence."""

    def __init__(self, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger

    async def hand_out(self, subject: Subject, what: str, actor: Actor) -> Export:
        """What the ledger says of a person; what is handed out does not yet tell of itself.

        Args:
            what: In which form, such as ``receipts``.
            actor: Who gets it.

        Raises:
            NotFound: The ledger says nothing of that person.
        """
        export = await self._ledger.export(subject)
        async with self._database.transaction() as connection:
            await note_view(connection, self._clock.now(), actor, subject, what)
        return export
