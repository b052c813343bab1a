"""Data-source requests from receipt to answer, with months passing in an instant."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from temporalio.client import WorkflowExecutionStatus

from consentflow.domain.acts import of_key
from consentflow.domain.letters import Language
from consentflow.domain.source_intake import DecisionIn, PauseIn, SourceRequestIn
from consentflow.domain.source_requests import Channel, SourceDecision, SourceState
from consentflow.operations.officers import OfficerRole
from consentflow.operations.source_requests import SourceStanding
from tests.workflow.service import Mail, Service, SkippingService, until

OFFICER = "olga@controller.example"
ACTOR = of_key("officer")
DAY = timedelta(days=1)


@dataclass
class Requests:
    """What people do about requests, and what arrives."""

    service: Service

    async def open(
        self, address: str = "lea@firma.example", channel: Channel = Channel.FORM, received_at: datetime | None = None
    ) -> str:
        """Takes a request and waits until it is acknowledged."""
        text = received_at.isoformat() if received_at else None
        given = SourceRequestIn.model_validate({"email": address, "language": "en", "received_at": text})
        request_id = await self.service.parts.source_requests.open(given, channel, ACTOR)
        await self.leaves(request_id, SourceState.RECEIVED)
        return request_id

    async def standing(self, request_id: str) -> SourceStanding:
        return await self.service.parts.source_requests.find(request_id, ACTOR)

    async def state(self, request_id: str) -> SourceState:
        return (await self.standing(request_id)).request.state

    async def leaves(self, request_id: str, state: SourceState) -> None:
        async def has_left() -> bool:
            return await self.state(request_id) is not state

        await until(f"the request is no longer {state.value}", has_left)

    async def press(self, mail: Mail) -> None:
        await self.service.parts.source_identity.confirm(mail.token("identity"))

    async def confirmed(self, address: str = "lea@firma.example", **more: Any) -> str:  # noqa: ANN401 - as `open` takes
        request_id = await self.open(address, **more)
        await self.press(await self.arrives(address, "please confirm"))
        assert await self.state(request_id) is SourceState.IN_REVIEW
        return request_id

    async def decide(self, request_id: str, decision: SourceDecision = SourceDecision.DISCLOSE) -> None:
        await self.service.parts.source_decisions.decide(
            request_id, DecisionIn(decision=decision, reason="Our reasons."), ACTOR
        )

    def mails(self, address: str = "lea@firma.example", subject: str = "") -> list[Mail]:
        return [mail for mail in self.service.mails() if mail.to == address and subject in str(mail.message["Subject"])]

    async def arrives(self, address: str, subject: str, times: int = 1) -> Mail:
        """Waits for the mail, however often such a one is expected; returns the last."""

        async def found() -> list[Mail]:
            mails = self.mails(address, subject)
            return mails if len(mails) >= times else []

        return (await until(f"“{subject}” arrives at {address}", found))[-1]

    async def ends(self, request_id: str) -> None:
        handle = self.service.client.get_workflow_handle(f"source-request/{request_id}")

        async def has_ended() -> bool:
            return (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED

        await until("the workflow is completed", has_ended)

    async def reminded_on(self) -> list[date]:
        """The days, by Berlin's clocks, on which the officer was reminded."""
        zone = self.service.parts.rest_days.zone
        return [mail.message["Date"].datetime.astimezone(zone).date() for mail in self.mails(OFFICER)]


@asynccontextmanager
async def officer(service: Service) -> AsyncIterator[Requests]:
    await service.parts.officers.add(OFFICER, OfficerRole.OFFICER, Language.ENGLISH)
    yield Requests(service)


async def passes_until(service: SkippingService, day: date) -> None:
    """Moves on to noon of a day, UTC."""
    await service.advance(seconds=(datetime.combine(day, time(12), UTC) - service.clock.now()).total_seconds())


def working_day_from(day: date) -> date:
    """The first day from there that is none of Christmas, a Saturday or a Sunday."""
    while day.weekday() > 4 or (day.month, day.day) in {(12, 25), (12, 26)}:
        day += DAY
    return day


async def test_a_request_is_acknowledged_confirmed_reminded_of_and_answered(skipping: SkippingService) -> None:
    async with officer(skipping) as requests:
        await skipping.register("FR", address="lea@firma.example", registered_by="ana@partner.example")
        request_id = await requests.open()
        assert await requests.state(request_id) is SourceState.IDENTITY_PENDING
        await requests.arrives("lea@firma.example", "we have received your request")
        await requests.press(await requests.arrives("lea@firma.example", "please confirm"))
        deadline = (await requests.standing(request_id)).term.deadline_day
        await passes_until(skipping, deadline)
        assert await requests.reminded_on() == [deadline - days * DAY for days in (14, 7, 3, 1)]
        await requests.decide(request_id)
        answer = await requests.arrives("lea@firma.example", "the answer to your request")
        assert "ana@partner.example" in str(answer.message.get_body(("plain",)))
        await requests.ends(request_id)
        await skipping.advance(days=60)
        assert len(await requests.reminded_on()) == 4
        assert Counter(mail.to for mail in skipping.mails()) == {"lea@firma.example": 3 + 1, OFFICER: 4}  # and a notice


async def test_a_deadline_on_christmas_day_is_the_next_working_day_and_daily_reminders_follow_it(
    skipping: SkippingService,
) -> None:
    now = skipping.clock.now().date()
    received = date(now.year + (now >= date(now.year, 11, 25)), 11, 25)
    await passes_until(skipping, received)
    async with officer(skipping) as requests:
        request_id = await requests.confirmed()
        term = (await requests.standing(request_id)).term
        assert term.target_day == date(received.year, 12, 25)
        assert term.deadline_day == working_day_from(term.target_day)
        await passes_until(skipping, term.deadline_day + 3 * DAY)
        assert await requests.reminded_on() == [term.deadline_day + days * DAY for days in (-14, -7, -3, -1, 1, 2, 3)]
        assert (await requests.standing(request_id)).request.is_overdue(skipping.clock.now())
        subjects = [str(mail.message["Subject"]) for mail in requests.mails(OFFICER)]
        assert ["overdue" in subject for subject in subjects] == [False] * 4 + [True] * 3


async def test_an_extension_moves_the_reminders_of_a_sleeping_request(skipping: SkippingService) -> None:
    async with officer(skipping) as requests:
        request_id = await requests.confirmed()
        first = (await requests.standing(request_id)).term.deadline_day
        await passes_until(skipping, first - 10 * DAY)
        await skipping.parts.source_decisions.extend(request_id, "There is much to look at.", ACTOR)
        await requests.arrives("lea@firma.example", "takes longer")
        extended = (await requests.standing(request_id)).term.deadline_day
        await passes_until(skipping, extended)
        days = [first - 14 * DAY, *(extended - days * DAY for days in (14, 7, 3, 1))]
        assert await requests.reminded_on() == days


async def test_a_pause_moves_the_reminders_and_switching_it_off_moves_them_back(skipping: SkippingService) -> None:
    async with officer(skipping) as requests:
        request_id = await requests.confirmed()
        await skipping.advance(days=1)
        until_then = skipping.clock.now() + 20 * DAY
        await skipping.parts.source_decisions.pause(request_id, PauseIn(reason="x", until=until_then), ACTOR)
        paused = (await requests.standing(request_id)).term.deadline_day
        await skipping.advance(days=2)
        await skipping.parts.source_decisions.resume(request_id, ACTOR)
        resumed = (await requests.standing(request_id)).term.deadline_day
        assert resumed < paused
        await passes_until(skipping, resumed)
        assert await requests.reminded_on() == [resumed - days * DAY for days in (14, 7, 3, 1)]


async def test_a_request_that_nobody_confirms_is_closed_with_an_honest_letter(skipping: SkippingService) -> None:
    async with officer(skipping) as requests:
        request_id = await requests.open()
        deadline = (await requests.standing(request_id)).term.deadline_day
        await passes_until(skipping, deadline)
        assert await requests.state(request_id) is SourceState.IDENTITY_PENDING
        await passes_until(skipping, deadline + DAY)
        assert await requests.state(request_id) is SourceState.ABANDONED
        await requests.arrives("lea@firma.example", "the answer to your request")
        await requests.ends(request_id)
        assert len(requests.mails()) == 3
        assert await requests.reminded_on() == []


async def test_two_requests_of_one_person_are_answered_by_one_letter(skipping: SkippingService) -> None:
    async with officer(skipping) as requests:
        first = await requests.confirmed()
        await skipping.advance(days=2)
        second = await requests.open("Lea@firma.example")
        assert (await requests.standing(second)).request.linked_to == first
        await requests.ends(second)  # it waits for the first, and costs nothing meanwhile
        await requests.decide(first, SourceDecision.NOT_FOUND)
        await requests.arrives("lea@firma.example", "the answer to your request")
        for each in (first, second):
            assert await requests.state(each) is SourceState.NOT_FOUND
            await requests.ends(each)
        assert len(requests.mails(subject="the answer")) == 1
        await skipping.advance(days=60)
        assert await requests.reminded_on() == []


async def test_nothing_is_done_before_its_time_by_our_clock(skipping: SkippingService) -> None:
    async with officer(skipping) as requests:
        request_id = await requests.open()
        await skipping.skip_temporal(days=40)
        await skipping.skip_temporal(days=1)
        assert await requests.state(request_id) is SourceState.IDENTITY_PENDING
        assert len(requests.mails()) == 2
        await skipping.skip(days=41)
        await requests.leaves(request_id, SourceState.IDENTITY_PENDING)
        assert await requests.state(request_id) is SourceState.ABANDONED


async def test_telling_the_engine_anew_of_open_requests_changes_nothing_it_knows(skipping: SkippingService) -> None:
    async with officer(skipping) as requests:
        request_id = await requests.open()
        await skipping.settles()
        await skipping.parts.agenda.announce_open()
        await skipping.settles()
        handle = skipping.client.get_workflow_handle(f"source-request/{request_id}")
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        deadline = (await requests.standing(request_id)).term.deadline_day
        await passes_until(skipping, deadline + DAY)
        assert await requests.state(request_id) is SourceState.ABANDONED
        assert len(requests.mails()) == 3


async def test_temporal_learns_nothing_about_anybody(skipping: SkippingService) -> None:
    async with officer(skipping) as requests:
        await skipping.register("FR", address="lea@firma.example", registered_by="ana@partner.example")
        request_id = await requests.confirmed()
        await requests.decide(request_id, SourceDecision.PARTLY)
        await requests.ends(request_id)
        handle = skipping.client.get_workflow_handle(f"source-request/{request_id}")
        history = await handle.fetch_history()
        description = (await handle.describe()).raw_description
        held = b"".join(part.SerializeToString() for part in (*history.events, description)).lower()
        marks = (b"lea", b"firma", b"ana@", b"olga", b"reasons", b"partly", b"partner")
        assert {mark for mark in marks if mark in held} == set()


async def test_on_a_real_server_an_officers_decision_wakes_the_sleeping_request(real: Service) -> None:
    async with officer(real) as requests, real.working():
        request_id = await requests.confirmed("noa@firma.example")
        await requests.decide(request_id, SourceDecision.NOT_FOUND)
        await requests.arrives("noa@firma.example", "the answer to your request")
        await requests.ends(request_id)
