"""Every regime from beginning to end, with a month passing in an instant."""

from datetime import timedelta

import pytest

from consentflow.domain.registrations import State
from consentflow.operations.consent import LinkState
from tests.workflow.service import TASK_SCHEDULED, PostOffice, SkippingService

MONTH = timedelta(days=30)


class TestDoubleOptIn:
    async def test_a_lead_is_asked_at_once_and_its_contact_erased_when_it_never_answers(
        self, skipping: SkippingService
    ) -> None:
        registration = await skipping.register("DE")
        await skipping.settles()
        assert await skipping.state(registration) is State.AWAITING_CONFIRMATION
        assert skipping.only_mail().asks
        assert skipping.only_mail().to == "eva@firma.example"
        await skipping.advance(days=29, hours=23)
        assert await skipping.state(registration) is State.AWAITING_CONFIRMATION
        await skipping.advance(hours=1)
        assert await skipping.state(registration) is State.LAPSED
        assert await skipping.fetch("SELECT count(*) FROM contacts") == 0
        assert await skipping.fetch("SELECT count(*) FROM mails WHERE num_nonnulls(content, envelope_to) > 0") == 0
        await skipping.ends(registration)
        assert len(skipping.mails()) == 1

    async def test_a_lead_that_presses_the_button_is_confirmed_for_good(self, skipping: SkippingService) -> None:
        registration = await skipping.register("AT")
        await skipping.settles()
        await skipping.advance(days=12)
        link = await skipping.press(skipping.only_mail())
        assert link.state is LinkState.DONE
        await skipping.ends(registration)
        await skipping.advance(days=60)
        assert await skipping.state(registration) is State.CONFIRMED
        assert len(skipping.mails()) == 1

    async def test_pressing_after_the_question_has_lapsed_changes_nothing(self, skipping: SkippingService) -> None:
        registration = await skipping.register("CH")
        await skipping.settles()
        await skipping.advance(days=31)
        link = await skipping.press(skipping.only_mail())
        assert link.state is LinkState.UNUSABLE
        assert await skipping.state(registration) is State.LAPSED

    async def test_a_form_replaces_the_question_neither_before_nor_after_it_was_asked(
        self, skipping: SkippingService
    ) -> None:
        await skipping.tell("form_submitted")
        registration = await skipping.register("DE")
        await skipping.settles()
        await skipping.tell("form_submitted")
        await skipping.advance(days=1)
        assert await skipping.state(registration) is State.AWAITING_CONFIRMATION
        await skipping.press(skipping.only_mail())
        assert await skipping.state(registration) is State.CONFIRMED

    async def test_an_opt_in_elsewhere_answers_the_open_question(self, skipping: SkippingService) -> None:
        registration = await skipping.register("DE")
        await skipping.settles()
        await skipping.tell("opted_in")
        await skipping.ends(registration)
        assert await skipping.state(registration) is State.CONFIRMED

    async def test_two_partners_make_one_mail_and_one_press_confirms_both(self, skipping: SkippingService) -> None:
        registrations = [
            await skipping.register("DE", partner="partner-1"),
            await skipping.register("DE", partner="partner-2"),
        ]
        await skipping.settles()
        registrations.append(await skipping.register("DE", partner="partner-3"))
        await skipping.advance(days=1)
        await skipping.press(skipping.only_mail())
        for registration in registrations:
            assert await skipping.state(registration) is State.CONFIRMED
            await skipping.ends(registration)
        await skipping.advance(days=60)
        assert len(skipping.mails()) == 1

    async def test_silence_lets_every_registration_lapse_that_shares_the_question(
        self, skipping: SkippingService
    ) -> None:
        registrations = [await skipping.register("DE", partner=f"partner-{n}") for n in range(3)]
        await skipping.advance(days=31)
        for registration in registrations:
            assert await skipping.state(registration) is State.LAPSED
            await skipping.ends(registration)
        assert len(skipping.mails()) == 1

    async def test_all_spellings_of_a_mailbox_share_one_question(self, skipping: SkippingService) -> None:
        spellings = ["Eva.Muster@gmail.com", "evamuster+crm@gmail.com", "E.V.A.Muster@googlemail.com"]
        registrations = [
            await skipping.register("DE", address=spelling, partner=f"partner-{n}")
            for n, spelling in enumerate(spellings)
        ]
        await skipping.settles()
        await skipping.press(skipping.only_mail())
        assert {await skipping.state(each) for each in registrations} == {State.CONFIRMED}


class TestDelayedNotice:
    @pytest.mark.parametrize("country", ["FR", "Réunion", None, "ZZ", "Atlantis"])
    async def test_the_notice_leaves_thirty_days_after_registration_and_not_before(
        self, skipping: SkippingService, country: str | None
    ) -> None:
        registration = await skipping.register(country)
        await skipping.settles()
        standing = await skipping.registration(registration)
        due_at = standing.due_at
        assert due_at == standing.registered_at + MONTH
        before = due_at - skipping.clock.now() - timedelta(minutes=2)
        await skipping.advance(seconds=before.total_seconds())
        assert await skipping.state(registration) is State.WAITING
        assert not await skipping.happened(registration, TASK_SCHEDULED), "waiting costs no task"
        assert skipping.mails() == []
        await skipping.advance(minutes=2)
        assert await skipping.state(registration) is State.NOTIFIED
        assert (await skipping.events_on_record(registration))["notified"] >= due_at
        assert not skipping.only_mail().asks
        await skipping.ends(registration)

    async def test_a_workflow_that_wakes_early_by_our_clock_waits_for_it(self, skipping: SkippingService) -> None:
        registration = await skipping.register("FR")
        await skipping.settles()
        await skipping.skip_temporal(days=31)
        await skipping.comes_to(registration, TASK_SCHEDULED)
        await skipping.skip_temporal(days=1)
        assert await skipping.state(registration) is State.WAITING
        assert skipping.mails() == []
        await skipping.skip(days=31)
        await skipping.reaches(registration, State.NOTIFIED)
        assert len(skipping.mails()) == 1

    @pytest.mark.parametrize("event", ["opted_in", "form_submitted", "privacy_policy_read"])
    async def test_a_lead_that_is_informed_while_it_waits_is_never_mailed(
        self, skipping: SkippingService, event: str
    ) -> None:
        registration = await skipping.register("FR")
        await skipping.settles()
        await skipping.advance(days=29)
        await skipping.tell(event)
        assert await skipping.state(registration) is State.SATISFIED
        await skipping.ends(registration)
        await skipping.advance(days=60)
        assert skipping.mails() == []

    async def test_an_import_from_forty_days_ago_is_notified_at_once(self, skipping: SkippingService) -> None:
        long_ago = skipping.clock.now() - timedelta(days=40)
        registration = await skipping.register("FR", registered_at=long_ago)
        await skipping.settles()
        assert await skipping.state(registration) is State.NOTIFIED
        assert len(skipping.mails()) == 1

    async def test_the_first_notice_tells_the_lead_for_every_registration_of_it(
        self, skipping: SkippingService
    ) -> None:
        first = await skipping.register("FR", partner="partner-1")
        await skipping.advance(days=3)
        second = await skipping.register("FR", partner="partner-2")
        await skipping.advance(days=27)
        assert await skipping.state(first) is State.NOTIFIED
        assert await skipping.state(second) is State.SATISFIED
        await skipping.ends(second)
        await skipping.advance(days=30)
        assert len(skipping.mails()) == 1

    async def test_two_notices_due_at_the_same_instant_make_one_mail(self, skipping: SkippingService) -> None:
        at = skipping.clock.now() - timedelta(days=10)
        registrations = [await skipping.register("FR", partner=f"partner-{n}", registered_at=at) for n in range(3)]
        await skipping.advance(days=21)
        states = sorted([await skipping.state(registration) for registration in registrations])
        assert states == [State.NOTIFIED, State.SATISFIED, State.SATISFIED]
        assert len(skipping.mails()) == 1
        await skipping.skip(hours=1)
        for registration in registrations:
            await skipping.ends(registration)

    async def test_a_question_that_left_tells_a_waiting_registration_of_the_same_lead_too(
        self, skipping: SkippingService
    ) -> None:
        waiting = await skipping.register("FR", partner="partner-1")
        await skipping.settles()
        await skipping.register("DE", partner="partner-2")
        await skipping.settles()
        assert await skipping.state(waiting) is State.SATISFIED
        await skipping.ends(waiting)


class TestNoContact:
    async def test_a_known_location_outside_the_eu_gets_nothing(self, skipping: SkippingService) -> None:
        registration = await skipping.register("US")
        await skipping.ends(registration)
        await skipping.advance(days=60)
        assert await skipping.state(registration) is State.NO_CONTACT
        assert skipping.mails() == []


class TestFactsOnRecord:
    @pytest.mark.parametrize(("country", "state"), [("DE", State.CONFIRMED), ("FR", State.SATISFIED)])
    async def test_an_opt_in_before_the_registration_leaves_nothing_to_send(
        self, skipping: SkippingService, country: str, state: State
    ) -> None:
        await skipping.tell("opted_in")
        registration = await skipping.register(country)
        await skipping.ends(registration)
        await skipping.advance(days=60)
        assert await skipping.state(registration) is state
        assert skipping.mails() == []

    async def test_a_lead_that_objects_while_it_waits_is_erased_and_never_mailed_by_anybody(
        self, skipping: SkippingService
    ) -> None:
        registration = await skipping.register("FR")
        await skipping.settles()
        await skipping.tell("objected")
        await skipping.ends(registration)
        again = await skipping.register("DE", partner="partner-2")
        await skipping.ends(again)
        await skipping.advance(days=60)
        assert {await skipping.state(each) for each in (registration, again)} == {State.SUPPRESSED}
        assert await skipping.fetch("SELECT count(*) FROM contacts") == 0
        assert skipping.mails() == []

    async def test_the_link_to_object_in_a_question_suppresses_the_registration(
        self, skipping: SkippingService
    ) -> None:
        registration = await skipping.register("DE")
        await skipping.settles()
        mail = skipping.only_mail()
        await skipping.parts.consent.object(mail.token("unsubscribe"))
        await skipping.ends(registration)
        assert (await skipping.press(mail)).state is LinkState.UNUSABLE
        assert await skipping.state(registration) is State.SUPPRESSED


class TestWithdrawal:
    async def test_a_withdrawn_registration_is_never_notified(self, skipping: SkippingService) -> None:
        registration = await skipping.register("FR")
        await skipping.settles()
        await skipping.parts.registrations.withdraw(registration)
        await skipping.ends(registration)
        await skipping.advance(days=60)
        assert await skipping.state(registration) is State.WITHDRAWN
        assert skipping.mails() == []

    async def test_withdrawing_an_asked_registration_makes_its_link_unusable(self, skipping: SkippingService) -> None:
        registration = await skipping.register("DE")
        await skipping.settles()
        await skipping.parts.registrations.withdraw(registration)
        await skipping.ends(registration)
        assert (await skipping.press(skipping.only_mail())).state is LinkState.UNUSABLE
        assert await skipping.state(registration) is State.WITHDRAWN

    async def test_the_question_stays_open_for_the_registration_that_is_left(self, skipping: SkippingService) -> None:
        first = await skipping.register("DE", partner="partner-1")
        second = await skipping.register("DE", partner="partner-2")
        await skipping.settles()
        await skipping.parts.registrations.withdraw(first)
        await skipping.press(skipping.only_mail())
        assert await skipping.state(first) is State.WITHDRAWN
        assert await skipping.state(second) is State.CONFIRMED

    async def test_whoever_joined_asks_when_the_asking_registration_is_withdrawn_before_its_mail_left(
        self, posting: SkippingService, post: PostOffice
    ) -> None:
        first = await posting.register("DE", partner="partner-1")
        second = await posting.register("DE", partner="partner-2")
        await posting.attempted(first)
        await posting.parts.registrations.withdraw(first)
        async with post.open():
            await posting.skip(minutes=20)
            await posting.reaches(second, State.AWAITING_CONFIRMATION)
            await posting.ends(first)
            assert (await posting.press(posting.only_mail())).state is LinkState.DONE
            assert await posting.state(second) is State.CONFIRMED


class TestCorrectedLocation:
    async def test_unknown_to_double_opt_in_asks_now(self, skipping: SkippingService) -> None:
        registration = await skipping.register(None)
        await skipping.settles()
        await skipping.advance(days=10)
        await skipping.parts.registrations.correct_location(registration, "DE")
        await skipping.settles()
        assert await skipping.state(registration) is State.AWAITING_CONFIRMATION
        assert skipping.only_mail().asks

    async def test_unknown_to_no_contact_stops(self, skipping: SkippingService) -> None:
        registration = await skipping.register(None)
        await skipping.settles()
        await skipping.parts.registrations.correct_location(registration, "US")
        await skipping.ends(registration)
        await skipping.advance(days=60)
        assert await skipping.state(registration) is State.NO_CONTACT
        assert skipping.mails() == []

    async def test_no_contact_to_double_opt_in_asks_although_the_workflow_had_ended(
        self, skipping: SkippingService
    ) -> None:
        registration = await skipping.register("US")
        await skipping.ends(registration)
        await skipping.parts.registrations.correct_location(registration, "DE")
        await skipping.settles()
        assert await skipping.state(registration) is State.AWAITING_CONFIRMATION
        assert skipping.only_mail().asks

    async def test_no_contact_to_delayed_notice_counts_the_thirty_days_from_registration(
        self, skipping: SkippingService
    ) -> None:
        registration = await skipping.register("US")
        await skipping.ends(registration)
        await skipping.advance(days=20)
        await skipping.parts.registrations.correct_location(registration, "FR")
        await skipping.settles()
        await skipping.advance(days=9)
        assert await skipping.state(registration) is State.WAITING
        await skipping.advance(days=1)
        assert await skipping.state(registration) is State.NOTIFIED

    async def test_to_delayed_notice_before_the_question_left_gives_the_notice_instead(
        self, posting: SkippingService, post: PostOffice
    ) -> None:
        registration = await posting.register("DE")
        await posting.attempted(registration)
        await posting.parts.registrations.correct_location(registration, "FR")
        async with post.open():
            await posting.skip(minutes=30)
            await posting.settles()
            assert await posting.state(registration) is State.WAITING
            assert posting.mails() == []
            await posting.advance(days=30)
            assert await posting.state(registration) is State.NOTIFIED
            assert not posting.only_mail().asks

    async def test_to_delayed_notice_after_the_question_left_changes_nothing(self, skipping: SkippingService) -> None:
        registration = await skipping.register("DE")
        await skipping.settles()
        await skipping.parts.registrations.correct_location(registration, "FR")
        await skipping.advance(days=10)
        assert await skipping.state(registration) is State.AWAITING_CONFIRMATION
        await skipping.press(skipping.only_mail())
        assert await skipping.state(registration) is State.CONFIRMED


class TestMailServerTrouble:
    @pytest.mark.parametrize("country", ["DE", "FR"])
    async def test_mail_leaves_when_the_mail_server_is_back(
        self, posting: SkippingService, post: PostOffice, country: str
    ) -> None:
        long_ago = posting.clock.now() - timedelta(days=40)
        addresses = [f"lead-{n}@firma.example" for n in range(5)]
        registrations = [
            await posting.register(country, address=address, registered_at=long_ago) for address in addresses
        ]
        for registration in registrations:
            await posting.attempted(registration)
        await posting.skip(hours=1)
        for registration in registrations:
            await posting.attempted(registration, times=2)
        assert posting.mails() == []
        async with post.open():
            await posting.skip(hours=1)
            await posting.settles()
            assert sorted(mail.to for mail in posting.mails()) == addresses
            expected = State.AWAITING_CONFIRMATION if country == "DE" else State.NOTIFIED
            assert {await posting.state(registration) for registration in registrations} == {expected}

    @pytest.mark.parametrize(
        "answer", ["451 4.7.1 <{to}> greylisted", "421 4.3.2 going down", "550 5.7.1 you may not write"]
    )
    async def test_what_is_not_the_recipients_fault_is_tried_again_with_the_same_bytes(
        self, posting: SkippingService, post: PostOffice, answer: str
    ) -> None:
        post.answers.extend([answer, answer])
        async with post.open():
            registration = await posting.register("DE")
            await posting.attempted(registration)
            frozen = await posting.fetch("SELECT message_id FROM mails")
            await posting.skip(minutes=7)
            await posting.attempted(registration, times=2)
            await posting.skip(minutes=7)
            await posting.settles()
            assert await posting.state(registration) is State.AWAITING_CONFIRMATION
            assert posting.only_mail().message_id == frozen

    async def test_a_mailbox_that_does_not_exist_makes_every_registration_of_it_undeliverable(
        self, posting: SkippingService, post: PostOffice
    ) -> None:
        first = await posting.register("DE", partner="partner-1")
        second = await posting.register("DE", partner="partner-2")
        await posting.attempted(first)
        post.answers.append("550 5.1.1 <{to}> unknown")
        async with post.open():
            await posting.skip(minutes=20)
            await posting.settles()
            third = await posting.register("FR", partner="partner-3")
            for registration in (first, second, third):
                await posting.ends(registration)
            await posting.advance(days=60)
            assert {await posting.state(each) for each in (first, second)} == {State.UNDELIVERABLE}
            assert await posting.state(third) is State.SUPPRESSED
            assert posting.mails() == []

    async def test_a_lead_that_objects_while_its_mail_waits_for_the_mail_server_gets_none(
        self, posting: SkippingService, post: PostOffice
    ) -> None:
        registration = await posting.register("DE")
        await posting.attempted(registration)
        await posting.tell("objected")
        async with post.open():
            await posting.skip(hours=1)
            await posting.ends(registration)
            assert await posting.state(registration) is State.SUPPRESSED
            assert posting.mails() == []

    async def test_a_notice_that_need_not_leave_any_more_leaves_nothing_behind(
        self, posting: SkippingService, post: PostOffice
    ) -> None:
        registration = await posting.register("FR", registered_at=posting.clock.now() - timedelta(days=40))
        await posting.attempted(registration)
        await posting.tell("form_submitted")
        async with post.open():
            await posting.skip(hours=1)
            await posting.ends(registration)
        assert await posting.state(registration) is State.SATISFIED
        assert posting.mails() == []
        assert await posting.fetch("SELECT array_agg(state) FROM mails") == ["dropped"]
        assert await posting.fetch("SELECT count(*) FROM mails WHERE num_nonnulls(content, envelope_to) > 0") == 0

    async def test_another_partners_notice_leaves_when_the_one_before_it_is_withdrawn_in_time(
        self, posting: SkippingService, post: PostOffice
    ) -> None:
        long_ago = posting.clock.now() - timedelta(days=40)
        first = await posting.register("FR", partner="partner-1", registered_at=long_ago)
        await posting.attempted(first)
        second = await posting.register("FR", partner="partner-2", registered_at=long_ago)
        await posting.parts.registrations.withdraw(first)
        async with post.open():
            await posting.skip(hours=1)
            await posting.ends(first)
            await posting.reaches(second, State.NOTIFIED)
        assert await posting.state(first) is State.WITHDRAWN
        assert len(posting.mails()) == 1
        assert await posting.fetch("SELECT array_agg(state ORDER BY frozen_at) FROM mails") == ["dropped", "accepted"]


async def test_temporal_never_holds_personal_data(posting: SkippingService, post: PostOffice) -> None:
    marks = ["markedlocal", "markeddomain", "markedgiven", "markedfamily", "markedregistrant"]

    async def register(country: str | None, n: int) -> str:
        return await posting.register(
            country,
            address=address(n),
            given_name="Markedgiven",
            family_name="Markedfamily",
            registered_by="markedregistrant@partner.example",
        )

    def address(n: int) -> str:
        return f"markedlocal.{n}@markeddomain.example"

    seen = bytearray()

    async def look_at(registration: str) -> None:
        seen.extend(await posting.all_that_temporal_holds(registration))

    registrations = [await register(country, n) for n, country in enumerate(["DE", "DE", "FR"])]
    for registration in registrations[:2]:
        await posting.attempted(registration)
        await look_at(registration)
    post.answers.extend(["451 4.7.1 <{to}> greylisted, dear Markedgiven"] * 2 + ["550 5.1.1 <{to}> unknown"] * 2)
    async with post.open():
        await posting.skip(seconds=4)
        for registration in registrations[:2]:
            await posting.attempted(registration, times=2)
            await look_at(registration)
        await posting.skip(minutes=7)
        for registration in registrations[:2]:
            await posting.ends(registration)
        for n, country in ((3, "DE"), (4, None), (5, "US"), (6, "FR")):
            registrations.append(await register(country, n))
        await posting.settles()
        await posting.press(posting.only_mail())
        await posting.parts.registrations.correct_location(registrations[4], "AT")
        await posting.tell("opted_in", address(6))
        await posting.advance(days=31)
        for registration in registrations:
            await posting.ends(registration)

    for registration in registrations:
        await look_at(registration)
    assert {registration for registration in registrations if registration.encode() in seen} == set(registrations)
    assert [mark for mark in marks if mark.encode() in seen] == []
