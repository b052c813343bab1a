"""The daily sweep on real servers."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.client import ScheduleActionStartWorkflow, ScheduleOverlapPolicy, WorkflowExecutionStatus
from temporalio.testing import ActivityEnvironment

from consentflow.activities.retention import RetentionActivities, Totals
from consentflow.domain.retention import RULES
from consentflow.operations.retention import Retention
from consentflow.schedules import RETENTION
from tests.workflow.service import until

if TYPE_CHECKING:
    from consentflow.runtime import Parts
    from tests.conftest import HandClock
    from tests.workflow.service import Service


async def old_events(parts: "Parts", count: int) -> None:
    async with parts.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO events (source, event_id, type, recorded_at)"
            " SELECT 'site', n::text, 'x', $1 FROM generate_series(1, $2) AS n",
            parts.clock.now() - timedelta(days=500),
            count,
        )


async def test_the_worker_keeps_a_schedule_that_sweeps_every_night(real: "Service") -> None:
    await old_events(real.parts, 1500)
    async with real.working():
        handle = real.client.get_schedule_handle(RETENTION)
        schedule = (await handle.describe()).schedule
        assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
        assert [(spec.hour[0].start, spec.minute[0].start) for spec in schedule.spec.calendars] == [(2, 20)]
        assert isinstance(schedule.action, ScheduleActionStartWorkflow)
        queue = real.parts.settings.temporal.task_queue
        assert (schedule.action.workflow, schedule.action.task_queue) == ("retention", queue)
        await handle.trigger()

        async def completed() -> list[str]:
            runs = real.client.list_workflows(f"TaskQueue = '{queue}' AND WorkflowType = 'retention'")
            return [run.id async for run in runs if run.status is WorkflowExecutionStatus.COMPLETED]

        (workflow_id,) = await until("the sweep is done", completed)
    assert await real.fetch("SELECT count(*) FROM events") == 0
    assert await real.client.get_workflow_handle(workflow_id).result() == {"events": 1500}
    assert await real.fetch("SELECT sum((detail ->> 'rows')::int) FROM ledger WHERE event = 'swept'") == 1500


async def test_a_sweep_gives_a_sign_of_life_after_every_batch(parts: "Parts", clock: "HandClock") -> None:
    await old_events(parts, 25)
    beats: list[Totals] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda totals: beats.append(dict(totals))
    swept = await environment.run(RetentionActivities(Retention(parts.database, clock, batch=10)).sweep)
    assert swept == {"events": 25}
    assert [beat["events"] for beat in beats if "events" in beat] == [10, 20, 25]
    assert len(beats) >= len(RULES)


async def test_an_attempt_goes_on_where_the_one_before_it_died_and_counts_what_it_did(
    parts: "Parts", clock: "HandClock"
) -> None:
    await old_events(parts, 7)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_details=[{"events": 20, "mails": 3}])
    swept = await environment.run(RetentionActivities(Retention(parts.database, clock)).sweep)
    assert swept == {"events": 27, "mails": 3}
