"""The daily checkpoint on real servers."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from temporalio.client import ScheduleActionStartWorkflow, ScheduleOverlapPolicy

from consentflow.schedules import CHECKPOINT, keep_schedules
from tests.workflow.service import until

if TYPE_CHECKING:
    from tests.workflow.service import Service, SkippingService


async def test_the_worker_keeps_a_schedule_that_makes_a_checkpoint(real: "Service") -> None:
    await real.register("FR")
    async with real.working():
        handle = real.client.get_schedule_handle(CHECKPOINT)
        schedule = (await handle.describe()).schedule
        assert schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
        assert schedule.policy.catchup_window == timedelta(days=1)
        assert [(spec.hour[0].start, spec.minute[0].start) for spec in schedule.spec.calendars] == [(0, 10)]
        assert isinstance(schedule.action, ScheduleActionStartWorkflow)
        assert schedule.action.task_queue == real.parts.settings.temporal.task_queue
        await handle.trigger()

        async def sealed() -> bool:
            count: int = await real.fetch("SELECT count(*) FROM checkpoints")
            return count == 1

        await until("there is a checkpoint", sealed)
    findings = await real.parts.ledger.verify()
    assert (findings.flaws, findings.checkpoints, findings.uncovered) == ((), 1, 0)


async def test_a_schedule_that_is_there_stays_as_operators_left_it(real: "Service") -> None:
    handle = real.client.get_schedule_handle(CHECKPOINT)
    queue = real.parts.settings.temporal.task_queue

    async def stands(paused: bool, queue: str) -> None:
        async def does() -> bool:
            schedule = (await handle.describe()).schedule
            assert isinstance(schedule.action, ScheduleActionStartWorkflow)
            return (schedule.state.paused, schedule.action.task_queue) == (paused, queue)

        # One change after the other: of two at once the server may drop the one that was made on the older view.
        await until(f"the schedule is {'paused' if paused else 'active'} on {queue}", does)

    await keep_schedules(real.client, "another-queue")
    await stands(paused=False, queue="another-queue")
    await handle.pause(note="for the audit")
    await stands(paused=True, queue="another-queue")
    await keep_schedules(real.client, queue)
    await stands(paused=True, queue=queue)
    assert (await handle.describe()).schedule.state.note == "for the audit"
    await handle.unpause()


async def test_a_server_that_keeps_no_schedules_costs_a_line_in_the_log(
    skipping: "SkippingService", capsys: pytest.CaptureFixture[str]
) -> None:
    await keep_schedules(skipping.client, "any")
    assert capsys.readouterr().out.count("Temporal keeps no schedule") == 1
