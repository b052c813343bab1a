"""The statutory clock: when a period ends, in which time zone, on which working day; and when people are reminded."""

from calendar import monthrange
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentflow.domain.deadlines import (
    GDPR_ANSWER,
    SWISS_ANSWER,
    RestDays,
    answer_rule,
    answer_term,
    holiday_subdivisions,
    is_time_zone,
    next_reminder,
    statutory_term,
)

BERLIN = ZoneInfo("Europe/Berlin")
GERMANY = RestDays("DE", None, BERLIN)
ONE_DAY = timedelta(days=1)


def at_noon(day: date | str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.combine(date.fromisoformat(str(day)), time(12), zone)


# --- The examples


@pytest.mark.parametrize(
    ("received", "months", "target", "deadline"),
    [
        ("2026-01-31", 1, "2026-02-28", "2026-03-02"),  # there is no 31 February; the 28th is a Saturday
        ("2026-11-30", 1, "2026-12-30", "2026-12-30"),
        ("2026-11-24", 1, "2026-12-24", "2026-12-24"),  # Christmas Eve is a working day in Germany
        ("2026-11-25", 1, "2026-12-25", "2026-12-28"),  # holiday, Saturday that is one too, Sunday
        ("2028-01-29", 1, "2028-02-29", "2028-02-29"),
        ("2028-01-31", 1, "2028-02-29", "2028-02-29"),
        ("2027-01-29", 1, "2027-02-28", "2027-03-01"),
        ("2028-02-29", 1, "2028-03-29", "2028-03-29"),
        ("2026-11-30", 3, "2027-02-28", "2027-03-01"),  # three months are not one month and two: 30 Dec + 2 = 28 Feb
        (
            "2026-10-31",
            3,
            "2027-01-31",
            "2027-02-01",
        ),  # … and counted twice, by way of 30 November, it would be the 30th
        ("2026-12-01", 1, "2027-01-01", "2027-01-04"),
        ("2027-02-26", 1, "2027-03-26", "2027-03-30"),  # Good Friday, Saturday, Easter Sunday, Easter Monday
    ],
)
def test_a_period_of_months_ends_on_the_same_date_or_the_months_last_or_the_next_working_day(
    received: str, months: int, target: str, deadline: str
) -> None:
    term = statutory_term(at_noon(received), months, GERMANY)
    assert (str(term.target_day), str(term.deadline_day)) == (target, deadline)


def test_holidays_of_the_part_of_the_country_count_when_it_is_given() -> None:
    received = at_noon("2026-05-04")  # 4 June 2026 is Corpus Christi, a holiday in Bavaria and not in Berlin
    days = {part: statutory_term(received, 1, RestDays("DE", part, BERLIN)).deadline_day for part in (None, "BE", "BY")}
    assert days == {None: date(2026, 6, 4), "BE": date(2026, 6, 4), "BY": date(2026, 6, 5)}


# --- A second derivation, from nothing but the laws and the calendar


def easter_sunday(year: int) -> date:
    """The computus as Gauss gave it, with Lichtenberg's correction."""
    k = year // 100
    m = 15 + (3 * k + 3) // 4 - (8 * k + 13) // 25
    s = 2 - (3 * k + 3) // 4
    a = year % 19
    d = (19 * a + m) % 30
    r = (d + a // 11) // 29
    full_moon = 21 + d - r
    first_sunday = 7 - (year + year // 4 + s) % 7
    return date(year, 3, 1) + timedelta(days=full_moon + 7 - (full_moon - first_sunday) % 7 - 1)


def test_the_computus_of_these_tests_finds_known_easters() -> None:
    known = (
        "2008-03-23 2011-04-24 2018-04-01 2024-03-31 2025-04-20 2026-04-05 2027-03-28 2028-04-16 2029-04-01 2030-04-21"
    )
    assert [str(easter_sunday(int(each[:4]))) for each in known.split()] == known.split()


def federal_holidays(year: int) -> set[date]:
    """The nine of every German state."""
    easter = easter_sunday(year)
    fixed = {(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)}
    good_friday, easter_monday, ascension, whit_monday = -2, 1, 39, 50
    return {date(year, *each) for each in fixed} | {
        easter + timedelta(days=days) for days in (good_friday, easter_monday, ascension, whit_monday)
    }


def holidays_of_berlin(year: int) -> set[date]:
    """With Women's Day since 2019, and once 17 June 2028 (Berlin act on Sundays and public holidays, § 1)."""
    return federal_holidays(year) | {date(year, 3, 8)} | ({date(2028, 6, 17)} if year == 2028 else set())


def holidays_of_bavaria(year: int) -> set[date]:
    """With Epiphany, Corpus Christi and All Saints (Bavarian act on holidays, Art. 1(1)).

    Assumption Day is a holiday in municipalities with more Catholics alone.
    """
    corpus_christi = easter_sunday(year) + timedelta(days=60)
    return federal_holidays(year) | {date(year, 1, 6), corpus_christi, date(year, 11, 1)}


def ends_by_counting(received: date, months: int, holidays: Callable[[int], set[date]]) -> tuple[date, date]:
    """Target and deadline, found by going from day to day."""
    month_index = received.year * 12 + received.month - 1 + months
    year, month = divmod(month_index, 12)
    last = monthrange(year, month + 1)[1]
    target = next(
        date(year, month + 1, day) for day in range(last, 0, -1) if day == received.day or last < received.day
    )
    deadline = target
    while deadline.isoweekday() in {6, 7} or deadline in holidays(deadline.year):
        deadline += ONE_DAY
    return target, deadline


def every_day(first_year: int, last_year: int) -> Iterator[date]:
    day = date(first_year, 1, 1)
    while day.year <= last_year:
        yield day
        day += ONE_DAY


@pytest.mark.parametrize(
    ("part", "holidays"), [(None, federal_holidays), ("BE", holidays_of_berlin), ("BY", holidays_of_bavaria)]
)
@pytest.mark.parametrize("months", [1, 3])
def test_every_day_of_five_years_ends_where_a_second_derivation_says(
    part: str | None, holidays: Callable[[int], set[date]], months: int
) -> None:
    calendar = RestDays("DE", part, BERLIN)
    wrong = [
        (received, found, expected)
        for received in every_day(2026, 2030)
        for term in [statutory_term(at_noon(received), months, calendar)]
        for found in [(term.target_day, term.deadline_day)]
        for expected in [ends_by_counting(received, months, holidays)]
        if found != expected
    ]
    assert wrong == []


# --- What a day is


@pytest.mark.parametrize(
    ("received_at", "target_day"),
    [
        ("2026-11-30T22:59:59+00:00", "2026-12-30"),  # 23:59:59 in Berlin
        ("2026-11-30T23:00:00+00:00", "2027-01-01"),  # midnight there: it is December already
        ("2026-11-30T18:30:00-05:00", "2027-01-01"),  # the same day seen from New York
        ("2026-06-30T22:00:00+00:00", "2026-08-01"),  # two hours ahead in summer
        ("2026-06-30T21:59:59+00:00", "2026-07-30"),
    ],
)
def test_the_day_of_receipt_is_the_controllers(received_at: str, target_day: str) -> None:
    term = statutory_term(datetime.fromisoformat(received_at), 1, GERMANY)
    assert str(term.target_day) == target_day


@pytest.mark.parametrize(
    ("received", "deadline"),
    [
        ("2026-11-24", "2026-12-24T22:59:59+00:00"),  # winter: one hour ahead of UTC
        ("2026-06-24", "2026-07-24T21:59:59+00:00"),  # summer: two
        ("2026-02-27", "2026-03-27T22:59:59+00:00"),  # the last working day before the clocks go forward,
        ("2026-02-28", "2026-03-30T21:59:59+00:00"),  # rolled over that night,
        ("2026-09-26", "2026-10-26T22:59:59+00:00"),  # and one received in summer that ends in winter
    ],
)
def test_the_deadline_is_the_last_second_of_the_controllers_day_in_winter_and_summer(
    received: str, deadline: str
) -> None:
    term = statutory_term(at_noon(received), 1, GERMANY)
    assert term.deadline.isoformat() == deadline


def test_the_last_second_of_a_day_is_followed_by_the_next_day_whatever_the_clocks_do() -> None:
    # Midnights that are skipped (Cairo, Beirut, Santiago), that come twice (Azores) or lie near a jump (Nuuk).
    zones = [*map(ZoneInfo, sorted(key for key in available_timezones() if key.startswith(("Africa/", "America/"))))]
    zones += map(ZoneInfo, ("Atlantic/Azores", "Asia/Beirut", "Australia/Lord_Howe", "Pacific/Easter", "Europe/Berlin"))
    wrong = [
        (zone.key, day)
        for zone in zones
        for day in clock_changes(zone, 2027)
        for term in [statutory_term(at_noon(day.replace(year=2026), zone), 12, RestDays("DE", None, zone))]
        for after in [(term.target + timedelta(seconds=1)).astimezone(zone)]
        if (term.target_day, after.date()) != (day, day + ONE_DAY)
    ]
    assert wrong == []
    assert {"Africa/Cairo", "America/Santiago", "America/Nuuk"} <= {zone.key for zone in zones}


def clock_changes(zone: ZoneInfo, year: int) -> Iterator[date]:
    """The days before and on which the clocks change."""
    for day in every_day(year, year):
        if at_noon(day, zone).utcoffset() != at_noon(day + ONE_DAY, zone).utcoffset():
            yield from (day, day + ONE_DAY)


# --- Properties

PLACES = ["DE", "AT", "CH", "FR", "IT", "ES", "PT", "PL", "IE", "SE", "GR", "BG", "NO", "GB"]
ZONES = ["Europe/Berlin", "Europe/Lisbon", "Europe/Athens", "America/Santiago", "Africa/Cairo", "Pacific/Kiritimati"]

calendars = st.builds(RestDays, st.sampled_from(PLACES), st.none(), st.sampled_from(ZONES).map(ZoneInfo))
instants = st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
periods = st.integers(1, 6)


@given(calendars, instants, periods)
def test_a_period_is_never_over_before_its_months_are(calendar: RestDays, at: datetime, months: int) -> None:
    term = statutory_term(at, months, calendar)
    received = at.astimezone(calendar.zone).date()
    between = (term.target_day.year - received.year) * 12 + term.target_day.month - received.month
    last_of_month = monthrange(term.target_day.year, term.target_day.month)[1]
    assert between == months
    assert term.target_day.day == min(received.day, last_of_month)
    assert at < term.target <= term.deadline


@given(calendars, instants, periods)
def test_no_period_ends_on_a_rest_day_or_later_than_the_next_working_day(
    calendar: RestDays, at: datetime, months: int
) -> None:
    term = statutory_term(at, months, calendar)
    passed = (term.deadline_day - term.target_day).days
    assert not calendar.is_rest_day(term.deadline_day)
    assert all(calendar.is_rest_day(term.target_day + timedelta(days=days)) for days in range(passed))


@given(calendars, instants, instants)
def test_what_is_received_later_is_never_due_earlier(calendar: RestDays, one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))
    assert statutory_term(earlier, 1, calendar).deadline <= statutory_term(later, 1, calendar).deadline


# --- Which rule


def test_a_request_is_to_be_answered_within_a_month_wherever_somebody_lives() -> None:
    received = at_noon("2026-11-25")
    for country in ("DE", "FR", "LI", "US", None):
        assert answer_term(received, country, GERMANY) == statutory_term(received, 1, GERMANY)
        assert answer_rule(country) is GDPR_ANSWER


def test_an_extension_by_two_further_months_makes_three_from_receipt() -> None:
    received = at_noon("2026-10-31")
    term = answer_term(received, "DE", GERMANY, extended=True)
    assert (term.target_day, term.deadline_day) == (date(2027, 1, 31), date(2027, 2, 1))


@pytest.mark.parametrize(
    ("received", "extended", "target", "deadline"),
    [
        ("2026-11-24", False, "2026-12-24", "2026-12-24"),
        ("2026-10-20", False, "2026-11-19", "2026-11-19"),  # October has 31 days: a day before the month is over
        ("2027-02-10", False, "2027-03-12", "2027-03-12"),  # February has 28: two days after
        ("2026-11-26", False, "2026-12-26", "2026-12-28"),
        ("2026-11-24", True, "2027-02-22", "2027-02-22"),
    ],
)
def test_switzerland_counts_thirty_days_and_ninety_when_it_takes_longer(
    received: str, *, extended: bool, target: str, deadline: str
) -> None:
    calendar = RestDays("CH", "ZH", ZoneInfo("Europe/Zurich"))
    term = answer_term(at_noon(received), "CH", calendar, extended=extended)
    assert (str(term.target_day), str(term.deadline_day)) == (target, deadline)


def test_every_rule_has_its_source_beside_it() -> None:
    assert "12(3)" in GDPR_ANSWER.source
    assert "1182/71" in GDPR_ANSWER.counted_by
    assert "25(7)" in SWISS_ANSWER.source
    assert answer_rule("CH") is SWISS_ANSWER


# --- Reminders


def test_reminders_come_14_7_3_and_1_days_before_the_deadline_and_every_day_after_at_eight() -> None:
    term = statutory_term(at_noon("2026-02-28"), 1, GERMANY)  # until Monday, 30 March; the clocks change on the 29th
    at, reminders = at_noon("2026-02-28"), []
    for _ in range(7):
        at = next_reminder(term, at)
        reminders.append(at)
    assert [each.astimezone(BERLIN).isoformat() for each in reminders] == [
        "2026-03-16T08:00:00+01:00",
        "2026-03-23T08:00:00+01:00",
        "2026-03-27T08:00:00+01:00",
        "2026-03-29T08:00:00+02:00",
        "2026-03-31T08:00:00+02:00",
        "2026-04-01T08:00:00+02:00",
        "2026-04-02T08:00:00+02:00",
    ]
    assert all(each.utcoffset() == timedelta() for each in reminders)


def test_a_reminder_that_was_missed_is_not_made_up_for() -> None:
    term = statutory_term(at_noon("2026-11-24"), 1, GERMANY)
    assert next_reminder(term, at_noon("2026-12-20")).astimezone(BERLIN).date() == date(2026, 12, 21)
    assert next_reminder(term, at_noon("2026-12-10")).astimezone(BERLIN).date() == date(2026, 12, 17)
    assert next_reminder(term, at_noon("2027-06-01")).astimezone(BERLIN).date() == date(2027, 6, 2)
    early = datetime(2027, 6, 1, 7, 59, 59, tzinfo=BERLIN)
    assert next_reminder(term, early).astimezone(BERLIN).date() == date(2027, 6, 1)


@given(calendars, instants, st.timedeltas(timedelta(), timedelta(days=200)))
def test_the_next_reminder_lies_ahead_and_within_a_day_once_the_deadline_has_passed(
    calendar: RestDays, received: datetime, later: timedelta
) -> None:
    term = statutory_term(received, 1, calendar)
    reminder = next_reminder(term, received + later)
    assert reminder > received + later
    if received + later > term.deadline:
        assert reminder - (received + later) <= timedelta(days=1, hours=2)  # a day in which the clocks change


# --- Places


def test_countries_are_known_by_their_iso_codes_with_the_codes_of_their_parts() -> None:
    known = holiday_subdivisions()
    assert {"DE", "AT", "CH", "LI", "GB", *PLACES} <= set(known)
    assert {"BE", "BY", "NW"} <= known["DE"]
    assert "Germany" not in known
    assert all(len(country) == 2 for country in known)


def test_time_zones_are_known_by_their_names() -> None:
    assert is_time_zone("Europe/Berlin")
    assert not any(map(is_time_zone, ("", "Berlin", "Europe", "../etc/passwd", "/etc/localtime", "MEZ")))
