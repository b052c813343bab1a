"""Data-source requests, without a database: the clock, what is due next, which decision fits where."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from consentflow.domain.addresses import Subject
from consentflow.domain.deadlines import RestDays
from consentflow.domain.errors import RequestNotReady
from consentflow.domain.letters import Language
from consentflow.domain.source_clock import LEAST_TIME_TO_CONFIRM, Due, SourceRules, Step
from consentflow.domain.source_intake import DecisionIn, ReasonIn, SourceRequestIn, read_text
from consentflow.domain.source_requests import (
    OPEN,
    Channel,
    Extent,
    SourceDecision,
    SourceRequest,
    SourceState,
    abandoned,
    decided,
)

BERLIN = ZoneInfo("Europe/Berlin")
RULES = SourceRules(RestDays("DE", None, BERLIN))
RECEIVED = datetime(2026, 11, 25, 9, tzinfo=UTC)
"""A month later is Christmas Day, a Friday; the next working day is Monday the 28th."""
DAY = timedelta(days=1)


def at_eight(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T08:00").replace(tzinfo=BERLIN).astimezone(UTC)


def last_second(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T23:59:59").replace(tzinfo=BERLIN).astimezone(UTC)


def request(
    state: SourceState = SourceState.IN_REVIEW, channel: Channel = Channel.FORM, **more: object
) -> SourceRequest:
    """A request as it stands: acknowledged, and confirmed unless its identity is pending."""
    pending = state in {SourceState.RECEIVED, SourceState.IDENTITY_PENDING}
    made = SourceRequest(
        request_id="sr-1",
        subject=Subject("s-1"),
        email="lea@firma.example",
        name=None,
        message=None,
        language=Language.GERMAN,
        country=None,
        channel=channel,
        state=state,
        received_at=RECEIVED,
        opened_at=RECEIVED,
        target=RECEIVED,
        deadline=RECEIVED,
        identity_confirmed_at=None if pending else RECEIVED,
    )
    return RULES.settled(replace(made, **more))  # type: ignore[arg-type] # what a test is about


def refused_as(error: pytest.ExceptionInfo[RequestNotReady]) -> str:
    return error.value.code


class TestTheClock:
    def test_starts_on_receipt_and_ends_on_the_next_working_day(self) -> None:
        term = RULES.term(request())
        assert (term.target_day, term.deadline_day) == (date(2026, 12, 25), date(2026, 12, 28))
        assert request().deadline == last_second("2026-12-28") == datetime(2026, 12, 28, 22, 59, 59, tzinfo=UTC)

    def test_counts_from_receipt_however_late_the_request_was_entered(self) -> None:
        late = request(opened_at=RECEIVED + 20 * DAY)
        assert late.deadline == request().deadline

    def test_gives_thirty_days_in_switzerland(self) -> None:
        term = RULES.term(request(country="CH"))
        assert (term.target_day, term.deadline_day) == (date(2026, 12, 25), date(2026, 12, 28))
        assert RULES.term(request(country="CH", received_at=RECEIVED - 20 * DAY)).target_day == date(2026, 12, 5)

    def test_gives_three_months_in_all_once_it_is_extended(self) -> None:
        extended = RULES.extended(request(), "It is complex.", RECEIVED + 3 * DAY)
        assert extended.state is SourceState.EXTENDED
        assert extended.deadline == last_second("2027-02-25")
        assert extended.extension_reason == "It is complex."

    @pytest.mark.parametrize("state", [SourceState.RECEIVED, SourceState.IDENTITY_PENDING])
    def test_an_extension_does_not_replace_the_confirmation(self, state: SourceState) -> None:
        extended = RULES.extended(request(state), "…", RECEIVED + DAY)
        assert extended.state is state
        confirmed = RULES.confirmed(replace(extended, state=SourceState.IDENTITY_PENDING), RECEIVED + 2 * DAY)
        assert confirmed.state is SourceState.EXTENDED

    def test_is_extended_once_and_before_the_first_deadline_only(self) -> None:
        extended = RULES.extended(request(), "…", RECEIVED)
        with pytest.raises(RequestNotReady) as again:
            RULES.extended(extended, "…", RECEIVED)
        assert refused_as(again) == "already_extended"
        assert RULES.extended(request(), "…", request().deadline)
        with pytest.raises(RequestNotReady) as late:
            RULES.extended(request(), "…", request().deadline + timedelta(seconds=1))
        assert refused_as(late) == "deadline_passed"

    def test_stands_still_during_a_pause_and_shows_where_it_would_be_without(self) -> None:
        paused = RULES.paused(request(), "Who asks?", RECEIVED + 10 * DAY, RECEIVED + 3 * DAY)
        assert RULES.term(paused).target_day == date(2027, 1, 2)
        assert RULES.term(paused).deadline_day == date(2027, 1, 4)
        assert RULES.term(paused, with_pause=False).deadline_day == date(2026, 12, 28)
        assert paused.is_paused(RECEIVED + 9 * DAY)
        assert not paused.is_paused(RECEIVED + 10 * DAY)

    def test_goes_on_where_it_stood_when_the_pause_is_switched_off(self) -> None:
        paused = RULES.paused(request(), "…", RECEIVED + 10 * DAY, RECEIVED + 3 * DAY)
        resumed = RULES.resumed(paused, RECEIVED + 4 * DAY)
        assert RULES.term(resumed).target_day == date(2026, 12, 26)
        with pytest.raises(RequestNotReady) as again:
            RULES.resumed(resumed, RECEIVED + 4 * DAY)
        assert refused_as(again) == "not_paused"
        with pytest.raises(RequestNotReady) as twice:
            RULES.paused(resumed, "…", RECEIVED + 9 * DAY, RECEIVED + 5 * DAY)
        assert refused_as(twice) == "already_paused"

    def test_never_stands_still_where_pauses_are_switched_off(self) -> None:
        strict = replace(RULES, pauses=False)
        with pytest.raises(RequestNotReady) as refusal:
            strict.paused(request(), "…", RECEIVED + DAY, RECEIVED)
        assert refused_as(refusal) == "pauses_switched_off"
        paused_before = RULES.paused(request(), "…", RECEIVED + 10 * DAY, RECEIVED)
        assert strict.term(paused_before).deadline_day == date(2026, 12, 28)

    def test_cannot_be_stopped_after_the_deadline(self) -> None:
        late = request().deadline + DAY
        with pytest.raises(RequestNotReady) as refusal:
            RULES.paused(request(), "…", late + DAY, late)
        assert refused_as(refusal) == "deadline_passed"

    @given(st.timedeltas(timedelta(), timedelta(days=400)), st.timedeltas(timedelta(), timedelta(days=30)))
    def test_no_pause_ever_brings_a_deadline_nearer(self, offset: timedelta, length: timedelta) -> None:
        shifted = request(received_at=RECEIVED + offset)
        paused = replace(shifted, paused_at=RECEIVED + offset, pause_until=RECEIVED + offset + length)
        assert RULES.term(paused).deadline >= RULES.term(paused, with_pause=False).deadline


class TestWhatIsDueNext:
    def test_is_the_receipt_at_once(self) -> None:
        assert RULES.next_step(request(SourceState.RECEIVED)) == Due(Step.ACKNOWLEDGE, RECEIVED)

    def test_are_reminders_before_the_deadline_and_every_day_after(self) -> None:
        days: list[datetime] = []
        standing = request()
        while len(days) < 7:
            due = RULES.next_step(standing)
            assert due
            assert due.step is Step.REMIND
            days.append(due.at)
            standing = replace(standing, reminded_at=due.at)
        assert days == [
            at_eight(day)
            for day in (
                "2026-12-14",
                "2026-12-21",
                "2026-12-25",
                "2026-12-27",
                "2026-12-29",
                "2026-12-30",
                "2026-12-31",
            )
        ]

    def test_is_one_reminder_however_many_were_missed(self) -> None:
        slept = replace(request(), reminded_at=last_second("2026-12-26"))
        due = RULES.next_step(slept)
        assert due == Due(Step.REMIND, at_eight("2026-12-27"))
        caught_up = replace(slept, reminded_at=at_eight("2026-12-30"))
        assert RULES.next_step(caught_up) == Due(Step.REMIND, at_eight("2026-12-31"))

    def test_is_no_reminder_that_lies_before_the_request_was_entered(self) -> None:
        entered_late = request(opened_at=RECEIVED + 25 * DAY, channel=Channel.API)
        assert RULES.next_step(entered_late) == Due(Step.REMIND, at_eight("2026-12-21"))

    def test_follows_the_extended_deadline(self) -> None:
        extended = RULES.extended(replace(request(), reminded_at=at_eight("2026-12-14")), "…", RECEIVED + 20 * DAY)
        assert RULES.next_step(extended) == Due(Step.REMIND, at_eight("2027-02-11"))

    def test_is_the_end_of_a_request_that_nobody_confirms_by_its_deadline(self) -> None:
        pending = request(SourceState.IDENTITY_PENDING)
        assert RULES.next_step(pending) == Due(Step.ABANDON, last_second("2026-12-28") + timedelta(seconds=1))

    def test_leaves_time_to_confirm_however_late_the_request_was_entered(self) -> None:
        entered_late = request(SourceState.IDENTITY_PENDING, opened_at=RECEIVED + 40 * DAY)
        assert RULES.next_step(entered_late) == Due(Step.ABANDON, RECEIVED + 40 * DAY + LEAST_TIME_TO_CONFIRM)

    def test_reminds_of_what_officers_entered_even_before_it_is_confirmed(self) -> None:
        pending = request(SourceState.IDENTITY_PENDING, Channel.API)
        assert RULES.next_step(pending) == Due(Step.REMIND, at_eight("2026-12-14"))

    def test_reminds_of_no_form_that_repeats_another(self) -> None:
        assert RULES.next_step(request(linked_to="sr-0")) is None
        assert RULES.next_step(request(linked_to="sr-0", channel=Channel.CONSOLE))

    @pytest.mark.parametrize("state", sorted(set(SourceState) - OPEN))
    def test_is_nothing_once_it_is_closed(self, state: SourceState) -> None:
        assert RULES.next_step(replace(request(), state=state)) is None

    @given(st.sampled_from(sorted(OPEN)), st.sampled_from(Channel), st.timedeltas(timedelta(), timedelta(days=200)))
    def test_always_moves_on(self, state: SourceState, channel: Channel, passed: timedelta) -> None:
        """Whatever is due at an instant, doing it leaves nothing due at the same instant: no step repeats itself."""
        now, standing = RECEIVED + passed, request(state, channel)
        for _ in range(4):
            due = RULES.next_step(standing)
            if due is None or due.at > now:
                break
            match due.step:
                case Step.ACKNOWLEDGE:
                    standing = RULES.settled(replace(standing, state=SourceState.IDENTITY_PENDING))
                case Step.REMIND:
                    standing = replace(standing, reminded_at=now)
                case Step.ABANDON:
                    standing = abandoned(standing, now)
        else:
            pytest.fail("it goes round in circles")


class TestDecisions:
    @pytest.mark.parametrize(
        ("decision", "known", "state"),
        [
            (SourceDecision.DISCLOSE, True, SourceState.DISCLOSED),
            (SourceDecision.PARTLY, True, SourceState.PARTLY_DISCLOSED),
            (SourceDecision.REFUSE, True, SourceState.REFUSED),
            (SourceDecision.REFUSE, False, SourceState.REFUSED),
            (SourceDecision.NOT_FOUND, False, SourceState.NOT_FOUND),
        ],
    )
    @pytest.mark.parametrize("before", [SourceState.IN_REVIEW, SourceState.EXTENDED])
    def test_lead_to_their_states(
        self, before: SourceState, decision: SourceDecision, state: SourceState, *, known: bool
    ) -> None:
        closed = decided(request(before), decision, None, "key officer", RECEIVED + DAY, known=known)
        assert (closed.state, closed.decision, closed.decided_by) == (state, decision, "key officer")
        assert (closed.closed_at, closed.next_step_at, closed.version) == (RECEIVED + DAY, None, 2)
        assert not closed.is_open
        assert not closed.is_overdue(RECEIVED + 99 * DAY)

    def test_are_made_once(self) -> None:
        closed = decided(request(), SourceDecision.REFUSE, None, "a", RECEIVED, known=True)
        with pytest.raises(RequestNotReady) as again:
            decided(closed, SourceDecision.DISCLOSE, Extent.PERSON, "b", RECEIVED, known=True)
        assert refused_as(again) == "already_decided"

    def test_do_not_revive_what_was_abandoned(self) -> None:
        closed = abandoned(request(SourceState.IDENTITY_PENDING), RECEIVED)
        for decision in SourceDecision:
            with pytest.raises(RequestNotReady) as refusal:
                decided(closed, decision, None, "a", RECEIVED, known=True)
            assert refused_as(refusal) == "request_closed"

    @pytest.mark.parametrize("decision", [SourceDecision.DISCLOSE, SourceDecision.PARTLY])
    def test_tell_a_source_only_to_a_confirmed_requester(self, decision: SourceDecision) -> None:
        with pytest.raises(RequestNotReady) as refusal:
            decided(request(SourceState.IDENTITY_PENDING), decision, Extent.PERSON, "a", RECEIVED, known=True)
        assert refused_as(refusal) == "identity_not_confirmed"

    def test_fit_what_was_found(self) -> None:
        with pytest.raises(RequestNotReady) as nothing:
            decided(request(), SourceDecision.DISCLOSE, Extent.PERSON, "a", RECEIVED, known=False)
        assert refused_as(nothing) == "nothing_found"
        with pytest.raises(RequestNotReady) as something:
            decided(request(), SourceDecision.NOT_FOUND, None, "a", RECEIVED, known=True)
        assert refused_as(something) == "registrations_found"

    @pytest.mark.parametrize("state", sorted(set(SourceState) - OPEN))
    def test_and_everything_else_end_with_the_request(self, state: SourceState) -> None:
        closed = replace(request(), state=state)
        with pytest.raises(RequestNotReady):
            RULES.extended(closed, "…", RECEIVED)
        with pytest.raises(RequestNotReady):
            RULES.paused(closed, "…", RECEIVED + DAY, RECEIVED)
        with pytest.raises(RequestNotReady):
            RULES.resumed(closed, RECEIVED)


class TestWhatIsHandedIn:
    @pytest.mark.parametrize(
        ("typed", "read"),
        [
            ("  Hello \r\nyou\x00\u202e \t there\ud800 ", "Hello\nyou there"),
            (" \n\t\u200b ", None),
            ("e\u0301", "é"),
            ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
            (None, None),
        ],
    )
    def test_text_is_tidied_rather_than_refused(self, typed: str | None, read: str | None) -> None:
        assert read_text(typed) == read

    def test_a_reason_is_never_blank(self) -> None:
        for blank in ("", " \n ", "\u200b"):
            with pytest.raises(ValidationError):
                ReasonIn(reason=blank)

    def test_an_address_is_all_a_request_needs(self) -> None:
        assert SourceRequestIn(email="lea@firma.example").mailbox.address == "lea@firma.example"
        for wrong in ("lea", "lea@", "a@b.example, c@d.example", "x" * 400):
            with pytest.raises(ValidationError):
                SourceRequestIn(email=wrong)

    def test_unknown_decisions_and_fields_are_refused(self) -> None:
        for body in ({"decision": "maybe"}, {"decision": "refuse", "because": "x"}, {"reason": "x"}):
            with pytest.raises(ValidationError):
                DecisionIn.model_validate(body)
