"""An officer's day: every open request stands in one place, and the days that are left are counted as people count."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentflow.domain.addresses import Subject
from consentflow.domain.deadlines import RestDays
from consentflow.domain.letters import Language
from consentflow.domain.source_requests import Channel, SourceRequest, SourceState
from consentflow.domain.worklist import Open, Section, Span, TimeLeft, chart, in_sections, section_of, time_left

BERLIN = RestDays("DE", None, ZoneInfo("Europe/Berlin"))
NOW = datetime(2026, 12, 18, 9, tzinfo=UTC)  # a Friday


def end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59, 59), BERLIN.zone).astimezone(UTC)


def request(deadline: date, state: SourceState = SourceState.IN_REVIEW) -> SourceRequest:
    return SourceRequest(
        request_id=f"sr-{deadline.isoformat()}",
        subject=Subject("s-" + "0" * 32),
        email=None,
        name=None,
        message=None,
        language=Language.GERMAN,
        country="DE",
        channel=Channel.FORM,
        state=state,
        received_at=NOW - timedelta(days=20),
        opened_at=NOW - timedelta(days=20),
        target=end_of(deadline),
        deadline=end_of(deadline),
        identity_confirmed_at=NOW if state is SourceState.IN_REVIEW else None,
    )


@pytest.mark.parametrize(
    ("deadline", "left"),
    [
        (date(2026, 12, 15), TimeLeft(-3, 0)),
        (date(2026, 12, 17), TimeLeft(-1, 0)),
        (date(2026, 12, 18), TimeLeft(0, 0)),
        (date(2026, 12, 19), TimeLeft(1, 0)),
        (date(2026, 12, 21), TimeLeft(3, 1)),  # Monday: one working day, behind a weekend
        (date(2026, 12, 28), TimeLeft(10, 5)),  # Monday to Thursday, Christmas, the weekend, Monday
    ],
)
def test_days_are_counted_and_working_days_among_them(deadline: date, left: TimeLeft) -> None:
    assert time_left(end_of(deadline), NOW, BERLIN) == left


def test_a_day_begins_where_the_controller_is() -> None:
    late = datetime(2026, 12, 18, 23, 30, tzinfo=UTC)  # in Berlin it is Saturday
    assert time_left(end_of(date(2026, 12, 21)), late, BERLIN) == TimeLeft(2, 1)


@pytest.mark.parametrize(
    ("deadline", "section"),
    [
        (date(2026, 12, 17), Section.OVERDUE),
        (date(2026, 12, 18), Section.SOON),
        (date(2026, 12, 25), Section.SOON),
        (date(2026, 12, 26), Section.REVIEW),
    ],
)
def test_the_most_urgent_section_that_fits_is_taken(deadline: date, section: Section) -> None:
    assert section_of(request(deadline), NOW, BERLIN) is section


def test_what_waits_for_the_requester_is_no_officer_s_work() -> None:
    unconfirmed = request(date(2026, 12, 20), SourceState.IDENTITY_PENDING)
    assert section_of(unconfirmed, NOW, BERLIN) is Section.REQUESTER
    assert section_of(replace(unconfirmed, deadline=end_of(date(2026, 12, 10))), NOW, BERLIN) is Section.REQUESTER
    paused = replace(request(date(2026, 12, 20)), paused_at=NOW, pause_until=NOW + timedelta(days=2))
    assert section_of(paused, NOW, BERLIN) is Section.REQUESTER
    by_letter = replace(unconfirmed, channel=Channel.CONSOLE, deadline=end_of(date(2026, 12, 10)))
    assert section_of(by_letter, NOW, BERLIN) is Section.OVERDUE


@given(st.lists(st.tuples(st.dates(date(2026, 10, 1), date(2027, 3, 1)), st.sampled_from(SourceState)), max_size=30))
def test_every_open_request_stands_in_one_place_the_earliest_first(given_ones: list[tuple[date, SourceState]]) -> None:
    requests = [request(deadline, state) for deadline, state in given_ones]
    sections = in_sections(requests, NOW, BERLIN)
    shown = [each for section in sections.values() for each in section]
    assert sorted(map(id, shown)) == sorted(id(each) for each in requests if each.is_open)
    for section in sections.values():
        assert [each.deadline for each in section] == sorted(each.deadline for each in section)


@given(st.lists(st.tuples(st.dates(date(2026, 10, 1), date(2027, 3, 1)), st.booleans(), st.integers(1, 9))))
def test_the_chart_counts_each_request_once(counts: list[tuple[date, bool, int]]) -> None:
    bars = chart([Open(end_of(day), requester, count) for day, requester, count in counts], NOW, BERLIN)
    assert [bar.span for bar in bars] == list(Span)
    assert sum(bar.total for bar in bars) == sum(count for _, _, count in counts)
    assert sum(bar.requester for bar in bars) == sum(count for _, requester, count in counts if requester)
    late = sum(count for day, _, count in counts if day < NOW.date())
    assert bars[0].total == late
