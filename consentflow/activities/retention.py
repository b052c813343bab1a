"""What the daily schedule has done about what was kept long enough."""

from temporalio import activity

from consentflow.activities.conversation import in_temporals_words
from consentflow.operations.retention import Retention

Totals = dict[str, int]
"""Rows that went, by rule."""


class RetentionActivities:
    """The sweep. May be run again without harm."""

    def __init__(self, retention: Retention) -> None:
        self._retention = retention

    @activity.defn(name="retention.sweep")
    async def sweep(self) -> Totals:
        """Lets everything go that has been kept long enough; says how much by which rule.

        What an earlier attempt has done stays done, and is counted.
        """
        return await in_temporals_words(self._sweep())

    async def _sweep(self) -> Totals:
        before = activity.info().heartbeat_details
        totals: Totals = dict(before[0]) if before else {}
        async for swept in self._retention.sweep():
            totals[swept.rule.name] = totals.get(swept.rule.name, 0) + swept.rows
            activity.heartbeat(totals)
        return {name: rows for name, rows in totals.items() if rows}
