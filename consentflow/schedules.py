"""What happens every day, kept as schedules of Temporal."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError

from consentflow.calls import refused

CHECKPOINT = "ledger-checkpoint"
VERIFICATION = "ledger-verification"
RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class _Daily:
    """Something that happens every day.

    Args:
        name: The workflow's; the schedule and its runs are called the same.
        hour: When, UTC.
    """

    name: str
    summary: str
    hour: int
    minute: int

    def schedule(self, task_queue: str) -> Schedule:
        """As Temporal keeps it, until operators change it."""
        at = f"{self.hour:02}:{self.minute:02} UTC"
        hour, minute = [ScheduleRange(self.hour)], [ScheduleRange(self.minute)]
        return Schedule(
            action=ScheduleActionStartWorkflow(
                self.name, id=self.name, task_queue=task_queue, static_summary=self.summary
            ),
            spec=ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=hour, minute=minute, comment=at)]),
            policy=_ONE_AT_A_TIME,
        )


_ONE_AT_A_TIME: Final = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(days=1))

_DAILY: Final = (
    _Daily(CHECKPOINT, "the daily checkpoint over the ledger", 0, 10),
    _Daily(VERIFICATION, "the daily look at the whole ledger", 1, 10),
    _Daily(RETENTION, "the daily sweep of what was kept long enough", 2, 20),
)

_log = structlog.get_logger("consentflow.schedules")


async def keep_schedules(client: Client, task_queue: str) -> None:
    """Makes what schedules are missing. One that is there stays as operators left it, but starts work on our queue.

    A server that knows no schedules, or does not let us, costs what they would have done; the log says so.

    Raises:
        RPCError: Temporal is away, or busy; ask again.
    """
    try:
        for daily in _DAILY:
            await _keep(client, daily.name, daily.schedule(task_queue), task_queue)
    except RPCError as error:
        if not refused(error):
            raise
        _log.warning("nothing is done daily: Temporal keeps no schedule", status=error.status.name)


async def _keep(client: Client, name: str, wanted: Schedule, task_queue: str) -> None:
    async def onto_our_queue(found: ScheduleUpdateInput) -> ScheduleUpdate | None:
        kept = found.description.schedule
        if isinstance(kept.action, ScheduleActionStartWorkflow) and kept.action.task_queue == task_queue:
            return None
        return ScheduleUpdate(replace(kept, action=wanted.action))

    try:
        await client.create_schedule(name, wanted)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(name).update(onto_our_queue)
