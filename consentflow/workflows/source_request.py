"""The durable course of one data-source request: it waits, and asks what is due.

When that is, and what is done, an activity tells, which reads the record at that moment. Deadlines, holidays and people
are nothing that a history knows of.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import Priority

with workflow.unsafe.imports_passed_through():
    from consentflow.activities.source_requests import SourceRequestActivities, Wake
    from consentflow.workflows import options


@dataclass(frozen=True, slots=True)
class SourceRequestOrder:
    """What the workflow starts with. Only ever add to it."""

    request_id: str


@workflow.defn(name="source_request")
class SourceRequestWorkflow:
    """Follows a request to its end, or to where it waits for people alone; a nudge then starts it anew."""

    def __init__(self) -> None:
        self._nudged = False

    @workflow.signal
    def nudge(self) -> None:
        """Somebody changed the request."""
        self._nudged = True

    @workflow.run
    async def run(self, order: SourceRequestOrder) -> None:
        """Asks what is due, waits until it is, and asks again."""
        waited_for: datetime | None = None
        while True:
            self._nudged = False  # whatever happened until now the next answer knows
            rest = await workflow.execute_activity_method(
                SourceRequestActivities.advance,
                Wake(order.request_id, waited_for),
                start_to_close_timeout=options.STORAGE_TIMEOUT,
                retry_policy=options.PERSISTENT,
                priority=Priority(priority_key=options.POST_PRIORITY),
            )
            if rest.until is None and not self._nudged:
                return
            waited_for = rest.until if await self._time_comes(rest.until) else None
            if workflow.info().is_continue_as_new_suggested():  # one that is overdue for years has a long history
                workflow.continue_as_new(order)

    async def _time_comes(self, until: datetime | None) -> bool:
        """Waits what is left until that instant; False as soon as there is a nudge."""
        left = until - workflow.now() if until else timedelta()
        if left <= timedelta() or self._nudged:
            return not self._nudged
        try:
            await workflow.wait_condition(lambda: self._nudged, timeout=left, timeout_summary="until something is due")
        except TimeoutError:
            return True
        return False
