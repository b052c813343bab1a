"""What happens every day, kept as schedules of Temporal."""

from dataclasses import replace
from datetime import timedelta

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

from consentflow.workflows.ledger import LedgerCheckpointWorkflow

CHECKPOINT = "ledger-checkpoint"

_DAILY = ScheduleSpec(calendars=[ScheduleCalendarSpec(minute=[ScheduleRange(10)], comment="00:10 UTC")])
_ONE_AT_A_TIME = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(days=1))

_log = structlog.get_logger("consentflow.schedules")


async def keep_schedules(client: Client, task_queue: str) -> None:
    """Makes what schedules are missing. One that is there stays as operators left it, but starts work on our queue.

    A server that knows no schedules, or does not let us, costs what they would have done; the log says so.
    """
    action = ScheduleActionStartWorkflow(
        LedgerCheckpointWorkflow.run,
        id=CHECKPOINT,
        task_queue=task_queue,
        static_summary="the daily checkpoint over the ledger",
    )

    async def onto_our_queue(found: ScheduleUpdateInput) -> ScheduleUpdate | None:
        kept = found.description.schedule
        if isinstance(kept.action, ScheduleActionStartWorkflow) and kept.action.task_queue == task_queue:
            return None
        return ScheduleUpdate(replace(kept, action=action))

    try:
        await client.create_schedule(CHECKPOINT, Schedule(action=action, spec=_DAILY, policy=_ONE_AT_A_TIME))
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(CHECKPOINT).update(onto_our_queue)
    except RPCError as error:
        _log.warning("nothing is done daily: Temporal keeps no schedule", status=error.status.name)
