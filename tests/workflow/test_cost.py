"""The price of each journey, counted from histories of a real server."""

from datetime import timedelta

from consentflow.domain.registrations import State
from tests.workflow.cost import cost_of
from tests.workflow.service import TIMER_STARTED, PostOffice, Service

MONTH = timedelta(days=30)
SOON = timedelta(seconds=4)


async def test_a_registration_that_needs_no_contact_costs_one_action(real: Service) -> None:
    async with real.working():
        registration = await real.register("US")
        await real.ends(registration)
    assert cost_of(await real.history(registration)).is_within(actions=1, events=5)


async def test_waiting_costs_one_action_and_one_event(real: Service) -> None:
    async with real.working():
        registration = await real.register("FR")
        await real.settles()
    assert cost_of(await real.history(registration)).is_within(actions=1, events=1)


async def test_waiting_and_then_being_satisfied_costs_two_actions(real: Service) -> None:
    async with real.working():
        registration = await real.register("FR")
        await real.settles()
        await real.tell("opted_in")
        await real.ends(registration)
    assert cost_of(await real.history(registration)).is_within(actions=2, events=6)


async def test_waiting_and_then_being_notified_costs_two_actions(real: Service) -> None:
    due_soon = real.parts.clock.now() - MONTH + SOON
    async with real.working():
        registration = await real.register("FR", registered_at=due_soon)
        await real.ends(registration)
    history = await real.history(registration)
    start = history.events[0].workflow_execution_started_event_attributes
    assert start.first_workflow_task_backoff.ToTimedelta() > timedelta(), "it did wait"
    assert await real.state(registration) is State.NOTIFIED
    assert cost_of(history).is_within(actions=2, events=11)


async def test_a_confirmed_double_opt_in_costs_four_actions(real: Service) -> None:
    async with real.working():
        registration = await real.register("DE")
        await real.comes_to(registration, TIMER_STARTED)
        await real.press(real.only_mail())
        await real.ends(registration)
    assert await real.state(registration) is State.CONFIRMED
    assert cost_of(await real.history(registration)).is_within(actions=4, events=17)


async def test_a_course_that_came_before_its_start_costs_one_action(real: Service) -> None:
    registration = await real.register("FR")
    await real.tell("opted_in")
    await real.fetch("DELETE FROM outbox WHERE topic = 'registration.start'")
    async with real.working():
        await real.ends(registration)
    assert cost_of(await real.history(registration)).is_within(actions=1, events=6)


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
    assert cost.is_within(actions=10, events=11), "however often it is tried, the history does not grow"
