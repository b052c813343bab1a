"""When a window ends: by the reader's wall clock, whatever daylight saving does to it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from consentflow.domain.notifications import Delivery
from consentflow.domain.windows import window_end

GLANCE = timedelta(hours=1)
"""How often the test's watchman looks at the clock; when the hour has come since, he goes through every minute."""

MEMORABLE = [
    "Europe/Berlin",  # moves its clocks at 01:00 UTC
    "Europe/Lisbon",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Beirut",  # moves them at midnight
    "America/Havana",
    "America/Nuuk",
    "America/St_Johns",  # at a minute past midnight, once
    "Australia/Lord_Howe",  # by half an hour
    "Africa/Casablanca",
    "Antarctica/Troll",  # by two hours
    "Pacific/Apia",  # left out 30 December 2011
    "Pacific/Kwajalein",  # left out 21 August 1993
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "UTC",
]
ZONES = st.sampled_from(MEMORABLE) | st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))
# No zone has had an offset with seconds since.
QUARTERS = st.integers(0, 64 * 365 * 96).map(lambda n: datetime(1973, 1, 1, tzinfo=UTC) + n * timedelta(minutes=15))
JUST_AROUND = st.sampled_from(
    [timedelta(microseconds=-1), timedelta(), timedelta(microseconds=1), timedelta(minutes=7)]
)
HOURS, WEEKDAYS = st.integers(0, 23), st.integers(0, 6)


def first_showings(hour: int, zone: ZoneInfo, since: datetime, until: datetime) -> Iterator[tuple[datetime, int]]:
    """The instants at which a wall clock, watched from well before, first reaches `hour` of a day; and the weekday.

    A day that the clock leaves out is reached together with the one after it.
    """

    def shows(instant: datetime) -> datetime:
        return instant.astimezone(zone).replace(tzinfo=None)

    instant = since.replace(minute=0, second=0, microsecond=0) - timedelta(days=4)
    reached = shows(instant).replace(hour=hour, minute=0) + timedelta(days=2)
    while instant < until:
        while shows(instant + GLANCE) >= reached:
            minutes = (instant + timedelta(minutes=n) for n in range(61))
            yield next(minute for minute in minutes if shows(minute) >= reached), reached.weekday()
            reached += timedelta(days=1)
        instant += GLANCE


class TestAgainstAWatchedClock:
    @settings(max_examples=300, deadline=None)
    @given(zone=ZONES, hour=HOURS, quarter=QUARTERS, offset=JUST_AROUND)
    @example(zone="Europe/Berlin", hour=2, quarter=datetime(2027, 3, 28, 0, 45, tzinfo=UTC), offset=timedelta())
    @example(zone="Europe/Berlin", hour=2, quarter=datetime(2027, 10, 31, 0, 0, tzinfo=UTC), offset=timedelta())
    @example(zone="Australia/Lord_Howe", hour=2, quarter=datetime(2027, 10, 2, 15, 0, tzinfo=UTC), offset=timedelta())
    @example(zone="Pacific/Apia", hour=8, quarter=datetime(2011, 12, 29, 18, 0, tzinfo=UTC), offset=timedelta())
    @example(zone="America/Nuuk", hour=23, quarter=datetime(2027, 3, 27, 23, 0, tzinfo=UTC), offset=timedelta())
    def test_daily_ends_when_the_clock_next_reaches_the_hour(
        self, zone: str, hour: int, quarter: datetime, offset: timedelta
    ) -> None:
        now = quarter + offset
        showings = first_showings(hour, ZoneInfo(zone), now, now + timedelta(days=4))
        expected = next(instant for instant, _ in showings if instant > now)
        assert window_end(Delivery.DAILY, hour, 0, zone, now) == expected

    @settings(max_examples=150, deadline=None)
    @given(zone=ZONES, hour=HOURS, weekday=WEEKDAYS, quarter=QUARTERS, offset=JUST_AROUND)
    @example(
        zone="Pacific/Apia",
        hour=8,
        weekday=4,
        quarter=datetime(2011, 12, 27, tzinfo=UTC),
        offset=timedelta(),
    )
    def test_weekly_ends_when_the_clock_next_reaches_the_hour_of_the_weekday(
        self, zone: str, hour: int, weekday: int, quarter: datetime, offset: timedelta
    ) -> None:
        now = quarter + offset
        showings = first_showings(hour, ZoneInfo(zone), now, now + timedelta(days=10))
        expected = next(instant for instant, day in showings if instant > now and day == weekday)
        assert window_end(Delivery.WEEKLY, hour, weekday, zone, now) == expected


@settings(max_examples=150, deadline=None)
@given(
    delivery=st.sampled_from([Delivery.DAILY, Delivery.WEEKLY]),
    zone=ZONES,
    hour=HOURS,
    weekday=WEEKDAYS,
    now=QUARTERS,
    later=st.integers(0, 999),
)
def test_at_any_moment_of_a_window_its_end_is_the_same(
    delivery: Delivery, zone: str, hour: int, weekday: int, now: datetime, later: int
) -> None:
    end = window_end(delivery, hour, weekday, zone, now)
    assert end > now
    assert window_end(delivery, hour, weekday, zone, now + (end - now) // 1000 * later) == end


@given(zone=ZONES, seconds=st.integers(0, 86_400), hour=HOURS, weekday=WEEKDAYS, minutes=st.integers(1, 1440))
def test_an_immediate_window_lasts_as_long_as_it_is_set_or_a_third_less(
    zone: str, seconds: int, hour: int, weekday: int, minutes: int
) -> None:
    now, length = datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=seconds), timedelta(minutes=minutes)
    end = window_end(Delivery.IMMEDIATE, hour, weekday, zone, now, immediate=length)
    assert length * 2 / 3 < end - now <= length


@given(second=st.integers(0, 299))
def test_when_an_immediate_notification_comes_does_not_tell_the_moment_of_what_it_is_about(second: int) -> None:
    now = datetime(2026, 11, 22, 10, 5, tzinfo=UTC) + timedelta(seconds=second)
    assert window_end(Delivery.IMMEDIATE, 0, 0, "UTC", now) == datetime(2026, 11, 22, 10, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "hour", "now", "end"),
    [
        ("Europe/Berlin", 8, "2026-11-22T06:59:59+00:00", "2026-11-22T07:00:00+00:00"),
        ("Europe/Berlin", 8, "2026-11-22T07:00:00+00:00", "2026-11-23T07:00:00+00:00"),
        ("Europe/Berlin", 8, "2027-03-27T12:00:00+00:00", "2027-03-28T06:00:00+00:00"),  # clocks went forward at night
        ("Europe/Berlin", 2, "2027-03-27T12:00:00+00:00", "2027-03-28T01:00:00+00:00"),  # 02:00 is skipped
        ("Europe/Berlin", 2, "2027-10-30T12:00:00+00:00", "2027-10-31T00:00:00+00:00"),  # 02:00 the first time
        ("Europe/Berlin", 2, "2027-10-31T00:30:00+00:00", "2027-11-01T01:00:00+00:00"),  # not the second time
        ("Asia/Kolkata", 8, "2026-11-22T02:29:00+00:00", "2026-11-22T02:30:00+00:00"),
        ("Australia/Lord_Howe", 2, "2027-10-02T12:00:00+00:00", "2027-10-02T15:30:00+00:00"),  # shows 02:30 then
        ("Asia/Beirut", 0, "2027-03-27T12:00:00+00:00", "2027-03-27T22:00:00+00:00"),  # midnight is skipped
        ("Pacific/Kiritimati", 0, "2026-11-22T10:00:00+00:00", "2026-11-23T10:00:00+00:00"),
    ],
)
def test_traps_of_the_wall_clock(zone: str, hour: int, now: str, end: str) -> None:
    assert window_end(Delivery.DAILY, hour, 0, zone, datetime.fromisoformat(now)).isoformat() == end


def test_an_instant_told_in_another_zone_is_the_same_instant() -> None:
    now = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    elsewhere = now.astimezone(ZoneInfo("Pacific/Auckland"))
    for delivery in Delivery:
        assert window_end(delivery, 8, 2, "Europe/Berlin", elsewhere) == window_end(
            delivery, 8, 2, "Europe/Berlin", now
        )
