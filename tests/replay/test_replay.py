"""Workflows that were started by older code still run to their end: recorded histories are replayed."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from consentflow.domain.registrations import Step
from consentflow.workflows.registration import RegistrationOrder, RegistrationWorkflow
from tests.replay.record import PATHS
from tests.replay.recording import HISTORIES, Json, read, told_by

FILES = sorted((HISTORIES / "registration").glob("*.json"))
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@workflow.defn(name="registration")
class CarelesslyChanged(RegistrationWorkflow):
    """What somebody might write who forgets the workflows that are already under way."""

    @workflow.init
    def __init__(self, order: RegistrationOrder) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: RegistrationOrder) -> None:
        await super().run(order)
        await workflow.sleep(timedelta(seconds=1))


def each_course(node: Json) -> "Iterator[dict[str, Json]]":
    """Every course that a history tells: at the start, by a signal, or as an activity's answer."""
    if isinstance(node, list):
        for each in node:
            yield from each_course(each)
    elif isinstance(node, dict):
        if "step" in node:
            yield node
        elif isinstance(data := node.get("data"), str):
            yield from each_course(json.loads(base64.b64decode(data)))
        else:
            yield from each_course(list(node.values()))


@EACH
async def test_todays_workflow_takes_the_recorded_path(file: Path) -> None:
    await Replayer(workflows=[RegistrationWorkflow]).replay_workflow(read(file))


@EACH
async def test_a_careless_change_of_the_workflow_is_caught(file: Path) -> None:
    replayer = Replayer(workflows=[CarelesslyChanged], workflow_runner=UnsandboxedWorkflowRunner())
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(read(file))


def test_every_path_has_its_history() -> None:
    assert {file.stem for file in FILES} >= PATHS


def test_the_histories_tell_every_step_and_take_it() -> None:
    told, taken = set(), set()
    for file in FILES:
        history = read(file)
        told |= {course["step"] for course in each_course(json.loads(history.to_json()))}
        taken |= {
            event.activity_task_scheduled_event_attributes.activity_type.name.removeprefix("registration.")
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        }
    assert told == set(Step)
    assert taken == set(Step) - {Step.END}


@EACH
def test_a_history_ends_completed_and_names_neither_persons_nor_the_recording_machine(file: Path) -> None:
    assert read(file).events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    assert [part for part in told_by(file) if re.search(r"@|\.py\b|lead\.example", part)] == []
