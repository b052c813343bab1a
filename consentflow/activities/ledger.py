"""What the daily schedule has done for the ledger."""

from dataclasses import dataclass

from temporalio import activity
from temporalio.exceptions import ApplicationError

from consentflow.domain.errors import StorageUnavailable
from consentflow.operations.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Sealed:
    """A checkpoint as Temporal remembers it: a copy of its root that lies outside Postgres. Only ever add to it.

    Args:
        day: UTC, ISO 8601.
        up_to_entry: The last entry it covers.
        root: Hexadecimal.
    """

    day: str
    up_to_entry: int
    root: str


class LedgerActivities:
    """The work on the ledger. May be run again without harm."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @activity.defn(name="ledger.checkpoint")
    async def checkpoint(self) -> Sealed:
        """Makes today's checkpoint, unless there is one."""
        try:
            seal = (await self._ledger.checkpoint()).seal
        except StorageUnavailable as failure:
            raise ApplicationError(str(failure), type="StorageUnavailable") from None
        except Exception as error:
            raise ApplicationError("unexpected", type=type(error).__name__) from None
        return Sealed(seal.day.isoformat(), seal.up_to_entry, seal.root.hex())
