"""Links to sign in that older code began to mail still come to their end: recorded histories are replayed."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from consentflow.operations.posting import Outcome
from consentflow.workflows.sign_in import SignInOrder, SignInWorkflow
from tests.replay.record_sign_ins import NAMES
from tests.replay.recording import HISTORIES, read, result_of, told_by
from tests.workflow.test_sign_in import NO_MAIL

FILES = sorted((HISTORIES / "sign_in").glob("*.json"))
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@workflow.defn(name="sign_in")
class CarelesslyChanged(SignInWorkflow):
    """What somebody might write who forgets the workflows that are already under way."""

    @workflow.run
    async def run(self, order: SignInOrder) -> str:
        end = await super().run(order)
        await workflow.sleep(timedelta(seconds=1))
        return end


@EACH
async def test_todays_workflow_takes_the_recorded_path(file: Path) -> None:
    await Replayer(workflows=[SignInWorkflow]).replay_workflow(read(file))


@EACH
async def test_a_careless_change_of_the_workflow_is_caught(file: Path) -> None:
    replayer = Replayer(workflows=[CarelesslyChanged], workflow_runner=UnsandboxedWorkflowRunner())
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(read(file))


def test_every_path_has_its_history_and_its_end() -> None:
    assert {file.stem for file in FILES} == NAMES
    assert {result_of(file) for file in FILES} == {Outcome.ACCEPTED, Outcome.DROPPED, NO_MAIL}


@EACH
def test_a_history_ends_completed_and_names_neither_persons_nor_the_recording_machine(file: Path) -> None:
    assert read(file).events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    assert [part for part in told_by(file) if re.search(r"@|\.py\b|\.example", part)] == []
