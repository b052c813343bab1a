"""What must hold in the end, whatever went wrong on the way: each lead in its right state, each mail counted."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from temporalio.client import WorkflowExecutionStatus

from tests.faults.leads import Lead
from tests.faults.processes import until
from tests.faults.world import World

SETTLING_SECONDS = 400


async def everything_comes_right(world: World, found: Sequence[Lead]) -> int:
    """Waits until everything is settled and checks every claim; how many mails were repeats."""
    await until("every registration is in its right state", lambda: _all_right(world, found), SETTLING_SECONDS)
    await until("nothing waits in the outbox", world.outbox_is_empty, SETTLING_SECONDS)
    await until("no mail is on its way", lambda: _no_mail_in_flight(world, found), SETTLING_SECONDS)
    repeats = await _mails_are_right(world, found)
    await _workflows_are_right(world, found)
    code, said = await world.command("ledger", "verify")
    assert code == 0, said
    return repeats


async def _all_right(world: World, found: Sequence[Lead]) -> bool:
    for process in (*world.processes, *world.extra):
        assert process.runs, f"{process.name} ended by itself: {process.said()[-2000:]}"
    states = await world.states(*(lead.registration_id for lead in found))
    assert len(states) == len(found), "an accepted registration is gone"
    wrong = {lead: states[lead.registration_id] for lead in found if states[lead.registration_id] not in lead.states}
    return not wrong


async def _no_mail_in_flight(world: World, found: Sequence[Lead]) -> bool:
    rows = await world.fetch(
        "SELECT 1 FROM mails WHERE registration_id = ANY($1) AND state IN ('frozen', 'attempting')",
        [lead.registration_id for lead in found],
    )
    return not rows


async def _mails_are_right(world: World, found: Sequence[Lead]) -> int:
    """One mail at most for a mailbox, and exactly the stored bytes however often; returns the number of repeats."""
    rows = await world.fetch(
        """
        SELECT message_id, content_sha256, state, attempts, unsure_attempts FROM mails WHERE registration_id = ANY($1)
        """,
        [lead.registration_id for lead in found],
    )
    stored = {row["message_id"]: row for row in rows}
    arrived: dict[str, list[Any]] = defaultdict(list)
    for mail in world.arrived(*{lead.email for lead in found}):
        arrived[mail.to].append(mail)
        assert mail.message_id in stored, "a mail left that nobody wrote down"
        assert mail.sha256 == stored[mail.message_id]["content_sha256"], "a repeat differs from the first"
    times = Counter(mail.message_id for mails in arrived.values() for mail in mails)
    for message_id, row in stored.items():
        assert times[message_id] <= 1 + row["unsure_attempts"], f"a repeat was not counted: {dict(row)}"
        if row["state"] == "accepted":
            assert times[message_id] >= 1, "a mail is said to have left and did not"
    states = await world.states(*(lead.registration_id for lead in found))
    for lead in found:
        different = {mail.message_id for mail in arrived[lead.email]}
        state = states[lead.registration_id]
        assert len(different) in lead.mails(state), f"{lead} is {state} and got {len(different)} different mails"
    return sum(count - 1 for count in times.values())


async def _workflows_are_right(world: World, found: Sequence[Lead]) -> None:
    """Whoever waits has a workflow that waits too; none has failed."""
    client = await world.client()
    waiting = [lead for lead in found if lead.states == {"waiting"}]
    for lead in waiting:
        workflow = await client.get_workflow_handle(f"registration/{lead.registration_id}").describe()
        assert workflow.status is WorkflowExecutionStatus.RUNNING
    failed = await client.count_workflows("ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut', 'Canceled')")
    assert failed.count == 0
