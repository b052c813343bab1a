"""Notifications and lone mails that were started by older code still run to their end: histories are replayed."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from consentflow.activities.digests import NOTHING_TO_TELL
from consentflow.operations.posting import Outcome
from consentflow.workflows.digest import DigestOrder, DigestWorkflow
from consentflow.workflows.mail import MailOrder, MailWorkflow
from tests.replay.record_digests import NAMES
from tests.replay.recording import HISTORIES, read, result_of, told_by

FILES = sorted([*(HISTORIES / "digest").glob("*.json"), *(HISTORIES / "mail").glob("*.json")])
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


@workflow.defn(name="digest")
class CarelesslyChangedDigest(DigestWorkflow):
    """What somebody might write who forgets the workflows that are already under way."""

    @workflow.run
    async def run(self, order: DigestOrder) -> str:
        end = await super().run(order)
        await workflow.sleep(timedelta(seconds=1))
        return end


@workflow.defn(name="mail")
class CarelesslyChangedMail(MailWorkflow):
    """The same."""

    @workflow.run
    async def run(self, order: MailOrder) -> str:
        end = await super().run(order)
        await workflow.sleep(timedelta(seconds=1))
        return end


@EACH
async def test_todays_workflow_takes_the_recorded_path(file: Path) -> None:
    await Replayer(workflows=[DigestWorkflow, MailWorkflow]).replay_workflow(read(file))


@EACH
async def test_a_careless_change_of_the_workflow_is_caught(file: Path) -> None:
    changed = [CarelesslyChangedDigest, CarelesslyChangedMail]
    replayer = Replayer(workflows=changed, workflow_runner=UnsandboxedWorkflowRunner())
    with pytest.raises(workflow.NondeterminismError):
        await replayer.replay_workflow(read(file))


def test_every_path_has_its_history() -> None:
    assert {file.stem for file in FILES} == NAMES


def test_the_histories_come_to_every_end() -> None:
    ends = {result_of(file) for file in FILES}
    assert ends == {NOTHING_TO_TELL, *Outcome} - {Outcome.UNSURE}, "an unsure one looks like an accepted one"


@EACH
def test_a_history_ends_completed_and_names_neither_persons_nor_the_recording_machine(file: Path) -> None:
    assert read(file).events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    assert [part for part in told_by(file) if re.search(r"@|\.py\b|\.example|partner-1", part)] == []
