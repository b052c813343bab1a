"""What the daily schedule has done for the ledger."""

from dataclasses import dataclass

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from consentflow.activities.conversation import in_temporals_words
from consentflow.domain.errors import StorageUnavailable
from consentflow.operations.ledger import Ledger

_log = structlog.get_logger("consentflow.ledger")


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


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at the whole ledger found, as Temporal remembers it. Only ever add to it.

    Args:
        entries: How many were looked at.
        first_bad_entry: None when the ledger is intact.
    """

    entries: int
    first_bad_entry: int | None = None


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

    @activity.defn(name="ledger.verify")
    async def verify(self) -> Verified:
        """Goes through the whole ledger; what was found is kept in Postgres, too, for those who ask."""
        findings = await in_temporals_words(self._ledger.verify(activity.heartbeat))
        if findings.flaws:
            _log.error("the ledger was tampered with", first_bad_entry=findings.flaws[0].entry_id)
        return Verified(findings.entries, findings.flaws[0].entry_id if findings.flaws else None)
