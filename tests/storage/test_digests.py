"""What subscribers are told: everything once, collected in windows, and nothing that is not their business."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from consentflow.domain.errors import TransientFailure
from consentflow.domain.letters import Language
from consentflow.domain.notifications import OLDEST_TOLD, Action, Delivery, hour_of
from consentflow.domain.partners import Choice, Partner, Subscriber, SubscriberKind, SubscriberState
from consentflow.operations.consent import LinkState
from consentflow.operations.digests import START, open_digests_for, reschedule
from consentflow.operations.posting import NotYet, Outcome
from consentflow.runtime import Parts
from consentflow.storage import outbox, partners
from consentflow.storage.mails import StoredMail
from tests.conftest import HandClock
from tests.storage.partner_side import Crash, Key, PartnerSide

IMMEDIATE, DAILY = Choice(delivery=Delivery.IMMEDIATE), Choice(delivery=Delivery.DAILY)
DEMO, TRIAL, PRICING = Action.DEMO_REQUESTED, Action.TRIAL_REQUESTED, Action.PRICING_VIEWED


@pytest.fixture
async def side(parts: Parts, clock: HandClock) -> PartnerSide:
    """A partner that owns two companies, since a month ago."""
    side = PartnerSide(parts, clock)
    clock.pass_time(days=-30)
    await side.owns("p", "firma.example")
    await side.owns("p", "other.example")
    clock.pass_time(days=30)
    return side


def key(domain: str, action: Action, at: datetime) -> Key:
    return domain, action, hour_of(at)


async def starts(parts: Parts) -> list[outbox.Payload]:
    """The messages that start digests, and from now on they are delivered."""
    async with parts.database.transaction() as connection:
        rows = await outbox.claim(connection, 1000)
        await outbox.delivered(connection, [row.outbox_id for row in rows])
    return [row.payload for row in rows if row.topic == START]


class TestCollecting:
    async def test_the_first_news_opens_a_digest_and_what_follows_is_told_with_it(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        began = clock.now()
        await side.happens(("firma.example", PRICING, began))
        digest = await side.the_open_digest(subscriber)
        assert digest.due_at == began + timedelta(minutes=15)
        (start,) = await starts(side.parts)
        assert start == {"digest_id": str(digest.digest_id), "revision": 0, "due_at": digest.due_at.isoformat()}
        clock.pass_time(minutes=14)
        await side.happens(("firma.example", PRICING, clock.now()), ("other.example", DEMO, clock.now()))
        assert await starts(side.parts) == []
        with pytest.raises(NotYet) as wait:
            await side.tell(digest)
        assert wait.value.wait == timedelta(minutes=1)
        clock.pass_time(minutes=1)
        told = await side.tell(digest)
        assert told == {key("firma.example", PRICING, began): 2, key("other.example", DEMO, began): 1}

    async def test_a_flood_writes_no_rows_and_costs_two_statements_a_batch(
        self, side: PartnerSide, clock: HandClock, parts: Parts
    ) -> None:
        people = [await side.subscribe("p", IMMEDIATE) for _ in range(5)]
        for _ in range(4):
            await side.happens(("firma.example", PRICING, clock.now()), times=250)
        assert await side.fetch("SELECT count(*) FROM digests") == len(people)
        assert len(await starts(parts)) == len(people)
        batch = [("p", f"c{n}.example", action, clock.now()) for n in range(100) for action in Action]
        statements: list[str] = []
        async with parts.database.transaction() as connection:
            with connection.query_logger(lambda record: statements.append(record.query)):
                await open_digests_for(connection, batch, clock.now())
        assert len(statements) == 2
        clock.pass_time(minutes=15)
        for subscriber in people:
            told = await side.tell(await side.the_open_digest(subscriber))
            assert told == {key("firma.example", PRICING, clock.now()): 1000}

    async def test_digests_of_many_subscribers_are_opened_by_one_insert(
        self, side: PartnerSide, clock: HandClock, parts: Parts
    ) -> None:
        people = [await side.subscribe(partner, IMMEDIATE) for partner in ["q"] + ["p"] * 20]
        statements: list[str] = []
        async with parts.database.transaction() as connection:
            # The first time on a connection asyncpg asks what types there are.
            await open_digests_for(connection, [("q", "other.example", DEMO, hour_of(clock.now()))], clock.now())
            with connection.query_logger(lambda record: statements.append(record.query)):
                await open_digests_for(connection, [("p", "firma.example", DEMO, hour_of(clock.now()))], clock.now())
        assert len(statements) == 3, "lock, look up, insert; Temporal is told at the end of the transaction"
        assert len(await starts(parts)) == len(people)

    @pytest.mark.parametrize(
        ("choice", "due_at"),
        [
            (Choice(delivery=Delivery.DAILY, hour=8), datetime(2026, 11, 23, 3, 0, tzinfo=UTC)),
            (Choice(delivery=Delivery.DAILY, hour=18), datetime(2026, 11, 22, 13, 0, tzinfo=UTC)),
            (Choice(delivery=Delivery.WEEKLY, hour=8, weekday=4), datetime(2026, 11, 27, 3, 0, tzinfo=UTC)),
        ],
    )
    async def test_a_digest_is_due_at_the_chosen_hour_where_the_partner_is(
        self, side: PartnerSide, clock: HandClock, choice: Choice, due_at: datetime
    ) -> None:
        async with side.parts.database.transaction() as connection:
            await partners.put(connection, Partner("p", "Partner", Language.GERMAN, "Asia/Karachi"), clock.now())
        subscriber = await side.subscribe("p", choice)
        await side.happens(("firma.example", DEMO, clock.now()))
        assert (await side.the_open_digest(subscriber)).due_at == due_at

    async def test_nothing_is_opened_for_what_is_nobodys_news(self, side: PartnerSide, clock: HandClock) -> None:
        clock.pass_time(days=-20)
        waiting = await side.subscribe("p", Choice(actions=frozenset({DEMO})))
        clock.pass_time(days=20)
        fresh = await side.subscribe("p", Choice())
        paused = await side.pause(await side.subscribe("p", Choice()))
        stranger = await side.subscribe("q", Choice())
        specialist = await side.subscribe(
            "p", Choice(), kind=SubscriberKind.GROWTH_SPECIALIST, follows=("other.example",)
        )
        long_ago = clock.now() - OLDEST_TOLD - timedelta(hours=1)
        await side.happens(("firma.example", DEMO, long_ago), ("firma.example", PRICING, clock.now() - timedelta(2)))
        for subscriber in (waiting, fresh, paused, stranger, specialist):
            assert await side.open_digest(subscriber) is None
        await side.happens(("firma.example", DEMO, clock.now() - timedelta(2)))
        assert await side.open_digest(waiting)
        assert await side.open_digest(fresh) is None
        await side.happens(("firma.example", DEMO, clock.now()))
        assert await side.open_digest(fresh)
        assert await side.open_digest(specialist) is None
        await side.happens(("other.example", DEMO, clock.now()))
        assert await side.open_digest(specialist)
        assert await side.open_digest(paused) is None
        assert await side.open_digest(stranger) is None


class TestTelling:
    async def test_the_most_urgent_company_comes_first_and_names_are_those_that_were_registered(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        subscriber = await side.subscribe("p", DAILY)
        clock.pass_time(hours=2)
        later, earlier = clock.now(), clock.now() - timedelta(hours=1)
        await side.owns("p", "urgent.example", until=clock.now() + timedelta(days=3))
        await side.fetch("UPDATE ownerships SET since = since - interval '1 day'")
        await side.happens(
            ("firma.example", PRICING, earlier),
            ("other.example", PRICING, later),
            ("urgent.example", PRICING, later),
            ("urgent.example", TRIAL, earlier),
        )
        clock.pass_time(days=1)
        digest = await side.the_open_digest(subscriber)
        await side.tell(digest)
        (letter,) = side.compose.letters.values()
        assert [company.domain for company in letter.companies] == ["urgent.example", "other.example", "firma.example"]
        assert [happened.action for happened in letter.companies[0].happened] == [TRIAL, PRICING]
        assert letter.companies[0].owned_until == clock.now() + timedelta(days=2)
        assert letter.begins_at == hour_of(earlier)
        assert (letter.partner, letter.language, letter.time_zone) == ("p", Language.ENGLISH, "Europe/Berlin")
        assert letter.page == "http://127.0.0.1:8000/partner"

    async def test_begun_again_it_tells_the_same_and_what_came_after_opens_the_next(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, clock.now()))
        digest = await side.the_open_digest(subscriber)
        clock.pass_time(minutes=15)
        mail_id = await side.digests.begin(digest.digest_id, 0)
        await side.happens(("firma.example", DEMO, clock.now()))
        assert await side.digests.begin(digest.digest_id, 0) == mail_id
        assert len(side.compose.letters) == 1
        following = await side.the_open_digest(subscriber)
        clock.pass_time(minutes=15)
        assert await side.tell(following) == {key("firma.example", DEMO, clock.now()): 1}

    async def test_a_crash_while_it_is_written_leaves_everything_untold(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, clock.now()))
        digest = await side.the_open_digest(subscriber)
        clock.pass_time(minutes=15)
        side.compose.dies = True
        with pytest.raises(Crash):
            await side.tell(digest)
        assert await side.open_digest(subscriber) == digest
        assert await side.fetch("SELECT count(*) FROM told") == 0
        assert await side.tell(digest) == {key("firma.example", DEMO, clock.now()): 1}

    async def test_what_a_partner_does_not_own_any_more_is_not_told(self, side: PartnerSide, clock: HandClock) -> None:
        subscriber = await side.subscribe("p", DAILY)
        await side.happens(("firma.example", DEMO, clock.now()))
        clock.pass_time(hours=2)
        await side.owns("q", "firma.example")
        clock.pass_time(hours=2)
        await side.owns("p", "firma.example")  # again, later: what happened before is still not its business
        clock.pass_time(days=1)
        digest = await side.the_open_digest(subscriber)
        assert await side.digests.begin(digest.digest_id, 0) is None
        assert await side.open_digest(subscriber) is None

    async def test_what_has_become_too_old_while_it_waited_is_not_told(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        clock.pass_time(days=-14)
        subscriber = await side.subscribe("p", Choice(delivery=Delivery.WEEKLY))
        began = clock.now()
        clock.pass_time(days=13)
        await side.happens(("firma.example", DEMO, began), ("firma.example", PRICING, clock.now()))
        digest = await side.the_open_digest(subscriber)
        happened = clock.now()
        clock.at = max(digest.due_at, began + OLDEST_TOLD + timedelta(hours=1))
        assert await side.tell(digest) == {key("firma.example", PRICING, happened): 1}

    async def test_who_has_left_is_told_nothing(self, side: PartnerSide, clock: HandClock) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, clock.now()))
        digest = await side.the_open_digest(subscriber)
        await side.leave(subscriber)
        clock.pass_time(minutes=15)
        assert await side.digests.begin(digest.digest_id, 0) is None
        assert await side.fetch("SELECT count(*) FROM digests") == 0

    async def test_who_was_paused_by_another_hand_is_told_nothing(self, side: PartnerSide, clock: HandClock) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, clock.now()))
        digest = await side.the_open_digest(subscriber)
        await side.fetch("UPDATE subscribers SET state = 'paused'")
        clock.pass_time(minutes=15)
        assert await side.digests.begin(digest.digest_id, 0) is None
        assert await side.fetch("SELECT count(*) FROM told") == 0

    async def test_the_link_in_it_is_short_and_ends_the_subscription(
        self, side: PartnerSide, clock: HandClock, parts: Parts
    ) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, clock.now()))
        clock.pass_time(minutes=15)
        await side.tell(await side.the_open_digest(subscriber))
        (letter,) = side.compose.letters.values()
        assert len(letter.unsubscribe) <= 60
        link = await parts.subscribers.leave(letter.unsubscribe.rpartition("/")[2])
        assert link.state is LinkState.DONE
        assert await side.fetch("SELECT count(*) FROM subscribers") == 0


class TestChanging:
    async def test_to_be_told_sooner_starts_another_workflow_and_the_former_tells_nothing(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        subscriber = await side.subscribe("p", DAILY)
        await side.happens(("firma.example", DEMO, clock.now()))
        former = await side.the_open_digest(subscriber)
        await starts(side.parts)
        await side.change(subscriber, choice=IMMEDIATE)
        moved = await side.the_open_digest(subscriber)
        assert (moved.digest_id, moved.revision) == (former.digest_id, 1)
        assert moved.due_at == clock.now() + timedelta(minutes=15)
        (start,) = await starts(side.parts)
        assert start["revision"] == 1
        clock.at = former.due_at
        assert await side.digests.begin(former.digest_id, former.revision) is None
        assert len(await side.tell(moved)) == 1
        assert await side.digests.begin(former.digest_id, former.revision) is None

    async def test_a_change_that_moves_nothing_starts_nothing(self, side: PartnerSide, clock: HandClock) -> None:
        for choice in (IMMEDIATE, DAILY, Choice(delivery=Delivery.WEEKLY)):
            subscriber = await side.subscribe("p", choice)
            await side.happens(("firma.example", DEMO, clock.now()))
            digest = await side.the_open_digest(subscriber)
            await starts(side.parts)
            clock.pass_time(minutes=5)
            await side.change(subscriber)
            assert await side.open_digest(subscriber) == digest
            assert await starts(side.parts) == []

    async def test_another_time_zone_moves_what_is_collected_for_all_of_a_partners_people(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        daily, weekly, soon = [
            await side.subscribe("p", Choice(delivery=delivery))
            for delivery in (Delivery.DAILY, Delivery.WEEKLY, Delivery.IMMEDIATE)
        ]
        await side.happens(("firma.example", DEMO, clock.now()))
        immediately = await side.the_open_digest(soon)
        await side.parts.partners.put(Partner("p", "Partner", time_zone="America/New_York"))
        assert (await side.the_open_digest(daily)).due_at == datetime(2026, 11, 22, 13, 0, tzinfo=UTC)
        assert (await side.the_open_digest(weekly)).due_at == datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
        assert await side.open_digest(soon) == immediately

    async def test_what_is_due_already_is_not_put_off(self, side: PartnerSide, clock: HandClock) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, clock.now()))
        digest = await side.the_open_digest(subscriber)
        clock.at = digest.due_at
        await side.change(subscriber, choice=DAILY)
        assert await side.open_digest(subscriber) == digest

    async def test_what_happens_during_a_pause_is_told_after_it(self, side: PartnerSide, clock: HandClock) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        began = clock.now()
        await side.happens(("firma.example", DEMO, clock.now()))
        before = await side.the_open_digest(subscriber)
        paused = await side.pause(subscriber)
        assert await side.open_digest(subscriber) is None
        clock.pass_time(hours=3)
        await side.happens(("firma.example", DEMO, clock.now()))
        assert await side.digests.begin(before.digest_id, 0) is None
        await side.resume(paused)
        digest = await side.the_open_digest(subscriber)
        clock.at = digest.due_at
        assert await side.tell(digest) == {
            key("firma.example", DEMO, began): 1,
            key("firma.example", DEMO, began + timedelta(hours=3)): 1,
        }

    async def test_resuming_opens_nothing_when_everything_has_been_told(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, clock.now()))
        clock.pass_time(minutes=15)
        await side.tell(await side.the_open_digest(subscriber))
        await side.resume(await side.pause(subscriber))
        assert await side.open_digest(subscriber) is None

    async def test_nobody_who_is_unknown_is_rescheduled(self, parts: Parts, clock: HandClock) -> None:
        async with parts.database.transaction() as connection:
            await reschedule(connection, UUID(int=0), clock.now())


class TestBeforeItLeaves:
    """Between freezing and sending there may be days: the mail server may be down."""

    async def frozen(self, side: PartnerSide) -> tuple[Subscriber, UUID]:
        subscriber = await side.subscribe("p", IMMEDIATE)
        now = side.clock.now()
        await side.happens(("firma.example", DEMO, now), ("other.example", DEMO, now))
        digest = await side.the_open_digest(subscriber)
        side.clock.at = digest.due_at
        mail_id = await side.digests.begin(digest.digest_id, 0)
        assert mail_id
        return subscriber, mail_id

    async def test_it_leaves_while_everything_is_as_it_was(self, side: PartnerSide) -> None:
        _, mail_id = await self.frozen(side)
        assert isinstance(await side.posting.begin(mail_id), StoredMail)

    async def test_nothing_leaves_to_somebody_who_has_left(self, side: PartnerSide) -> None:
        subscriber, mail_id = await self.frozen(side)
        await side.leave(subscriber)
        assert await side.posting.begin(mail_id) is Outcome.DROPPED
        assert await side.fetch("SELECT num_nonnulls(content, envelope_to) FROM mails") == 0

    async def test_a_pause_keeps_it_here_and_what_it_told_is_told_after_the_pause(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        began = clock.now()
        await side.happens(("firma.example", DEMO, began))
        clock.pass_time(minutes=15)
        mail_id = await side.digests.begin((await side.the_open_digest(subscriber)).digest_id, 0)
        assert mail_id
        paused = await side.pause(subscriber)
        assert await side.posting.begin(mail_id) is Outcome.DROPPED
        await side.resume(paused)
        digest = await side.the_open_digest(subscriber)
        clock.at = digest.due_at
        assert await side.tell(digest) == {key("firma.example", DEMO, began): 1}

    async def test_it_names_no_company_that_has_another_owner_by_then_and_the_rest_is_told_anew(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        subscriber, mail_id = await self.frozen(side)
        happened = clock.now()
        await side.posting.begin(mail_id)
        await side.posting.postponed(mail_id, TransientFailure("connect"))
        await side.owns("q", "firma.example")
        assert await side.posting.begin(mail_id) is Outcome.DROPPED
        opened = await side.the_open_digest(subscriber)
        clock.pass_time(minutes=15)
        following = await side.digests.begin(opened.digest_id, 0)
        assert following
        assert await side.told_in(following) == {key("other.example", DEMO, happened): 1}
        assert isinstance(await side.posting.begin(following), StoredMail)

    async def test_what_may_have_left_already_is_unsure_and_not_told_again(self, side: PartnerSide) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, side.clock.now()))
        side.clock.pass_time(minutes=15)
        mail_id = await side.digests.begin((await side.the_open_digest(subscriber)).digest_id, 0)
        assert mail_id
        await side.posting.begin(mail_id)  # and its attempt never came back
        await side.resume(await side.pause(subscriber))
        await side.owns("q", "firma.example")
        assert await side.posting.begin(mail_id) is Outcome.UNSURE
        assert await side.open_digest(subscriber) is None

    async def test_news_that_could_not_leave_for_too_long_stays_here(self, side: PartnerSide, clock: HandClock) -> None:
        _, mail_id = await self.frozen(side)
        clock.at += OLDEST_TOLD
        assert await side.posting.begin(mail_id) is Outcome.DROPPED


class TestAgenda:
    async def test_what_is_collected_is_on_the_agenda_until_its_mail_has_left(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        agenda, subscriber = side.parts.agenda, await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, clock.now()))
        digest = await side.the_open_digest(subscriber)
        assert await agenda.next_due(clock.now()) == digest.due_at
        await starts(side.parts)
        assert await agenda.unsettled(clock.now()) == 0
        clock.at = digest.due_at
        assert await agenda.unsettled(clock.now()) == 1
        mail_id = await side.digests.begin(digest.digest_id, 0)
        assert mail_id
        assert await agenda.unsettled(clock.now()) == 1
        await side.posting.begin(mail_id)
        assert await agenda.unsettled(clock.now()) == 1
        await side.posting.accepted(mail_id, "2.0.0 taken")
        assert await agenda.unsettled(clock.now()) == 0
        assert await agenda.next_due(clock.now()) is None

    async def test_an_engine_that_has_forgotten_hears_again_of_what_is_not_over(
        self, side: PartnerSide, clock: HandClock
    ) -> None:
        told, telling, waiting = [await side.subscribe("p", choice) for choice in (IMMEDIATE, IMMEDIATE, DAILY)]
        await side.happens(("firma.example", DEMO, clock.now()))
        clock.pass_time(minutes=15)
        done, under_way, still_open = [await side.the_open_digest(each) for each in (told, telling, waiting)]
        for digest in (done, under_way):
            mail_id = await side.digests.begin(digest.digest_id, 0)
            assert mail_id
            await side.posting.begin(mail_id)
            if digest is done:
                await side.posting.accepted(mail_id, "2.0.0 taken")
        await starts(side.parts)
        await side.parts.agenda.announce_open()
        again = {start["digest_id"] for start in await starts(side.parts)}
        assert again == {str(under_way.digest_id), str(still_open.digest_id)}


class TestAtOnce:
    """Transactions that meet."""

    async def test_a_digest_waits_for_events_that_are_being_recorded(
        self, side: PartnerSide, clock: HandClock, parts: Parts
    ) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, clock.now()))
        digest = await side.the_open_digest(subscriber)
        clock.pass_time(minutes=15)
        async with parts.database.transaction() as recording:
            await recording.execute("UPDATE company_actions SET count = count + 1")
            await open_digests_for(recording, [("p", "firma.example", DEMO, hour_of(clock.now()))], clock.now())
            telling = asyncio.create_task(side.tell(digest))
            await self.somebody_waits_for_a_lock(side)
            assert not telling.done()
        assert await telling == {key("firma.example", DEMO, clock.now()): 2}

    async def test_events_that_come_while_a_digest_is_written_open_the_next(
        self, side: PartnerSide, clock: HandClock, parts: Parts
    ) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        await side.happens(("firma.example", DEMO, clock.now()))
        digest = await side.the_open_digest(subscriber)
        clock.pass_time(minutes=15)
        async with parts.database.transaction() as writing:
            await writing.execute("SELECT FROM digests FOR UPDATE")  # holds the digest in the middle of it
            telling = asyncio.create_task(side.tell(digest))
            await self.somebody_waits_for_a_lock(side)
            recording = asyncio.create_task(side.happens(("firma.example", DEMO, clock.now())))
            await self.somebody_waits_for_a_lock(side, 2)
        assert await telling == {key("firma.example", DEMO, clock.now()): 1}
        await recording
        clock.pass_time(minutes=15)
        assert await side.tell(await side.the_open_digest(subscriber)) == {
            key("firma.example", DEMO, clock.now() - timedelta(minutes=15)): 1
        }

    async def test_who_leaves_while_events_are_recorded_harms_nothing(
        self, side: PartnerSide, clock: HandClock, parts: Parts
    ) -> None:
        subscriber = await side.subscribe("p", IMMEDIATE)
        async with parts.database.transaction() as leaving:
            await leaving.execute("DELETE FROM subscribers WHERE subscriber_id = $1", subscriber.subscriber_id)
            recording = asyncio.create_task(side.happens(("firma.example", DEMO, clock.now())))
            await self.somebody_waits_for_a_lock(side)
        await recording
        assert await side.fetch("SELECT count(*) FROM digests") == 0

    @pytest.mark.parametrize("seed", range(3))
    async def test_in_a_crowd_everything_is_told_once(self, side: PartnerSide, clock: HandClock, seed: int) -> None:
        """Events, digests, changes of mind and pauses at once; in the end each subscriber has been told all of it."""
        chance = random.Random(seed)
        people = [await side.subscribe("p", IMMEDIATE) for _ in range(3)]
        recorded, told = Counter[Key](), [Counter[Key]() for _ in people]

        async def record() -> None:
            for _ in range(25):
                domain, at, times = chance.choice(["firma.example", "other.example"]), clock.now(), chance.randint(1, 3)
                await side.happens((domain, DEMO, at), times=times)
                recorded[key(domain, DEMO, at)] += times
                clock.pass_time(minutes=3)

        async def tell(rounds: int, **between: float) -> None:
            for _ in range(rounds):
                clock.pass_time(**between)
                for subscriber, heard in zip(people, told, strict=True):
                    heard.update(await self.told_and_left(side, subscriber))

        async def change_minds() -> None:
            for _ in range(12):
                subscriber = chance.choice(people)
                choice = chance.choice([IMMEDIATE, DAILY])
                state = chance.choice([SubscriberState.ACTIVE, SubscriberState.PAUSED])
                await side.resume(await side.change(subscriber, choice=choice, state=state))

        await asyncio.gather(record(), record(), tell(40), change_minds())
        await tell(3, days=1)
        assert told == [recorded] * len(people)

    async def told_and_left(self, side: PartnerSide, subscriber: Subscriber) -> Counter[Key]:
        """What the subscriber is told by a mail that leaves now, if one is due."""
        digest = await side.open_digest(subscriber)
        if digest is None or digest.due_at > side.clock.now():
            return Counter()
        mail_id = await side.digests.begin(digest.digest_id, digest.revision)
        assert await side.digests.begin(digest.digest_id, digest.revision) == mail_id
        if mail_id is None or await side.posting.begin(mail_id) is Outcome.DROPPED:
            return Counter()
        await side.posting.accepted(mail_id, "2.0.0 taken")
        return await side.told_in(mail_id)

    async def somebody_waits_for_a_lock(self, side: PartnerSide, most: int = 1) -> None:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(30):
            while await side.fetch(waiting) != most:
                await asyncio.sleep(0.01)
