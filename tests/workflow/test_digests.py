"""Notifications from the company's visit to the partner's mailbox, on a server that skips time and on a real one."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from temporalio.client import WorkflowExecutionStatus, WorkflowHandle, WorkflowHistory

from consentflow.activities.digests import NOTHING_TO_TELL
from consentflow.dev.temporal import connect, time_skipping_server
from consentflow.domain.addresses import Subject, read_mailbox, subject_of
from consentflow.domain.events import CloudEvent
from consentflow.domain.notifications import Action, Delivery
from consentflow.domain.partners import Choice
from consentflow.domain.secrets import derive_key
from consentflow.operations.consent import LinkState
from consentflow.operations.posting import Outcome
from tests.workflow.cost import NOTIFIED, WAITING, cost_of
from tests.workflow.service import TASK_SCHEDULED, Mail, PostOffice, Service, SkippingService, skipping_service, until

ANA = "ana@partner.example"
COMPANY = "lead-of-partner-1.example"
IMMEDIATE, DAILY = Choice(delivery=Delivery.IMMEDIATE), Choice(delivery=Delivery.DAILY)
BERLIN = ZoneInfo("Europe/Berlin")
DEMO, PRICING = Action.DEMO_REQUESTED, Action.PRICING_VIEWED


@dataclass
class Partnership:
    """A partner that owns a company, its people, and what they get."""

    service: Service

    def subject(self, address: str = ANA) -> Subject:
        key = derive_key(self.service.parts.settings.secret_key.get_secret_value(), "subject")
        return subject_of(read_mailbox(address), key)

    async def subscribe(self, choice: Choice, address: str = ANA) -> None:
        await self.service.register("US", address=f"lead-of-{address}", registered_by=address)
        await self.service.parts.subscribers.join("partner-1", self.subject(address), address, choice)

    async def choose(self, choice: Choice) -> None:
        await self.service.parts.subscribers.change("partner-1", self.subject(), choice)

    async def visits(self, action: Action = DEMO, *, times: int = 1, visitor: str | None = None) -> None:
        """The company does something so many times, told in one batch."""
        content = {"domain": COMPANY, "email": visitor}
        events = [
            CloudEvent.model_validate(
                {
                    "specversion": "1.0",
                    "id": secrets.token_hex(8),
                    "source": "/site",
                    "type": f"company.{action.value}",
                    "data": {name: value for name, value in content.items() if value},
                }
            )
            for _ in range(times)
        ]
        counts = await self.service.parts.events.record(events)
        assert counts.accepted == times

    async def is_due_in(self, seconds: float) -> None:
        """The digest that Temporal has not heard of yet will be due so soon."""
        due_at = self.service.parts.clock.now() + timedelta(seconds=seconds)
        await self.service.fetch("UPDATE digests SET due_at = $1 WHERE closed_at IS NULL", due_at)
        earlier = "payload || jsonb_build_object('due_at', $1::text)"
        await self.service.fetch(
            f"UPDATE outbox SET payload = {earlier} WHERE topic = 'digest.start'", due_at.isoformat()
        )

    async def digest_id(self) -> UUID:
        """Of the latest digest."""
        found = await self.service.fetch("SELECT digest_id FROM digests ORDER BY opened_at DESC LIMIT 1")
        assert isinstance(found, UUID)
        return found

    async def workflow(self, revision: int = 0) -> WorkflowHandle[Any, Any]:
        suffix = f"/{revision}" if revision else ""
        return self.service.client.get_workflow_handle(f"digest/{await self.digest_id()}{suffix}")

    async def history(self, revision: int = 0) -> WorkflowHistory:
        return await (await self.workflow(revision)).fetch_history()

    async def ends(self, revision: int = 0) -> str:
        """Waits until the digest's workflow is completed; how it ended."""

        async def heard() -> bool:
            return await self.service.parts.agenda.outbox_depth() == 0

        await until("Temporal has heard of it", heard)
        end: str = await (await self.workflow(revision)).result()
        return end

    async def mails_arrive(self, number: int) -> list[Mail]:
        async def have_arrived() -> list[Mail]:
            mails = self.mails()
            return mails if len(mails) >= number else []

        return await until(f"{number} mails have arrived", have_arrived)

    def mails(self, address: str = ANA) -> list[Mail]:
        return [mail for mail in self.service.mails() if mail.to == address]


def local(mail: Mail) -> datetime:
    """When a mail was written, on the clocks of Berlin."""
    written: datetime = mail.message["Date"].datetime
    return written.astimezone(BERLIN)


def text(mail: Mail) -> str:
    part = mail.message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def lines_that_arrived(service: Service) -> list[bytes]:
    """The only mail in the Maildir, but for what the mail server put on top."""
    (file,) = [file for file in service.maildir.rglob("*") if file.is_file()]
    return [
        line for line in file.read_bytes().splitlines() if not line.startswith((b"X-", b"Received", b"Return-Path"))
    ]


class TestWhileTimeIsSkipped:
    async def test_an_immediate_notification_leaves_a_quarter_of_an_hour_after_the_first_news(
        self, skipping: SkippingService
    ) -> None:
        partner = Partnership(skipping)
        await partner.subscribe(IMMEDIATE)
        await partner.visits(DEMO)
        await skipping.advance(minutes=10)
        await partner.visits(PRICING, times=3)
        assert partner.mails() == []
        await skipping.advance(minutes=6)
        (mail,) = partner.mails()
        assert COMPANY in text(mail)
        await skipping.advance(days=2)
        assert len(partner.mails()) == 1
        await partner.visits(DEMO)
        await skipping.advance(minutes=16)
        assert len(partner.mails()) == 2

    async def test_a_daily_notification_comes_at_the_hour_across_a_change_of_clocks(
        self, skipping: SkippingService
    ) -> None:
        before = datetime(2027, 3, 26, 12, tzinfo=BERLIN) - skipping.clock.now()
        await skipping.advance(seconds=before.total_seconds())
        morning, night = Partnership(skipping), "night@partner.example"
        await morning.subscribe(Choice(delivery=Delivery.DAILY, hour=8))
        await morning.subscribe(Choice(delivery=Delivery.DAILY, hour=2), night)
        for _ in range(4):
            await morning.visits(DEMO)
            await skipping.advance(days=1)
        mornings = [(local(mail).day, local(mail).hour) for mail in morning.mails()]
        assert mornings == [(27, 8), (28, 8), (29, 8), (30, 8)]
        at_night = [local(mail).hour for mail in morning.mails(night)]
        assert at_night == [2, 3, 2, 2], "02:00 is skipped on the 28th"

    async def test_a_weekly_notification_tells_of_the_whole_week(self, skipping: SkippingService) -> None:
        partner = Partnership(skipping)
        await partner.subscribe(Choice(delivery=Delivery.WEEKLY, hour=9, weekday=3))
        await partner.visits(DEMO)
        digest = await partner.digest_id()
        await skipping.advance(days=1)
        await partner.visits(PRICING)
        assert await partner.digest_id() == digest
        await skipping.advance(days=7)
        (mail,) = partner.mails()
        assert (local(mail).weekday(), local(mail).hour) == (3, 9)

    async def test_whoever_wants_it_sooner_gets_it_sooner_and_once(self, skipping: SkippingService) -> None:
        partner = Partnership(skipping)
        await partner.subscribe(Choice(delivery=Delivery.WEEKLY))
        await partner.visits(DEMO)
        await skipping.settles()
        await partner.choose(IMMEDIATE)
        await skipping.advance(minutes=16)
        assert len(partner.mails()) == 1
        assert await partner.ends(revision=1) == Outcome.ACCEPTED
        await skipping.advance(days=8)
        assert len(partner.mails()) == 1
        assert await partner.ends() == NOTHING_TO_TELL

    async def test_a_pause_holds_what_is_collected_until_it_is_over(self, skipping: SkippingService) -> None:
        partner, operations = Partnership(skipping), skipping.parts.subscribers
        await partner.subscribe(DAILY)
        await partner.visits(DEMO)
        await operations.pause("partner-1", partner.subject())
        await skipping.advance(days=3)
        assert partner.mails() == []
        assert await partner.ends() == NOTHING_TO_TELL
        await operations.resume("partner-1", partner.subject())
        await skipping.advance(days=1)
        assert len(partner.mails()) == 1

    async def test_one_click_ends_it_and_what_was_collected_is_never_told(self, skipping: SkippingService) -> None:
        partner = Partnership(skipping)
        await partner.subscribe(IMMEDIATE)
        await partner.visits(DEMO)
        await skipping.advance(minutes=16)
        (mail,) = partner.mails()
        await partner.visits(DEMO)
        handle = await partner.workflow()
        await skipping.settles()
        link = await skipping.parts.subscribers.leave(mail.token("unsubscribe"))
        assert link.state is LinkState.DONE
        await skipping.skip(minutes=16)
        assert await handle.result() == NOTHING_TO_TELL
        await partner.visits(DEMO)
        await skipping.advance(days=1)
        assert len(partner.mails()) == 1

    async def test_a_workflow_that_wakes_early_by_our_clock_waits_for_it(self, skipping: SkippingService) -> None:
        partner = Partnership(skipping)
        await partner.subscribe(IMMEDIATE)
        await partner.visits(DEMO)
        await skipping.settles()
        await skipping.skip_temporal(minutes=16)

        async def has_woken() -> bool:
            events = (await partner.history()).events
            return any(event.event_type == TASK_SCHEDULED for event in events)

        await until("it has woken", has_woken)
        assert partner.mails() == []
        await skipping.skip(minutes=16)
        await partner.mails_arrive(1)
        assert await partner.ends() == Outcome.ACCEPTED

    async def test_time_does_not_pass_by_a_mail_that_has_not_left(
        self, posting: SkippingService, post: PostOffice
    ) -> None:
        partner = Partnership(posting)
        await partner.subscribe(IMMEDIATE)
        await partner.visits(DEMO)
        await posting.settles()
        await posting.skip(minutes=16)

        async def was_tried() -> bool:
            return bool(await posting.fetch("SELECT count(*) FROM mails WHERE attempts > 0 AND state = 'frozen'"))

        await until("the mail has been tried", was_tried)
        assert await posting.parts.agenda.unsettled(posting.clock.now()) == 1
        async with post.open():
            await posting.skip(minutes=20)
            await posting.settles()
        assert len(partner.mails()) == 1
        assert await posting.parts.agenda.unsettled(posting.clock.now()) == 0

    async def test_an_engine_that_forgets_is_told_again_of_what_was_collected_and_what_has_not_left(
        self, database_url: str, tmp_path: Path
    ) -> None:
        """Three lives of a stack: news is recorded, a mail is frozen and cannot leave, and it leaves."""
        post, memory = PostOffice(tmp_path / "mail"), tmp_path / "clock.json"

        @asynccontextmanager
        async def life() -> AsyncIterator[tuple[SkippingService, Partnership]]:
            async with AsyncExitStack() as stack:
                client = await connect(await stack.enter_async_context(time_skipping_server()))
                running = skipping_service(database_url, client, post.port, post.maildir, memory)
                service = await stack.enter_async_context(running)
                await service.machine.catch_up()
                await service.parts.agenda.announce_open()
                yield service, Partnership(service)

        async with life() as (service, partner):
            await partner.subscribe(DAILY)
            await partner.visits(DEMO)
            await service.settles()
        async with life() as (service, _):
            await service.settles()
            await service.skip(days=1)

            async def was_tried() -> bool:
                return bool(await service.fetch("SELECT count(*) FROM mails WHERE attempts > 0 AND state = 'frozen'"))

            await until("the mail has been tried", was_tried)
            frozen = await service.fetch("SELECT message_id FROM mails")
        async with post.open(), life() as (service, partner):
            await service.settles()
            (mail,) = partner.mails()
            assert mail.message_id == frozen
            assert await partner.ends() == Outcome.ACCEPTED


class TestOnARealServer:
    async def test_while_news_is_collected_nothing_runs_and_it_costs_one_action(self, real: Service) -> None:
        partner = Partnership(real)
        async with real.working():
            await partner.subscribe(DAILY)
            for _ in range(3):
                await partner.visits(PRICING, times=50)
            await real.settles()
            assert cost_of(await partner.history()).is_within(WAITING)

    async def test_a_flood_is_one_mail_and_two_actions(self, real: Service) -> None:
        partner = Partnership(real)
        await partner.subscribe(IMMEDIATE)
        for _ in range(4):
            await partner.visits(PRICING, times=500)
        assert await real.fetch("SELECT count(*) FROM outbox WHERE topic = 'digest.start'") == 1
        await partner.is_due_in(seconds=3)
        async with real.working():
            assert await partner.ends() == Outcome.ACCEPTED
        history = await partner.history()
        start = history.events[0].workflow_execution_started_event_attributes
        assert start.first_workflow_task_backoff.ToTimedelta() > timedelta(), "it did wait"
        assert cost_of(history).is_within(NOTIFIED)
        (mail,) = partner.mails()
        assert "2000" in text(mail)

    async def test_nothing_to_tell_costs_no_more(self, real: Service) -> None:
        partner = Partnership(real)
        await partner.subscribe(IMMEDIATE)
        await partner.visits()
        await partner.is_due_in(seconds=0)
        await real.fetch("UPDATE ownerships SET until = now()")
        async with real.working():
            assert await partner.ends() == NOTHING_TO_TELL
        assert cost_of(await partner.history()).is_within(NOTIFIED)
        assert partner.mails() == []

    async def test_a_digest_that_is_moved_up_is_told_by_a_workflow_of_its_own(self, real: Service) -> None:
        partner = Partnership(real)
        async with real.working():
            await partner.subscribe(DAILY)
            await partner.visits()
            await real.settles()
        await partner.choose(IMMEDIATE)
        await partner.is_due_in(seconds=0)
        async with real.working():
            assert await partner.ends(revision=1) == Outcome.ACCEPTED
            former = await (await partner.workflow()).describe()
        assert former.status is WorkflowExecutionStatus.RUNNING, "it sleeps on, and will find nothing to do"
        assert len(partner.mails()) == 1

    async def test_a_start_delivered_twice_tells_once(self, real: Service) -> None:
        partner = Partnership(real)
        await partner.subscribe(IMMEDIATE)
        await partner.visits()
        await partner.is_due_in(seconds=0)
        await real.fetch("CREATE TABLE delivered_already AS SELECT topic, payload FROM outbox")
        async with real.working():
            await partner.ends()
            await real.fetch("INSERT INTO outbox (topic, payload) SELECT topic, payload FROM delivered_already")
            await real.settles()
        assert len(partner.mails()) == 1

    async def test_a_worker_that_died_after_freezing_leaves_the_same_mail_to_the_next(self, real: Service) -> None:
        partner = Partnership(real)
        await partner.subscribe(IMMEDIATE)
        await partner.visits()
        await partner.is_due_in(seconds=0)
        mail_id = await real.parts.digests.begin(await partner.digest_id(), 0)  # and it never came to report it
        frozen = await real.fetch("SELECT content FROM mails WHERE mail_id = $1", mail_id)
        await partner.visits(PRICING)
        async with real.working():
            await partner.mails_arrive(1)
        assert lines_that_arrived(real) == bytes(frozen).splitlines()
        assert await real.fetch("SELECT count(*) FROM mails WHERE purpose = 'digest'") == 1

    async def test_a_worker_that_stops_while_the_mail_cannot_leave_leaves_it_to_the_next(
        self, real_by_post: Service, post: PostOffice
    ) -> None:
        partner = Partnership(real_by_post)
        await partner.subscribe(IMMEDIATE)
        await partner.visits()
        await partner.is_due_in(seconds=0)

        async def was_tried() -> bool:
            return bool(await real_by_post.fetch("SELECT count(*) FROM mails WHERE attempts > 0 AND state = 'frozen'"))

        async with real_by_post.working():
            await until("the mail has been tried", was_tried)
        frozen = await real_by_post.fetch("SELECT content FROM mails")
        async with post.open(), real_by_post.working():
            await partner.mails_arrive(1)
            assert await partner.ends() == Outcome.ACCEPTED
        assert lines_that_arrived(real_by_post) == bytes(frozen).splitlines()

    async def test_temporal_learns_neither_who_is_told_nor_of_whom(self, real: Service) -> None:
        partner = Partnership(real)
        marked = "marked@partner.example"
        await partner.subscribe(IMMEDIATE, marked)
        await partner.visits(visitor="visitor-marked@lead-of-partner-1.example")
        await partner.is_due_in(seconds=0)
        async with real.working():
            await partner.ends()
        history = await partner.history()
        description = (await (await partner.workflow()).describe()).raw_description
        held = b"".join(part.SerializeToString() for part in (*history.events, description)).lower()
        assert b"marked" not in held
        assert b"lead-of" not in held
        assert b"partner-1" not in held
        (mail,) = partner.mails(marked)
        assert "visitor" not in text(mail)
