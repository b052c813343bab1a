"""Data-source requests that were started by older code still run to their end: recorded histories are replayed."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from consentflow.workflows.source_request import SourceRequestOrder, SourceRequestWorkflow
from tests.replay.record_source_requests import NAMES
from tests.replay.recording import HISTORIES, read, told_by

FILES = sorted((HISTORIES / "source_request").glob("*.json"))
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@workflow.defn(name="source_request")
class CarelesslyChanged(SourceRequestWorkflow):
    """What somebody might write who forgets the workflows that are already under way."""

    @workflow.run
    async def run(self, order: SourceRequestOrder) -> None:
        await super().run(order)
        await workflow.sleep(timedelta(seconds=1))


@EACH
async def test_todays_workflow_takes_the_recorded_path(file: Path) -> None:
    await Replayer(workflows=[SourceRequestWorkflow]).replay_workflow(read(file))


@EACH
async def test_a_careless_change_of_the_workflow_is_caught(file: Path) -> None:
    replayer = Replayer(workflows=[CarelesslyChanged], workflow_runner=UnsandboxedWorkflowRunner())
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(read(file))


def test_every_path_has_its_history() -> None:
    assert {file.stem for file in FILES} == NAMES


def test_the_histories_wait_for_their_time_and_are_woken_before_it() -> None:
    seen = {event.event_type for file in FILES for event in read(file).events}
    assert seen >= {
        EventType.EVENT_TYPE_TIMER_FIRED,
        EventType.EVENT_TYPE_TIMER_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    }


@EACH
def test_a_history_ends_completed_and_names_neither_persons_nor_the_recording_machine(file: Path) -> None:
    assert read(file).events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    assert [part for part in told_by(file) if re.search(r"@|\.py\b|firma\.example", part)] == []
