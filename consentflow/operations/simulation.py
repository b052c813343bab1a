"""Replaying what was decided under another policy; changes nothing."""

from collections.abc import Callable

from consentflow.domain.policy import Policy
from consentflow.domain.simulation import Difference, Summary, replay
from consentflow.storage import decisions
from consentflow.storage.pool import Database


class Simulation:
    """The operation on policies that are not in force."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, policy: Policy, report: Callable[[Difference], None]) -> Summary:
        """Replays every registration's decision under a policy, as they stand at one moment.

        Args:
            report: Is told of each that would be treated differently, by registration id; nothing is kept of it here.

        Raises:
            StorageUnavailable: They could not be read to the end.
        """
        summary = Summary()
        async with self._database.transaction() as connection:
            async for taken in decisions.walk(connection):
                summary.looked_at += 1
                if difference := replay(policy, taken):
                    summary.changes[difference.change] += 1
                    report(difference)
        return summary
