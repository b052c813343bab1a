"""What only a real Temporal server shows: waking from a delay, search attributes, messages twice or in any order."""

import asyncio
import gc
from datetime import timedelta

import pytest
from temporalio.client import Client, RetryConfig, WorkflowExecutionStatus

from consentflow.calls import DUE_AT, KIND, REGIME
from consentflow.dev.temporal import free_port, time_skipping_server
from consentflow.domain.registrations import Course, State, Step
from consentflow.workflows.registration import RegistrationWorkflow
from tests.workflow.service import (
    SIGNALED,
    TASK_SCHEDULED,
    TIMER_STARTED,
    PostOffice,
    Service,
    until,
)

REVERSE_OUTBOX = "UPDATE outbox SET ready_at = ready_at - outbox_id * interval '1 minute'"
COPY_OUTBOX = "CREATE TABLE delivered_already AS SELECT topic, payload FROM outbox"
DELIVER_AGAIN = """
    WITH again AS (INSERT INTO outbox (topic, payload) SELECT topic, payload FROM delivered_already)
    SELECT pg_notify('outbox', '')
"""


async def deliver_all(service: Service) -> None:
    """Delivers one message at a time, in the outbox's order."""
    relay = service.relay(most=1)
    while await relay.deliver():
        pass
    assert await service.parts.agenda.outbox_depth() == 0


class TestWaking:
    async def test_an_opt_in_ends_a_workflow_that_had_thirty_days_to_sleep(self, real: Service) -> None:
        async with real.working():
            registration = await real.register("FR")
            await real.settles()
            assert not await real.happened(registration, TASK_SCHEDULED)
            await real.tell("opted_in")
            await real.ends(registration)
        assert await real.state(registration) is State.SATISFIED
        assert real.mails() == []

    async def test_a_location_that_becomes_known_wakes_the_workflow_to_ask_now(self, real: Service) -> None:
        async with real.working():
            registration = await real.register(None)
            await real.settles()
            await real.parts.registrations.correct_location(registration, "DE")
            await real.reaches(registration, State.AWAITING_CONFIRMATION)
        assert real.only_mail().asks

    async def test_a_plain_signal_would_not_wake_it(self, real: Service) -> None:
        """The reason why courses are told by signal-with-start; when this fails, a plain signal has become enough."""
        async with real.working():
            registration = await real.register("FR")
            await real.settles()
            course = Course(revision=99, step=Step.END)
            await real.workflow(registration).signal(RegistrationWorkflow.steer, course)
            assert await real.happened(registration, SIGNALED)
            assert not await real.happened(registration, TASK_SCHEDULED), "a signal that wakes brings a task with it"
            assert await real.is_running(registration)
            await real.tell("opted_in")
            await real.ends(registration)


class TestOrder:
    """Messages may reach Temporal in any order: two relays share them, and one that failed comes later."""

    @pytest.mark.parametrize("reverse", [False, True])
    async def test_start_and_opt_in_end_the_same_in_any_order(self, real: Service, *, reverse: bool) -> None:
        registration = await real.register("FR")
        await real.tell("opted_in")
        if reverse:
            await real.fetch(REVERSE_OUTBOX)
        await deliver_all(real)
        async with real.working():
            await real.ends(registration)
        assert await real.state(registration) is State.SATISFIED
        assert real.mails() == []

    @pytest.mark.parametrize("reverse", [False, True])
    async def test_start_and_correction_ask_once_in_any_order(self, real: Service, *, reverse: bool) -> None:
        registration = await real.register(None)
        await real.parts.registrations.correct_location(registration, "DE")
        if reverse:
            await real.fetch(REVERSE_OUTBOX)
        await deliver_all(real)
        async with real.working():
            await real.reaches(registration, State.AWAITING_CONFIRMATION)
            await real.press(real.only_mail())
            await real.ends(registration)
        assert len(real.mails()) == 1

    @pytest.mark.parametrize("working_between", [False, True])
    async def test_a_late_older_course_never_overrules_a_newer_one(
        self, real: Service, *, working_between: bool
    ) -> None:
        registration = await real.register(None)
        await real.parts.registrations.correct_location(registration, "DE")
        await real.parts.registrations.withdraw(registration)
        await real.fetch(REVERSE_OUTBOX)
        if working_between:
            assert await real.relay(most=1).deliver() == 1
            await real.fetch("CREATE TABLE kept AS SELECT * FROM outbox")
            await real.fetch("DELETE FROM outbox")
            async with real.working():
                await real.ends(registration)
            await real.fetch("INSERT INTO outbox (topic, payload) SELECT topic, payload FROM kept ORDER BY ready_at")
        await deliver_all(real)
        async with real.working():
            await real.ends(registration)
        assert await real.state(registration) is State.WITHDRAWN
        assert real.mails() == []


class TestTwice:
    @pytest.mark.parametrize(
        ("country", "state"),
        [("DE", State.AWAITING_CONFIRMATION), ("FR", State.WAITING), ("US", State.NO_CONTACT)],
    )
    async def test_a_start_delivered_twice_starts_once(self, real: Service, country: str, state: State) -> None:
        registration = await real.register(country)
        await real.fetch(COPY_OUTBOX)
        async with real.working():
            await real.reaches(registration, state)
            await real.settles()
            first = (await real.workflow(registration).describe()).run_id
            await real.fetch(DELIVER_AGAIN)
            await real.settles()
        assert (await real.workflow(registration).describe()).run_id == first
        assert await real.state(registration) is state
        assert len(real.mails()) == (country == "DE")

    async def test_a_start_delivered_again_after_the_end_starts_nothing(self, real: Service) -> None:
        registration = await real.register("DE")
        await real.fetch(COPY_OUTBOX)
        async with real.working():
            await real.reaches(registration, State.AWAITING_CONFIRMATION)
            await real.press(real.only_mail())
            await real.ends(registration)
            first = (await real.workflow(registration).describe()).run_id
            await real.fetch(DELIVER_AGAIN)
            await real.settles()
        assert (await real.workflow(registration).describe()).run_id == first
        assert len(real.mails()) == 1

    async def test_a_change_of_course_delivered_twice_asks_once(self, real: Service) -> None:
        registration = await real.register(None)
        await real.parts.registrations.correct_location(registration, "DE")
        await real.fetch("DELETE FROM outbox WHERE topic = 'registration.start'")
        await real.fetch(COPY_OUTBOX)
        async with real.working():
            await real.reaches(registration, State.AWAITING_CONFIRMATION)
            await real.fetch(DELIVER_AGAIN)
            await real.settles()
            await real.press(real.only_mail())
            await real.ends(registration)
            await real.fetch(DELIVER_AGAIN)
            await real.settles()
            await real.ends(registration)
        assert await real.state(registration) is State.CONFIRMED
        assert len(real.mails()) == 1


class TestRelays:
    async def test_two_relays_at_once_take_every_message_exactly_once(self, real: Service) -> None:
        registrations = [await real.register("FR", address=f"lead-{n}@firma.example") for n in range(40)]
        one, other = real.relay(most=3), real.relay(most=3)
        taken = 0
        while found := sum(await asyncio.gather(one.deliver(), other.deliver())):
            taken += found
        assert taken == len(registrations)
        assert await real.parts.agenda.outbox_depth() == 0
        for registration in registrations:
            (start,) = (await real.history(registration)).events
            assert start.event_id == 1

    async def test_two_relays_that_run_together_lose_nothing(self, real: Service) -> None:
        async with real.working(), asyncio.TaskGroup() as tasks:
            second = tasks.create_task(real.relay().run())
            registrations = [await real.register("US", address=f"lead-{n}@firma.example") for n in range(40)]
            for registration in registrations:
                await real.ends(registration)
            second.cancel()

    async def test_a_registration_made_while_temporal_is_gone_starts_when_it_is_back(self, real: Service) -> None:
        brief = RetryConfig(max_elapsed_time_millis=200)
        async with time_skipping_server() as address:
            gone = await Client.connect(address, retry_config=brief)
        registration = await real.register("US")
        assert await real.relay(gone).deliver() == 0
        assert await real.state(registration) is State.NO_CONTACT
        assert await real.parts.agenda.outbox_depth() == 1
        async with real.working():
            await real.ends(registration)
            await real.settles()

    async def test_a_running_relay_outlives_a_temporal_that_is_not_there(self, real: Service) -> None:
        nobody = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True)
        registration = await real.register("US")
        carrying = asyncio.create_task(real.relay(nobody).run())

        async def was_tried() -> bool:
            assert not carrying.done(), carrying.exception()
            return bool(await real.fetch("SELECT bool_or(attempts > 0) FROM outbox"))

        await until("the message has been tried", was_tried)
        carrying.cancel()
        await asyncio.wait({carrying})
        async with real.working():
            await real.ends(registration)

    async def test_a_relay_that_is_stopped_while_it_starts_leaves_no_connection_behind(self, real: Service) -> None:
        for milliseconds in range(30):
            carrying = asyncio.create_task(real.relay().run())
            await asyncio.sleep(milliseconds / 1000)
            carrying.cancel()
            await asyncio.wait({carrying})
        gc.collect()  # a connection that nobody closed says so here, and warnings are errors

    @pytest.mark.parametrize(
        ("topic", "step"), [("registration.start", "a_step_of_a_newer_version"), ("a.topic.of.a.newer.version", "end")]
    )
    async def test_a_message_that_cannot_be_read_holds_up_no_other(self, real: Service, topic: str, step: str) -> None:
        await real.register("US", address="other@firma.example")
        await real.fetch(
            "UPDATE outbox SET topic = $1, payload = payload || jsonb_build_object('step', $2::text)", topic, step
        )
        registration = await real.register("US")

        async def only_the_other_is_left() -> bool:
            return await real.parts.agenda.outbox_depth() == 1

        async with real.working():
            await real.ends(registration)
            await until("only what cannot be read is kept", only_the_other_is_left)


class TestWhatOperatorsSee:
    @pytest.mark.parametrize(
        ("country", "kind", "regime", "summary"),
        [
            ("FR", "deal", "delayed_notice", "delayed_notice: send_notice at {due_at:%Y-%m-%d %H:%M} UTC"),
            ("DE", "lead", "double_opt_in", "double_opt_in: send_double_opt_in at {due_at:%Y-%m-%d %H:%M} UTC"),
            ("US", "lead", "no_contact", "no_contact: end"),
        ],
    )
    async def test_workflows_can_be_filtered_by_and_say_what_they_wait_for(
        self, real: Service, country: str, kind: str, regime: str, summary: str
    ) -> None:
        registration = await real.register(country, kind=kind)
        await deliver_all(real)
        due_at = (await real.registration(registration)).due_at
        description = await real.workflow(registration).describe()
        attributes = description.typed_search_attributes
        assert attributes.get(REGIME) == regime
        assert attributes.get(KIND) == kind
        assert attributes.get(DUE_AT) == due_at
        assert await description.static_summary() == summary.format(due_at=due_at)
        query = f"Regime = '{regime}' AND RegistrationKind = '{kind}' AND WorkflowId = '{description.id}'"
        if due_at:
            query += f" AND DueAt <= '{(due_at + timedelta(seconds=1)).isoformat()}'"

        async def is_listed() -> bool:
            return [found.id async for found in real.client.list_workflows(query)] == [description.id]

        await until("the filter finds it", is_listed)


async def test_mail_that_could_not_leave_is_tried_again_without_being_told(
    real_by_post: Service, post: PostOffice
) -> None:
    async with real_by_post.working():
        registration = await real_by_post.register("DE")
        await real_by_post.attempted(registration)
        async with post.open():
            await real_by_post.reaches(registration, State.AWAITING_CONFIRMATION)
    assert len(real_by_post.mails()) == 1


async def test_what_temporal_keeps_of_a_failed_attempt_names_nobody(real_by_post: Service, post: PostOffice) -> None:
    async with real_by_post.working():
        registration = await real_by_post.register("DE", address="marked@marked.example", given_name="Marked")
        await real_by_post.attempted(registration)

        async def held_with_the_failure() -> bytes:
            held = await real_by_post.all_that_temporal_holds(registration)
            return held if b"transientfailure" in held else b""

        while_it_is_retried = await until("the failure is known", held_with_the_failure)
        async with post.open():
            await real_by_post.comes_to(registration, TIMER_STARTED)
        afterwards = await until("the failure is in the history", held_with_the_failure)
    assert b"marked" not in while_it_is_retried + afterwards


async def test_a_worker_that_stops_leaves_the_workflow_to_the_next_one(real: Service) -> None:
    async with real.working():
        registration = await real.register("DE")
        await real.reaches(registration, State.AWAITING_CONFIRMATION)
    await real.press(real.only_mail())
    async with real.working():
        await real.ends(registration)
    status = (await real.workflow(registration).describe()).status
    assert status is WorkflowExecutionStatus.COMPLETED
