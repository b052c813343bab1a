"""The price of each journey, counted from histories of a real server."""

from datetime import timedelta

from temporalio.client import WorkflowExecutionStatus

from consentflow.domain.registrations import State
from consentflow.schedules import CHECKPOINT
from tests.workflow.cost import CONFIRMED, NO_CONTACT, NOTIFIED, SATISFIED, WAITING, Cost, cost_of
from tests.workflow.service import TIMER_STARTED, PostOffice, Service, until

MONTH = timedelta(days=30)
SOON = timedelta(seconds=4)


async def test_a_registration_that_needs_no_contact_costs_one_action(real: Service) -> None:
    async with real.working():
        registration = await real.register("US")
        await real.ends(registration)
    assert cost_of(await real.history(registration)).is_within(NO_CONTACT)


async def test_waiting_costs_one_action_and_one_event(real: Service) -> None:
    async with real.working():
        registration = await real.register("FR")
        await real.settles()
    assert cost_of(await real.history(registration)).is_within(WAITING)


async def test_waiting_and_then_being_satisfied_costs_two_actions(real: Service) -> None:
    async with real.working():
        registration = await real.register("FR")
        await real.settles()
        await real.tell("opted_in")
        await real.ends(registration)
    assert cost_of(await real.history(registration)).is_within(SATISFIED)


async def test_waiting_and_then_being_notified_costs_two_actions(real: Service) -> None:
    due_soon = real.parts.clock.now() - MONTH + SOON
    async with real.working():
        registration = await real.register("FR", registered_at=due_soon)
        await real.ends(registration)
    history = await real.history(registration)
    start = history.events[0].workflow_execution_started_event_attributes
    assert start.first_workflow_task_backoff.ToTimedelta() > timedelta(), "it did wait"
    assert await real.state(registration) is State.NOTIFIED
    assert cost_of(history).is_within(NOTIFIED)


async def test_a_confirmed_double_opt_in_costs_four_actions(real: Service) -> None:
    async with real.working():
        registration = await real.register("DE")
        await real.comes_to(registration, TIMER_STARTED)
        await real.press(real.only_mail())
        await real.ends(registration)
    assert await real.state(registration) is State.CONFIRMED
    assert cost_of(await real.history(registration)).is_within(CONFIRMED)


async def test_a_course_that_came_before_its_start_costs_one_action(real: Service) -> None:
    registration = await real.register("FR")
    await real.tell("opted_in")
    await real.fetch("DELETE FROM outbox WHERE topic = 'registration.start'")
    async with real.working():
        await real.ends(registration)
    assert cost_of(await real.history(registration)).is_within(Cost(actions=1, events=6))


async def test_a_repeated_attempt_at_sending_counts_as_an_action_of_its_own(
    real_by_post: Service, post: PostOffice
) -> None:
    async with real_by_post.working():
        registration = await real_by_post.register("DE")
        await real_by_post.attempted(registration)
        async with post.open():
            await real_by_post.comes_to(registration, TIMER_STARTED)
    cost = cost_of(await real_by_post.history(registration))
    assert cost.actions > 3, "start, timer, and at least two attempts"
    assert cost.is_within(Cost(actions=10, events=11)), "however often it is tried, the history does not grow"


async def test_a_run_that_a_schedule_started_costs_three_actions_and_those_of_its_activities(real: Service) -> None:
    queue = real.parts.settings.temporal.task_queue
    async with real.working():
        await real.client.get_schedule_handle(CHECKPOINT).trigger()

        async def completed() -> list[str]:
            runs = real.client.list_workflows(f"TaskQueue = '{queue}' AND WorkflowType = '{CHECKPOINT}'")
            return [run.id async for run in runs if run.status is WorkflowExecutionStatus.COMPLETED]

        (workflow_id,) = await until("the checkpoint is made", completed)
    cost = cost_of(await real.client.get_workflow_handle(workflow_id).fetch_history())
    assert (cost.actions, cost.events) == (3 + 1, 11)


async def test_an_activity_that_was_never_taken_up_is_an_action_all_the_same(real_by_post: Service) -> None:
    """The page on actions counts the scheduling; what is still tried again shows in no event."""
    async with real_by_post.working():
        registration = await real_by_post.register("DE")
        await real_by_post.attempted(registration)
        assert cost_of(await real_by_post.history(registration)).actions == 1 + 1
